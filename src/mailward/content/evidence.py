"""Everything the model looks at, gathered from one message: named facts and hashed wording."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import re2

from mailward.auth import Authentication
from mailward.content.facts import facts
from mailward.content.mail import look_at
from mailward.content.tokens import Tokens, tokenise
from mailward.message import Envelope, Message
from mailward.message.origin import Origin

_HOST = re2.compile(r"^(?i:https?:)?//(?:[^/?#@]*@)?([^/?#:\\]+)")
MAX_HOSTS = 100
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
    wording: tuple[Tokens, ...]  # one for each of PLACES
    form: Form
    proven: bool  # the visible sender is authenticated


def gather(message: Message, origin: Origin, envelope: Envelope, auth: Authentication) -> Evidence:
    """Look at a message. Pure; bounded by the limits of the parser and of `tokens`."""
    mail = look_at(message, origin, envelope, auth)
    found = facts(mail)
    texts = (message.subject, message.text, _names(message), _hosts(message))
    return Evidence(
        facts=found,
        wording=tuple(tokenise(text, salt) for salt, text in enumerate(texts, 1)),
        form=_form(message, found),
        proven=bool(mail.aligned),
    )


def _form(message: Message, found: dict[str, float]) -> Form:
    if not any(part.is_body and part.content_type == "text/html" for part in message.parts):
        return Form.PLAIN
    return Form.DESIGNED if "structure:designed" in found else Form.HTML


def _names(message: Message) -> str:
    display = [address.display for address in message.from_[:1]]
    return " ".join(display + [part.filename for part in message.parts if part.filename][:MAX_NAMES])


def _hosts(message: Message) -> str:
    hosts: dict[str, None] = {}
    for link in message.links[:MAX_HOSTS]:
        if match := _HOST.match(link.url):
            hosts[match.group(1).lower()] = None
    return " ".join(hosts).replace(".", " ")
