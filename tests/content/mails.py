"""Messages for the content tests, written here: headers with sensible defaults, and a body."""

from __future__ import annotations

from mailward.auth import Authentication, Outcome
from mailward.content.evidence import Evidence, gather
from mailward.message import Envelope, Message, parse
from mailward.message.origin import Origin, origin

PROVEN = Authentication(
    Outcome.PASS, Outcome.PASS, Outcome.PASS, spf_domain="example.com", dkim_domains=("example.com",), source="mx.example.org"
)
FAILED = Authentication(Outcome.FAIL, Outcome.FAIL, Outcome.FAIL, source="mx.example.org")


def mail(body: str = "Hello Ben,\n\nsee you on Tuesday.\n\nAnn\n", html: bool = False, **headers: str | None) -> bytes:
    """A message with the headers of an ordinary one; None leaves a header out. Underscores in names become hyphens."""
    fields: dict[str, str | None] = {
        "From": "Ann Lee <ann@example.com>",
        "To": "ben@example.org",
        "Subject": "Tuesday",
        "Date": "Mon, 23 Nov 2026 10:00:00 +0000",
        "Message-ID": "<1@example.com>",
        "MIME-Version": "1.0",
        "Content-Type": f"text/{'html' if html else 'plain'}; charset=utf-8",
        "Content-Transfer-Encoding": "8bit",
    }
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return ("\n".join(lines) + "\n\n" + body).encode("utf-8")


def client(
    address: str = "192.0.2.7", name: str | None = "mail.example.com", helo: str = "mail.example.com", mail_from: str = "ann@example.com"
) -> Envelope:
    return Envelope(client_ip=address, client_name=name, helo=helo, mail_from=mail_from, rcpt_to=("ben@example.org",), way_in="smtp")


def looked_at(raw: bytes, envelope: Envelope | None = None, auth: Authentication = PROVEN) -> tuple[Message, Origin, Evidence]:
    message = parse(raw)
    envelope = envelope or client()
    source = origin(message, envelope)
    return message, source, gather(message, source, envelope, auth)
