"""Send a message from the quarantine on to the next hop."""

from __future__ import annotations

import contextlib
import smtplib
import socket
from collections.abc import Callable
from email.utils import formatdate

from mailward.gateway import Settings
from mailward.gateway.settings import host_and_port
from mailward.quarantine import Held, NotSent


def sender(settings: Settings) -> Callable[[Held, bytes], None]:
    """A `send` for `Vault.release`: to all recipients or to none.

    It raises `NotSent` for everything that happens before the message is handed over or is refused in the end, and
    OSError when the connection was lost while waiting for the final answer: then nobody knows whether it was taken.
    """

    def send(held: Held, raw: bytes) -> None:
        if not settings.smtp.next_hop:
            raise NotSent("no next hop is set ([smtp] next_hop)")
        host, port = host_and_port(settings.smtp.next_hop)
        name = settings.smtp.hostname or socket.getfqdn()
        try:
            smtp = smtplib.SMTP(host, port, name, timeout=settings.smtp.timeout)
        except (OSError, smtplib.SMTPException) as error:
            raise NotSent(f"the next hop {settings.smtp.next_hop} cannot be reached: {error}") from error
        with contextlib.closing(smtp):
            _prepare(smtp, held)
            _hand_over(smtp, f"X-Mailward-Released: {held.id}; {formatdate()}\r\n".encode("ascii") + raw)
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp.quit()

    return send


def _prepare(smtp: smtplib.SMTP, held: Held) -> None:
    """Everything before DATA. Nothing of it delivers anything, so every failure is `NotSent`."""
    try:
        smtp.ehlo()
        options = ["BODY=8BITMIME"] if held.body_8bit and smtp.has_extn("8bitmime") else []
        if held.smtputf8:
            options.append("SMTPUTF8")
            smtp.command_encoding = "utf-8"
        _expect(smtp.docmd("MAIL", " ".join((f"FROM:<{held.mail_from or ''}>", *options))), "the sender")
        for recipient in held.rcpt_to:
            _expect(smtp.docmd("RCPT", f"TO:<{recipient}>"), recipient)
        _expect(smtp.docmd("DATA"), "DATA", 354)
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"the next hop failed: {error}") from error


def _hand_over(smtp: smtplib.SMTP, message: bytes) -> None:
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    smtp.send(stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") else b"\r\n.\r\n"))
    _expect(smtp.getreply(), "the message")


def _expect(answer: tuple[int, bytes], what: str, code: int | None = None) -> None:
    if answer[0] != code and (code is not None or not 200 <= answer[0] < 300):
        raise NotSent(f"the next hop answered {answer[0]} to {what}: {answer[1].decode('utf-8', 'replace')[:300]}")
