"""What comes with the package: facts, phrases and the model."""

from importlib import resources

DATA = resources.files("mailward.content") / "data"
