"""mailward: a self-hosted gateway that keeps spam and phishing out of an organisation's mail."""

__version__ = "0.1.0"
