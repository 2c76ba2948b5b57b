"""The dynamic database: evidence lists, time and clean mail delist."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.reputation.address import Source, source
from mailward.reputation.evidence import WEIGHTS, Evidence, EvidenceKind
from mailward.reputation.ip.dynamic import DynamicDatabase
from mailward.reputation.ip.levels import DAY, HOUR, LONGEST, PROMOTE_DAYS, SHORTEST
from mailward.reputation.listing import ListingKind

T0 = 1_700_000_000.0
A = source("192.0.2.1")
assert A is not None


def feed(
    database: DynamicDatabase, kind: EvidenceKind, at: float = T0, times: int = 1, who: Source = A, weight: float | None = None
) -> None:
    for _ in range(times):
        database.learn(Evidence(at, kind, who, WEIGHTS[kind] if weight is None else weight))


def level_of(database: DynamicDatabase, at: float, who: Source = A) -> int:
    """The lowest level that lists it, 9 for none."""
    listing = database.listing(who, at)
    return listing.level if listing else 9


def test_a_stranger_who_sends_spam_is_listed_and_let_go() -> None:
    """One message judged as spam lists an unknown source; the listing lasts 5 minutes to 12 hours and ends by itself."""
    database = DynamicDatabase()
    assert level_of(database, T0) == 9
    feed(database, EvidenceKind.SPAM)
    assert level_of(database, T0) == 1
    assert level_of(database, T0 + SHORTEST - 1) == 1
    assert 1 < level_of(database, T0 + HOUR / 2) <= 4
    assert level_of(database, T0 + LONGEST + 1) == 9


@pytest.mark.parametrize("address", ["2001:db8::1", "198.51.100.7"])
def test_both_versions_are_listed(address: str) -> None:
    """v6 sources are listed like v4 ones."""
    database = DynamicDatabase()
    who = source(address)
    assert who is not None
    feed(database, EvidenceKind.TRAP, who=who)
    listing = database.listing(who, T0 + 60)
    assert listing is not None
    assert (listing.network, listing.kind, listing.count) == (address, ListingKind.TRAP, 1)


def test_standing_buys_allowance() -> None:
    """A source that sent clean mail may send more spam before it is listed, and the more so the lower the level."""
    database = DynamicDatabase()
    feed(database, EvidenceKind.HAM, T0 - DAY, 25)
    needed = {}
    for sent in range(1, 40):
        feed(database, EvidenceKind.SPAM)
        for level in range(level_of(database, T0), 5):
            needed.setdefault(level, sent)
    assert 1 < needed[4] < needed[3] < needed[2] == needed[1] < 40


def test_clean_mail_ends_a_listing() -> None:
    """A source that sends both kinds is a shared server: clean mail takes it off again."""
    database = DynamicDatabase()
    feed(database, EvidenceKind.SPAM)
    feed(database, EvidenceKind.HAM, T0 + 60, 3)
    assert level_of(database, T0 + 61) == 9


def test_neighbours_count_but_alone_never_at_the_default_level() -> None:
    """However many neighbours are bad, an address that sent nothing is listed at levels 3 and 4 only, and nobody outside its network."""
    database = DynamicDatabase()
    for host in range(1, 200):
        feed(database, EvidenceKind.SPAM, who=Source(4, A.number - 1 + host) if host != 77 else Source(4, A.number + 50_000))
    stranger = Source(4, A.number - 1 + 77)
    assert level_of(database, T0, stranger) == 3
    assert level_of(database, T0, Source(4, A.number + 256)) == 9


def test_clean_neighbours_hold_a_network_together() -> None:
    """A network that sends clean mail is not listed for one bad address."""
    database = DynamicDatabase()
    feed(database, EvidenceKind.HAM, T0 - HOUR, 5, Source(4, A.number + 5))
    feed(database, EvidenceKind.SPAM)
    assert level_of(database, T0) == 1
    assert level_of(database, T0, Source(4, A.number + 6)) == 9


def test_protected_senders_need_much_more() -> None:
    """What lists a stranger at once does not list a big mail sender; a flood does."""
    database = DynamicDatabase(protected=lambda who: who == A)
    feed(database, EvidenceKind.TRAP, times=3)
    assert level_of(database, T0) == 9
    feed(database, EvidenceKind.TRAP, times=30)
    assert level_of(database, T0) == 1


def test_our_own_and_private_addresses_are_never_listed() -> None:
    """Evidence against ourselves is an error of the setup, not of the source."""
    database = DynamicDatabase(ours=lambda who: who == A)
    for text in ("192.0.2.1", "10.0.0.1", "127.0.0.1", "fe80::1", "::1", "224.0.0.1"):
        who = source(text)
        assert who is not None
        feed(database, EvidenceKind.TRAP, times=50, who=who)
        assert level_of(database, T0, who) == 9
    assert len(database) == 0


def test_who_stays_bad_is_promoted_and_then_not_listed_twice() -> None:
    """Spam on several days promotes a source to the standard database; the dynamic one does not list it any more; clean mail ends it."""
    database = DynamicDatabase()
    for day in range(PROMOTE_DAYS):
        feed(database, EvidenceKind.SPAM, T0 + day * DAY)
    (promotion,) = database.promotions
    assert (promotion.source, promotion.days) == (A, PROMOTE_DAYS)
    now = T0 + (PROMOTE_DAYS - 1) * DAY + 1
    assert database.promoted(A, now)
    assert database.listing(A, now) is None
    feed(database, EvidenceKind.HAM, now)
    assert not database.promoted(A, now)
    assert database.promotions[-1].until <= now


def test_delisting_forgets() -> None:
    """After a delisting nothing is held against the source, and its neighbours do not list it."""
    database = DynamicDatabase()
    feed(database, EvidenceKind.TRAP, times=20)
    feed(database, EvidenceKind.TRAP, times=20, who=Source(4, A.number + 1))
    feed(database, EvidenceKind.DELIST, T0 + 60)
    assert level_of(database, T0 + 60) == 9
    assert database.tally(A)["count"] == 0
    feed(database, EvidenceKind.SPAM, T0 + 120)
    assert level_of(database, T0 + 120) < 9


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(list(EvidenceKind)),
        st.integers(0, 12),
        st.floats(0, 3 * DAY, allow_nan=False),
        st.floats(0, 100, allow_nan=False),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS, st.floats(0, 2 * DAY))
def test_whatever_comes_the_rules_hold(events: list[tuple[EvidenceKind, int, float, float]], later: float) -> None:
    """No listing outlives its last evidence by more than 12 hours; what a level lists every higher one lists; saving changes nothing."""
    database = DynamicDatabase()
    clock = T0
    for kind, host, gap, weight in events:
        clock += gap / 10
        feed(database, kind, clock, who=Source(4, A.number + host), weight=weight)
    now = clock + later
    copy = DynamicDatabase()
    for side in (4, 6):
        database.side(side).sources.rebuild()
        database.side(side).nets.rebuild()
    copy.restore(database.state())
    for host in range(14):
        who = Source(4, A.number + host)
        ends = database.ends(who)
        assert ends == sorted(ends)
        assert database.listing(who, clock + LONGEST + 2) is None
        assert copy.listing(who, now) == database.listing(who, now)
        assert copy.tally(who) == database.tally(who)
