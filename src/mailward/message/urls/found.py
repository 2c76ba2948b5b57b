"""A URL found in a message."""

from __future__ import annotations

import msgspec


class FoundUrl(msgspec.Struct, frozen=True, gc=False):
    """One address somebody could be sent to, read as a browser reads it (WHATWG URL Standard)."""

    url: str  # normalised: scheme http, https or ftp, host in lower-case A-labels
    written: str  # as it stood in the message
    text: str  # what stood on it, "" for none
    found_in: str  # "subject", "text", "html" or "attachment:NAME"; with ":qr" behind it what a QR code there leads to
    unwrapped_from: str = ""  # the normalised wrapper this is the target of, "" for none
