"""Every limit on what one HTTP client may cost, in one place. Size, silence and numbers of connections are settings."""

from __future__ import annotations

HEAD_BYTES = 128 << 10  # of request line and header; 1,000 recipients are 60 KB
HEAD_SECONDS = 60.0  # for a header whose first octet is there
DRAIN_SECONDS = 2.0  # that a client which has just connected may take for its request while we are being stopped
BODY_KEPT = 64 << 10  # octets of a body where none is wanted
SHOWN = 80  # symbols of one answer; the weightiest stand first
TEXT = 200  # characters of one reason
URLS = 100  # hosts named in one answer
LEVEL = 3  # of zstd, for answers
