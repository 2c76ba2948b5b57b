"""How requests are kept: whoever dies, whatever is written, however many come."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailward.console import delisting
from mailward.console.delisting import AGAIN_SECONDS, KEPT_SECONDS, Request, Requests, State, TooMany
from mailward.console.rates import MAX_BUCKETS, Rate, client_network

NOW = 1_795_000_000.0


def request(number: int, state: State = State.OPEN, at: float = NOW, address: str = "") -> Request:
    decided = 0 if state is State.OPEN else int(at)
    return Request(
        id=f"{number:04x}", time=int(at), address=address or f"192.0.2.{number}", client="198.51.100.1", state=state, decided=decided
    )


def test_an_open_request_stands_for_those_that_follow(tmp_path: Path) -> None:
    """Asking again makes no second one."""
    requests = Requests(tmp_path)
    first = requests.add(request(1), NOW)
    assert requests.add(request(2, address="192.0.2.1"), NOW + 5) == first
    assert len(requests.open()) == 1


def test_automatic_is_granted_once_in_a_week(tmp_path: Path) -> None:
    """Then the operator decides; after a week it is automatic again."""
    requests = Requests(tmp_path)

    def ask(number: int, at: float) -> State:
        return requests.add(request(number, State.AUTOMATIC, at, "192.0.2.1"), at).state

    assert ask(1, NOW) is State.AUTOMATIC
    assert ask(2, NOW + AGAIN_SECONDS - 1) is State.OPEN
    requests.decide("0002", State.REFUSED, "operator", NOW + AGAIN_SECONDS)
    assert ask(3, NOW + AGAIN_SECONDS + 1) is State.AUTOMATIC


def test_a_request_is_decided_once(tmp_path: Path) -> None:
    """Also when two processes hold the file; the second is told that it is not open."""
    one, two = Requests(tmp_path), Requests(tmp_path)
    one.add(request(1), NOW)
    assert two.waiting("0001") is not None
    decided = two.decide("0001", State.GRANTED, "operator", NOW + 1)
    assert decided is not None
    assert one.decide("0001", State.REFUSED, "operator", NOW + 2) is None
    assert [each.state for each in one.all()] == [State.GRANTED]


def test_a_torn_line_costs_itself_only(tmp_path: Path) -> None:
    """What a dead writer left, or anybody scribbled, is passed over; what follows it is read."""
    requests = Requests(tmp_path)
    requests.add(request(1), NOW)
    with (tmp_path / delisting.REQUESTS_FILE).open("ab") as file:
        file.write(b'\xff\xfe{}\n[]\n{"id": 5}\n{"id": "0009", "ti')
    requests.add(request(2), NOW)
    assert {each.id for each in Requests(tmp_path).all()} == {"0001", "0002"}


def test_too_many_open_requests_are_refused_with_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The public cannot fill the disk."""
    monkeypatch.setattr(delisting, "MAX_OPEN", 3)
    requests = Requests(tmp_path)
    for number in range(3):
        requests.add(request(number), NOW)
    with pytest.raises(TooMany, match="try again"):
        requests.add(request(4), NOW)


def test_a_large_file_is_written_anew_without_what_is_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old requests go, those of the last 90 days stay, and other processes notice."""
    other = Requests(tmp_path)
    requests = Requests(tmp_path)
    for number in range(50):
        requests.add(request(number, State.REFUSED if number % 2 else State.OPEN, NOW - KEPT_SECONDS - 5), NOW)
    requests.add(request(60), NOW)
    assert len(other.all()) == 51
    monkeypatch.setattr(delisting, "MAX_FILE", (tmp_path / delisting.REQUESTS_FILE).stat().st_size)
    requests.add(request(61), NOW)
    assert [each.id for each in other.all()] == ["003d", "003c"]


def test_processes_that_write_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Four writers, fifty requests each."""
    code = (
        "import sys; from pathlib import Path; from mailward.console.delisting import *\n"
        "requests, who = Requests(Path(sys.argv[1])), int(sys.argv[2])\n"
        "for n in range(50): requests.add(Request(id=f'{who}-{n}', time=n, address=f'192.0.{who}.{n}', client='x'), 1.0)"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(who)]) for who in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    assert len(Requests(tmp_path).all()) == 200


# Rates


def test_a_rate_gives_a_burst_and_then_so_many_a_second() -> None:
    """What is refused does not count, and the wait it names is enough."""
    clock = [0.0]
    rate = Rate(burst=3, per_second=0.5, clock=lambda: clock[0])
    assert [rate.take("a") for _ in range(3)] == [0.0] * 3
    wait = rate.take("a")
    assert wait == pytest.approx(2.0)
    assert rate.take("b") == 0.0
    clock[0] += wait
    assert rate.take("a") == 0.0
    assert rate.take("a") > 0


def test_more_than_the_burst_at_once_is_taken_when_it_is_full() -> None:
    """A batch larger than the burst waits for what it leaves behind, not for ever."""
    clock = [0.0]
    rate = Rate(burst=10, per_second=1, clock=lambda: clock[0])
    assert rate.take("a", 30) == 0.0
    assert rate.take("a", 1) == pytest.approx(21.0)


def test_many_clients_take_bounded_room() -> None:
    """The one that was not seen for longest is forgotten."""
    rate = Rate(burst=1, per_second=0.001)
    for number in range(MAX_BUCKETS + 10):
        rate.take(str(number))
    assert len(rate._buckets) == MAX_BUCKETS
    assert rate.take(str(MAX_BUCKETS + 9)) > 0


def test_clients_of_one_network_share_an_allowance() -> None:
    """/24 of v4, /64 of v6; a v4-mapped address is the v4 one."""
    assert client_network("192.0.2.1") == client_network("192.0.2.255") == client_network("::ffff:192.0.2.9") != client_network("192.0.3.1")
    assert client_network("2001:db8::1") == client_network("2001:db8::ffff:1") != client_network("2001:db8:0:1::1")
    assert client_network("testclient") != client_network("")


def test_times_of_requests_are_those_of_the_clock(tmp_path: Path) -> None:
    """The newest first, and those that wait longest first for the operator."""
    requests = Requests(tmp_path)
    for number, at in ((1, NOW), (2, NOW + 20), (3, NOW + 10)):
        requests.add(request(number, at=at), time.time())
    assert [each.id for each in requests.all()] == ["0002", "0003", "0001"]
    assert [each.id for each in requests.open()] == ["0001", "0003", "0002"]
