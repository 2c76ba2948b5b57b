"""What a message says: features, the shipped model, and a spam score that is the sum of its contributions."""

from mailward.content.contribution import Contribution
from mailward.content.model import Model, load

__all__ = ["Contribution", "Model", "load"]
