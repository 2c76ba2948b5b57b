"""Who sent it: authentication results in the words of RFC 8601."""

from mailward.auth.model import Authentication, DmarcPolicy, Outcome, Signature

__all__ = ["Authentication", "DmarcPolicy", "Outcome", "Signature"]
