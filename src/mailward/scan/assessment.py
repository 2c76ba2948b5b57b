"""The facts of one message that depend on no setting. Stored for ever, judged again at will."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mailward.auth import Authentication
from mailward.content.contribution import Contribution
from mailward.reputation.answer import ListAnswer

__all__ = ["Assessment", "Contribution", "RatedUrl", "SenderIp", "Unchecked", "Untested"]

Unchecked = Literal["unchecked"]
Untested = Literal["untested"]


@dataclass(frozen=True, slots=True)
class RatedUrl:
    """A URL of the message. `rating` "untested": nothing is known of it; "unchecked": nobody looked."""

    url: str
    found_in: str
    rating: int | Untested | Unchecked = "unchecked"
    band: str = "unchecked"  # see reputation.url.rating.Band
    why: str = ""  # of the rating, a clause
    source: str = ""  # what knew the rating: see reputation.url.rating.Rating
    text: str = ""  # what stood on the link
    lists: tuple[ListAnswer, ...] = ()  # what DNS URI lists say of its domain; the rating does not count it


@dataclass(frozen=True, slots=True)
class SenderIp:
    """The address the mail came from, behind our own hops. `address` None: not known. `standing`: see reputation.answer.Standing."""

    address: str | None
    standing: str = "unchecked"
    name: str = ""  # the verified reverse name, "" where there is none or nobody looked


@dataclass(frozen=True, slots=True)
class Assessment:
    """What `assess` found. Addresses are lower case; `header_from` holds every address of From."""

    id: str  # unique, sortable by time
    time: float  # seconds since 1970, UTC
    way_in: str
    size: int
    subject: str
    message_id: str
    mail_from: str | None
    rcpt_to: tuple[str, ...]
    header_from: tuple[str, ...]
    helo: str | None
    sender_ip: SenderIp
    auth: Authentication
    from_aligned: bool | None  # visible From domain authenticated by aligned DKIM or SPF, or DMARC pass; None: nothing was checked
    spam: tuple[Contribution, ...]
    urls: tuple[RatedUrl, ...] = ()
    findings: tuple[str, ...] = ()  # limits and defects of parsing, by name
    unscannable: str = ""  # why it could not be judged, "" if it could
    model: str = ""
    local_reports: int = 0  # how many local reports the spam score has learned from
    phishing: tuple[Contribution, ...] | None = None  # None: no phishing filter has looked
    reputation: tuple[ListAnswer, ...] = ()  # what lists say of the sender IP; nothing is asked about our own hops and users
    authenticated: bool = False  # the client signed in: a user of ours
    relayed: bool = False  # a hop of ours or a file brought it: whoever sent it is not at the other end of the line
    connection_only: bool = False  # the client was turned away before it sent the message
    shown_from: tuple[str, ...] = ()  # display names of From, one for each of `header_from`, "" where there is none
    reply_to: tuple[str, ...] = ()  # addresses that answers go to, lower case
    first_contact: bool | None = None  # these five: see reputation.acquaintance.answer
    first_of_domain: bool | None = None
    written_to: bool = False
    thread: str = ""
    named_internal: tuple[str, ...] = ()
    extra: dict[str, str] = field(default_factory=dict)  # display only
