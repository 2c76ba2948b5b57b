"""What comes with the package: brands and confusable characters."""

from importlib import resources

DATA = resources.files("mailward.phishing") / "data"
