"""Everything the model looks at, gathered from one message: named facts and hashed wording."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from mailward.auth import Authentication
from mailward.content.facts import facts
from mailward.content.links import Links, look_at_links
from mailward.content.mail import Mail, look_at
from mailward.content.tokens import Tokens, tokenise
from mailward.message import Envelope, Message
from mailward.message.origin import Origin

MAX_NAMES = 10


class Form(IntEnum):
    """How a message is made. Wording is worth less as evidence the more a message is designed: all marketing sounds alike."""

    PLAIN = 0
    HTML = 1
    DESIGNED = 2


PLACES = ("subject", "body", "names", "hosts")  # where words stand; the index + 1 is the salt of their hashes


@dataclass(frozen=True, slots=True)
class Evidence:
    facts: dict[str, float]
    wording: Tokens  # of PLACES, in their order
    form: Form
    proven: bool  # the visible sender is authenticated
    mail: Mail | None = None  # what the facts were drawn from, for those who look further; training keeps neither
    links: Links | None = None


def gather(message: Message, origin: Origin, envelope: Envelope, auth: Authentication) -> Evidence:
    """Look at a message. Pure; bounded by the limits of the parser and of `tokens`."""
    mail = look_at(message, origin, envelope, auth)
    links = look_at_links(message, mail.site)
    found = facts(mail, links)
    texts = (message.subject, message.text, _names(message), " ".join(links.hosts).replace(".", " "))
    return Evidence(
        facts=found,
        wording=tokenise(texts),
        form=_form(message, found),
        proven=bool(mail.proven),
        mail=mail,
        links=links,
    )


def _form(message: Message, found: dict[str, float]) -> Form:
    if not any(part.is_body and part.content_type == "text/html" for part in message.parts):
        return Form.PLAIN
    return Form.DESIGNED if "structure:designed" in found else Form.HTML


def _names(message: Message) -> str:
    display = [address.display for address in message.from_[:1]]
    return " ".join(display + [part.filename for part in message.parts if part.filename][:MAX_NAMES])
