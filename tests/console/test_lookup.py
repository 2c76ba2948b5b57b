"""The public page: what it says of an address, and asking to be taken off."""

from __future__ import annotations

import html
import re
import time

import httpx
import numpy as np
import pytest
from selectolax.lexbor import LexborHTMLParser
from tests.console.conftest import Serve, Served

from mailward.console.delisting import Requests, State
from mailward.reputation import snapshot
from mailward.reputation.address import source
from mailward.reputation.evidence import EvidenceKind
from mailward.reputation.snapshot import DYNAMIC_FILE, Table

LISTED, TRAPPED, CLEAR = "192.0.2.1", "2001:db8::5", "198.51.100.7"
STANDARD = "198.51.100.66"


@pytest.fixture
def known(served: Served) -> Served:
    """A server whose dynamic database lists one address by verdicts and one by traps, and whose standard one holds a third."""
    with served.client() as client:
        body = {"name": "test", "kind": "known-source", "days": 0}
        client.post("/api/v1/reputation/import", params=body, headers=served.operator, content=f"{STANDARD}\n").raise_for_status()
    served.observe(LISTED, count=40, by="gateway")
    served.observe(TRAPPED, EvidenceKind.TRAP, 5, detail="secret-trap@example.com")
    served.keep()
    return served


def form(page: httpx.Response) -> dict[str, str]:
    """What a browser would send of the form to be taken off."""
    fields = LexborHTMLParser(page.text).css("form[method=post] input[type=hidden]")
    return {str(field.attributes["name"]): str(field.attributes["value"]) for field in fields}


def words(page: httpx.Response) -> str:
    return re.sub(r"\s+", " ", LexborHTMLParser(page.text).css_first("main").text())


def is_listed(served: Served, address: str) -> bool:
    found = source(address)
    assert found is not None
    table = Table.open(served.settings.snapshots_folder / DYNAMIC_FILE)
    return table.find(found, time.time()) is not None


def test_a_listed_address_is_told_why_since_when_until_when_and_what_to_do(known: Served) -> None:
    """The page says what the listing is, how much evidence there is, and offers the form."""
    with known.client() as client:
        text = words(client.get("/lookup", params={"ip": LISTED}))
    assert f"{LISTED} is listed" in text
    assert "burst of spam" in text
    assert "40 messages judged as spam" in text
    assert re.search(r"Since\s*20\d\d-\d\d-\d\d \d\d:\d\d UTC", text)
    assert re.search(r"Until\s*20\d\d-\d\d-\d\d \d\d:\d\d UTC", text)
    assert "Take it off now" in text


@pytest.mark.parametrize("address", [CLEAR, "2001:db8:1::1", "::ffff:198.51.100.7"])
def test_an_address_that_is_not_listed_has_nothing_to_ask_for(known: Served, address: str) -> None:
    """v4, v6 and v4 in v6 are understood; there is no form to be taken off."""
    with known.client() as client:
        page = client.get("/lookup", params={"ip": address})
    assert page.status_code == 200
    assert "is not listed" in words(page)
    assert form(page) == {}


def test_nobody_learns_who_reported_or_which_trap_was_hit(known: Served) -> None:
    """Counts by kind are shown; the trap's address and the observers are not, on the page and in the API."""
    with known.client() as client:
        page = client.get("/lookup", params={"ip": TRAPPED})
        answer = client.get("/api/v1/reputation/lookup", params={"ip": TRAPPED})
    assert "5 messages to spam traps" in words(page)
    assert answer.json()["evidence"] == {"trap": 5}
    for text in (page.text, answer.text):
        assert "secret-trap" not in text
        assert "gateway" not in text


@pytest.mark.parametrize(
    "typed", ["300.1.1.1", "example.com", "1.2.3", "fe80::1%eth0", "x" * 500, "<script>alert(1)</script>", "\x00\x1b[2J"]
)
def test_what_is_no_address_is_answered_with_words(served: Served, typed: str) -> None:
    """The mistake is named beside the field, and what was typed comes back escaped."""
    with served.client() as client:
        page = client.get("/lookup", params={"ip": typed})
    assert page.status_code == 422
    assert "This is no IP address" in words(page)
    assert "<script" not in page.text
    assert "\x1b" not in page.text
    shown = LexborHTMLParser(page.text).css_first("#ip").attributes["value"]
    assert shown is not None
    assert len(shown) <= 210


def test_a_dynamic_listing_is_taken_off_at_once_and_once_a_week(known: Served) -> None:
    """The request works for verdicts; the second one within a week waits for the operator."""
    with known.client() as client:
        asked = client.post("/lookup", data=form(client.get("/lookup", params={"ip": LISTED})))
        assert "The address is taken off" in words(asked)
        known.keep()
        assert not is_listed(known, LISTED)
        known.observe(LISTED, count=200)
        known.keep()
        assert is_listed(known, LISTED)
        again = client.post("/lookup", data=form(client.get("/lookup", params={"ip": LISTED})))
    assert "A person will decide" in words(again)
    known.keep()
    assert is_listed(known, LISTED)
    states = [request.state for request in Requests(known.settings.reputation_folder).all()]
    assert sorted(states) == [State.AUTOMATIC, State.OPEN]


@pytest.mark.parametrize("address", [TRAPPED, STANDARD])
def test_traps_and_the_standard_database_wait_for_the_operator(known: Served, address: str) -> None:
    """Nothing is taken off, and the operator sees who asked and what they wrote."""
    with known.client() as client:
        sent = form(client.get("/lookup", params={"ip": address})) | {"contact": "me@example.com", "comment": "mended\nit <b>"}
        asked = client.post("/lookup", data=sent)
        assert "A person will decide" in words(asked)
        known.keep()
        still = client.get("/api/v1/reputation/lookup", params={"ip": address}).json()
        assert still["listed"]
        assert still["delisting"] == "operator"
        page = client.get("/reputation")
    (waiting,) = Requests(known.settings.reputation_folder).open()
    assert (waiting.address, waiting.contact, waiting.comment) == (address, "me@example.com", "mended it <b>")
    assert html.escape("mended it <b>") in page.text


@pytest.mark.parametrize(
    "spoilt",
    [{"token": ""}, {"token": "1.abc"}, {"token": "99999999999.0"}, {"ip": TRAPPED}],
    ids=["none", "old", "forged", "for another address"],
)
def test_a_form_that_is_not_ours_changes_nothing(known: Served, spoilt: dict[str, str]) -> None:
    """Only a form that was given out for this address counts."""
    with known.client() as client:
        sent = form(client.get("/lookup", params={"ip": LISTED})) | spoilt
        asked = client.post("/lookup", data=sent)
    assert asked.status_code == 403
    assert Requests(known.settings.reputation_folder).all() == []


def test_a_form_sent_by_another_site_changes_nothing(known: Served) -> None:
    """Browsers say where a form comes from."""
    with known.client() as client:
        sent = form(client.get("/lookup", params={"ip": LISTED}))
        asked = client.post("/lookup", data=sent, headers={"Sec-Fetch-Site": "cross-site"})
    assert asked.status_code == 403
    assert Requests(known.settings.reputation_folder).all() == []


def test_one_network_can_ask_for_a_few_addresses_only(known: Served) -> None:
    """The sixth request within the hour is told to wait, and how long."""
    addresses = [f"198.51.100.{number}" for number in range(100, 106)]
    for address in addresses:
        known.observe(address, count=40)
    known.keep()
    with known.client() as client:
        answers = [client.post("/lookup", data=form(client.get("/lookup", params={"ip": address}))) for address in addresses]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 720


def test_looking_up_has_a_limit_of_its_own(served: Served) -> None:
    """Who collects the database by asking for every address is slowed down."""
    with served.client() as client:
        codes = [client.get("/lookup", params={"ip": f"192.0.2.{number}"}).status_code for number in range(160)]
        operator = client.get("/api/v1/reputation/lookup", params={"ip": "192.0.2.1"}, headers=served.operator).status_code
    assert codes[0] == 200
    assert codes[-1] == 429
    assert operator == 200


def test_a_damaged_database_is_said_so(served: Served) -> None:
    """The page neither crashes nor claims that nothing is listed."""
    served.keep()
    (served.settings.snapshots_folder / DYNAMIC_FILE).write_bytes(b"rubbish\n")
    with served.client() as client:
        page = client.get("/lookup", params={"ip": CLEAR})
        answer = client.get("/api/v1/reputation/lookup", params={"ip": CLEAR})
        status = client.get("/reputation")
    assert page.status_code == answer.status_code == 503
    assert "cannot be reached at the moment" in words(page)
    assert "is not listed" not in page.text
    assert answer.json()["error"]
    assert status.status_code == 200
    assert "cannot be used" in words(status)


def test_a_listing_above_the_level_of_the_zone_is_said_to_be_one(serve: Serve) -> None:
    """Who answers its zone at level 1 still tells what strict servers refuse."""
    strict = serve(reputation={"level": 1})
    found = source(LISTED)
    assert found is not None
    now = int(time.time())
    row = {"start": found.number, "end": found.number, "kind": 4, "since": now, "count": 1, "reason": 0}
    row |= {"until_1": 0, "until_2": 0, "until_3": 0, "until_4": now + 600}
    columns = {name: np.array([value]) for name, value in row.items()}
    snapshot.write(strict.settings.snapshots_folder / DYNAMIC_FILE, columns, {}, [""], 1, now)
    with strict.client() as client:
        answer = client.get("/api/v1/reputation/lookup", params={"ip": LISTED}).json()
        page = client.get("/lookup", params={"ip": LISTED})
    (listing,) = answer["listings"]
    assert listing["level"] == 4
    assert not listing["in_zone"]
    assert "Only strict servers" in words(page)


def test_a_neighbour_of_spammers_is_taken_off_too(served: Served) -> None:
    """An address that is listed for its network only, and never sent anything, can ask as well."""
    for number in range(60):
        served.observe(f"203.0.113.{number}", count=40)
    served.keep()
    innocent = "203.0.113.200"
    assert is_listed(served, innocent)
    with served.client() as client:
        asked = client.post("/lookup", data=form(client.get("/lookup", params={"ip": innocent})))
    assert "The address is taken off" in words(asked)
    served.keep()
    assert not is_listed(served, innocent)
    assert is_listed(served, "203.0.113.201")
