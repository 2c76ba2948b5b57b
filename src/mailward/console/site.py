"""What pages and API share: one of each for a running console."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from starlette.requests import HTTPConnection

from mailward.console.access import Access, Caller, Role
from mailward.console.delisting import Requests
from mailward.console.rates import Rate, client_network
from mailward.gateway.settings import Settings
from mailward.reputation.url.rater import Rater


@dataclass(frozen=True, slots=True)
class Rates:
    """How often, and how many. Each by client network, but for those that say otherwise."""

    look_ups: Rate = field(default_factory=lambda: Rate(burst=120, per_second=2))
    all_look_ups: Rate = field(
        default_factory=lambda: Rate(burst=400, per_second=5)
    )  # of everybody together: one may read 130 MB of evidence
    requests: Rate = field(default_factory=lambda: Rate(burst=5, per_second=5 / 3600))
    requests_by_address: Rate = field(default_factory=lambda: Rate(burst=3, per_second=3 / 86400))
    pieces: Rate = field(default_factory=lambda: Rate(burst=1_000_000, per_second=25_000))  # of evidence, by the node's name


@dataclass(frozen=True, slots=True)
class Site:
    settings: Settings
    access: Access
    requests: Requests
    rater: Rater
    rating: Lock = field(default_factory=Lock)  # the rater follows its tables, which one thread may do
    rates: Rates = field(default_factory=Rates)


def site_of(request: HTTPConnection) -> Site:
    found = request.app.state.site
    assert isinstance(found, Site)
    return found


def caller_of(request: HTTPConnection) -> Caller | None:
    """Whose token came with the request (see gate.py)."""
    found: Caller | None = request.scope.get("caller")
    return found


def is_operator(request: HTTPConnection) -> bool:
    caller = caller_of(request)
    return caller is not None and caller.role is Role.OPERATOR


def look_up_wait(request: HTTPConnection) -> float:
    """Seconds until this client may look an address up, 0.0 for now (which counts). The operator's token is not limited."""
    if is_operator(request):
        return 0.0
    rates = site_of(request).rates
    return rates.look_ups.take(network_of(request)) or rates.all_look_ups.take("everybody")


def client_of(request: HTTPConnection) -> str:
    """The client's address, for limits and logs."""
    return request.client.host if request.client is not None else ""


def network_of(request: HTTPConnection) -> str:
    return client_network(client_of(request))
