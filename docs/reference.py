"""Write settings.md from the program itself: `python docs/reference.py`. A test fails when it is out of date."""

from __future__ import annotations

from pathlib import Path

from mailward.gateway.settings import Settings

SETTINGS = """\
# Host settings

Where things listen and live: `mailward.toml` in the folder where mailward is started, or the file named with `--config`. What to filter
is in the [policy](policy.md). `mailward doctor` checks the file and what it points to. This is the whole of it, with the defaults:

```toml
{}```
"""


def pages() -> dict[str, str]:
    """The pages by file name."""
    return {"settings.md": SETTINGS.format(Settings().to_toml())}


if __name__ == "__main__":
    for name, text in pages().items():
        (Path(__file__).parent / name).write_text(text, "utf-8")
