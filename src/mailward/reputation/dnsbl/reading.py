"""What the DNS answered, and what that means for a list. Only documented codes mean "listed"; nothing else can refuse mail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mailward.policy.dnsbl import ListEntry, never_listed
from mailward.reputation.answer import ListAnswer, Outcome
from mailward.reputation.listing import Database

MAX_ADDRESSES = 10  # records of one answer; the most talkative list gives five


class Failure(StrEnum):
    """Why there is no answer to read."""

    TIME_OUT = "time-out"
    SERVFAIL = "SERVFAIL"
    REFUSED = "REFUSED"
    NO_SERVER = "no DNS server can be reached"
    GARBAGE = "an unreadable answer"
    TOO_MANY = f"more than {MAX_ADDRESSES} addresses"
    ALIAS = "an alias that leads to no address"
    OTHER = "no answer"


@dataclass(frozen=True, slots=True)
class Response:
    """A records as four octets each; none and no failure: the name does not exist, or has no address. `ttl` in seconds."""

    addresses: tuple[tuple[int, ...], ...] = ()
    failure: Failure | None = None
    ttl: int = 0


NOTHING = Response()


class Resolver(Protocol):
    """Whoever asks the DNS."""

    async def ask(self, name: str) -> Response:
        """The A records of a name. Never raises; waits no longer than its own time-outs."""


def read(entry: ListEntry, database: Database, response: Response) -> ListAnswer:
    """A list's answer about one address."""
    if response.failure is not None:
        return unchecked(entry.zone, database, response.failure)
    if not response.addresses:
        return ListAnswer(entry.zone, database, Outcome.CLEAR)
    listed = tuple(sorted(address for address in set(response.addresses) if entry.counts(address) and not never_listed(address)))
    if listed:
        return ListAnswer(entry.zone, database, Outcome.LISTED, tuple(map(shown, listed)))
    return unchecked(entry.zone, database, misread(response.addresses[0]))


def misread(address: tuple[int, ...]) -> str:
    """Why an address in an answer does not mean "listed"."""
    if address[:3] == (127, 255, 255):
        return f"the list refuses our questions ({shown(address)})"
    if address[0] != 127:
        return f"the answer {shown(address)} is not that of a DNS list"
    return f"the code {shown(address)} is not among those that count"


def unchecked(zone: str, database: Database, why: str) -> ListAnswer:
    return ListAnswer(zone, database, Outcome.UNCHECKED, why=str(why))


def shown(address: tuple[int, ...]) -> str:
    return ".".join(map(str, address))
