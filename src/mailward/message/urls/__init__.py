"""Every URL of a message, in all disguises, as a browser reads it."""

from mailward.message.urls.found import FoundUrl
from mailward.message.urls.search import urls_of

__all__ = ["FoundUrl", "urls_of"]
