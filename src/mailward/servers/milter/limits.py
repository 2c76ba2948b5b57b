"""Every limit on what one mail server may cost by milter, in one place. Size, silence and numbers of connections are settings."""

from __future__ import annotations

PACKET_BYTES = 512 << 10  # of one packet; mail servers send 64 KiB of a body at once, and cut a header field at 100 KiB
MACRO_BYTES = 64 << 10  # of the macros of one stage; real ones are shorter than 1 KiB
HEAD_BYTES = 8 << 20  # of the header of one message; a message with more is refused, for it could not be marked
RECIPIENTS = 1000  # of one message, as in the SMTP way in
TEXT = 998  # characters remembered of a name or an address the mail server tells us
PACKET_SECONDS = 60.0  # for the rest of a packet whose first octet is there
PROGRESS_SECONDS = 10.0  # between two signs of life while a message is judged; mail servers wait minutes for each
DRAIN_SECONDS = 3.0  # that a mail server with no message under way may stay silent while we are being stopped
