"""`python -m mailward`."""

from mailward.cli import main

if __name__ == "__main__":
    main()
