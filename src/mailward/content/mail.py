"""The few things about a message that many facts look at, worked out once."""

from __future__ import annotations

import msgspec

from mailward.auth import Authentication, Outcome
from mailward.message import Address, Envelope, Message
from mailward.message.origin import Origin
from mailward.reputation.knowledge import known, known_host, registrable


class Mail(msgspec.Struct, frozen=True):
    message: Message
    fields: dict[str, str]  # the first header field of each lower-case name
    origin: Origin
    envelope: Envelope
    auth: Authentication
    sender: Address  # the first visible From address with a domain, empty where there is none
    site: str  # registrable domain of the visible sender
    site_known: int  # flags of `Known`
    mail_from_site: str  # registrable domain of the envelope sender, "" unknown or null
    client_name: str  # the client's verified name, lower case, "" for none
    client_site: str  # registrable domain of the client's verified name, "" for none
    carriers: int  # flags of `Known` for who carried the message
    message_id_host: str
    proven: bool | None  # sender likely to be of its visible domain; None: nothing was checked
    bounce: bool  # a delivery report, or what a mail system writes with the null sender


_EMPTY = Address("", "", "")
_CHECKED = (Outcome.PASS, Outcome.FAIL, Outcome.SOFTFAIL)


def proven(site: str, auth: Authentication) -> bool | None:
    """Return whether the results speak for the visible domain: a judgement for the score, wider than `scan.alignment.aligned`.

    Beside DMARC, and DKIM or SPF of the registrable domain, it counts signatures that Google makes for customers without a key. Where
    we asked and the DNS was silent, nothing is known.
    """
    if auth.dmarc is Outcome.PASS or (auth.vouched and registrable(auth.vouched) == site):
        return True
    if any(registrable(domain) == site or _google_default(domain, site) for domain in auth.dkim_domains):
        return True
    if auth.spf is Outcome.PASS and auth.spf_domain and registrable(auth.spf_domain) == site:
        return True
    if auth.silent_about(site):
        return None
    if auth.dmarc in _CHECKED or auth.dkim in _CHECKED or auth.spf in _CHECKED:
        return False
    if auth.dkim is Outcome.NONE or auth.spf is Outcome.NONE or auth.dmarc is Outcome.NONE:
        return False
    return None


def _google_default(domain: str, site: str) -> bool:
    """Google signs for a customer without a key of its own as `example-com.20230601.gappssmtp.com`."""
    return domain.endswith(".gappssmtp.com") and domain.partition(".")[0] == site.replace(".", "-")


def look_at(message: Message, origin: Origin, envelope: Envelope, auth: Authentication) -> Mail:
    """Work out who the message says it is from and who handed it over."""
    sender = next((a for a in message.from_ if a.domain), message.from_[0] if message.from_ else _EMPTY)
    client = (origin.name or "").lower().rstrip(".")
    site = registrable(sender.domain)
    mail_from = envelope.mail_from if envelope.mail_from is not None else ""
    message_id = message.message_id.strip().strip("<>")
    report = any(part.content_type == "multipart/report" for part in message.parts[:2])
    null = envelope.mail_from == "" or (envelope.mail_from is None and (message.return_path or "").strip() == "<>")
    daemon = sender.local.lower() in ("mailer-daemon", "postmaster", "mail-daemon", "maildeliverysubsystem")
    return Mail(
        message=message,
        fields={header.key: header.raw for header in reversed(message.headers)},
        origin=origin,
        envelope=envelope,
        auth=auth,
        sender=sender,
        site=site,
        site_known=known(site) | known(sender.domain),
        mail_from_site=registrable(mail_from.rpartition("@")[2].lower().strip("<> ")),
        client_name=client,
        client_site=registrable(client),
        carriers=_carriers(client, auth),
        message_id_host=message_id.rpartition("@")[2].lower().rstrip(".> "),
        proven=proven(site, auth) if site else None,
        bounce=report or (daemon and (null or envelope.mail_from is None)) or (null and not message.html.tags),
    )


def _carriers(client: str, auth: Authentication) -> int:
    """What is known of those who carried the message: the client's verified name, domains whose signature passed."""
    result = known_host(client)
    for domain in auth.dkim_domains[:5]:
        result |= known_host(domain)
    return result
