"""Every limit on what one spamd client may cost, in one place. Size, time and numbers of connections are settings."""

from __future__ import annotations

HEADER_LINES = 1_100  # of one request; rspamd's dialect has one for each recipient, of which we keep 1,000
HEADER_BYTES = 128 << 10  # of all of them
FLOOD_BYTES = 64 << 20  # octets of a refused message that are read and thrown away, so that the client hears why
LENGTH_DIGITS = 12  # of a Content-length; more is no length
REASONS = 50  # shown in a report; the weightiest stand first
REASON_CHARS = 200  # of one reason in a report
LINGER_SECONDS = 2.0  # for a client that is still sending when it was answered
