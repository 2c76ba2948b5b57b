"""What comes with the package: meanings of facts, lures and the model."""

from importlib import resources

DATA = resources.files("mailward.phishing") / "data"
