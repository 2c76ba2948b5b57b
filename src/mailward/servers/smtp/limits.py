"""Every limit on what one SMTP client may cost, in one place. Size, time and numbers of connections are settings."""

from __future__ import annotations

COMMAND_BYTES = 4096  # RFC 5321 4.5.3.1.4 says 512; DSN, SMTPUTF8 and XCLIENT parameters make lines longer
RECIPIENTS = 1000  # of one message; RFC 5321 4.5.3.1.8 wants at least 100
BAD_COMMANDS = 20  # commands not understood before we hang up; an MTA makes none
IDLE_COMMANDS = 200  # commands that move no mail (NOOP, RSET, VRFY) before we hang up
READ_BYTES = 256 << 10  # octets buffered of a client that sends faster than we answer
FLOOD_BYTES = 64 << 20  # octets read and thrown away beyond the size limit before we hang up
ROOM_BYTES = 512 << 20  # octets of unfinished messages one worker holds for all its clients; or twice max_size, if that is more
PROXY_SECONDS = 10  # for the PROXY protocol header, which is the first thing sent
THREAD_BYTES = 64 << 10  # a message longer than this is judged in a thread, so that it does not hold up the others
BYTES_PER_SECOND = 16 << 10  # slowest next hop waited for: adds to the time-out for a long message
SHOWN = 320  # characters of an address that are remembered (RFC 3696 erratum 1690)
REPLY_TEXT = 400  # characters of our own text in one reply line; RFC 5321 4.5.3.1.5 allows 512 with code and CRLF
CONNECT_SECONDS = 30  # to connect to the next hop; a client waits for us meanwhile
