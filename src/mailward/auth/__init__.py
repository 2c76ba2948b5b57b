"""Who sent it: authentication results in the words of RFC 8601."""

from mailward.auth.model import Authentication, Outcome

__all__ = ["Authentication", "Outcome"]
