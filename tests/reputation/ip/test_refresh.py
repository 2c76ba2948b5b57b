"""Lists that are fetched again and again, from a real HTTPS server with a CA of its own."""

from __future__ import annotations

import asyncio
import http.server
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.https import Page, Site, page

from mailward.gateway.settings import Settings, SettingsError
from mailward.reputation.address import source
from mailward.reputation.ip import download, imports, refresh
from mailward.reputation.ip.formats import Format
from mailward.reputation.ip.refresh import Refresh, read_states, refresh_forever
from mailward.reputation.ip.sources import ListSource, read_source
from mailward.reputation.ip.standard import StandardDatabase
from mailward.reputation.listing import ListingKind
from mailward.reputation.snapshot import Table

NOW = 1_795_000_000.0
HOUR = 3600


@pytest.fixture
def database(tmp_path: Path) -> StandardDatabase:
    return StandardDatabase(tmp_path / "reputation", tmp_path / "snapshots")


def many(count: int) -> str:
    return "".join(f"20.0.{number >> 8}.{number & 255}\n" for number in range(count))


def listed(database: StandardDatabase, tmp_path: Path, address: str, now: float = NOW) -> bool:
    database.publish_if_due(now)
    found = source(address)
    assert found is not None
    return Table.open(tmp_path / "snapshots" / "standard.ips").find(found, now) is not None


def drop(site: Site, **more: object) -> ListSource:
    return ListSource("drop", ListingKind.KNOWN_SOURCE, site.url("/list.txt?code=secret"), **more)  # type: ignore[arg-type]


def test_a_list_is_fetched_once_and_then_only_asked_about(site: Site, database: StandardDatabase, tmp_path: Path) -> None:
    """The second time the server says it has not changed: nothing is transferred, and the entries hold for longer."""
    site.answer = page(many(300), ETag='"one"')
    state = refresh.refresh(database, drop(site), Refresh(), NOW)
    assert (state.failure, state.succeeded, state.version.etag) == ("", int(NOW), '"one"')
    assert listed(database, tmp_path, "20.0.1.43")
    about = database.find_list("drop")
    assert about is not None
    assert (about.entries, about.source, about.expires) == (300, "drop 2026-11-18", int(NOW) + 7 * 86400)
    site.answer = page("", 304)
    later = refresh.refresh(database, drop(site), state, NOW + HOUR)
    assert (later.failure, later.succeeded, later.version.etag) == ("", int(NOW) + HOUR, '"one"')
    assert site.asked[1]["If-None-Match"] == '"one"'
    assert "If-None-Match" not in site.asked[0]
    assert database.find_list("drop").expires == int(NOW) + HOUR + 7 * 86400  # type: ignore[union-attr]
    assert listed(database, tmp_path, "20.0.1.43", NOW + 7 * 86400)


def test_last_modified_serves_where_there_is_no_etag(site: Site, database: StandardDatabase) -> None:
    """And a list that was removed, or named at another place, is fetched whole."""
    site.answer = page(many(3), Last_Modified="Mon, 23 Nov 2026 08:00:00 GMT")
    state = refresh.refresh(database, drop(site), Refresh(), NOW)
    refresh.refresh(database, drop(site), state, NOW)
    assert site.asked[1]["If-Modified-Since"] == "Mon, 23 Nov 2026 08:00:00 GMT"
    refresh.refresh(database, ListSource("drop", ListingKind.KNOWN_SOURCE, site.url("/other")), state, NOW)
    database.remove_list("drop")
    refresh.refresh(database, drop(site), state, NOW)
    assert [("If-Modified-Since" in asked) for asked in site.asked] == [False, True, False, False]


def cut_off(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.wfile.write(many(300).encode())


def cut_off_chunked(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    request.wfile.write(b"1000\r\n" + many(20).encode())


def silent(request: http.server.BaseHTTPRequestHandler) -> None:
    time.sleep(1.5)


def dripping(request: http.server.BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(30):
        request.wfile.write(b"#")
        request.wfile.flush()
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (page("not here", 404), "the server answers 404"),
        (page("busy", 503), "the server answers 503"),
        (page("<html>\n<p>Sign in</p>\n</html>\n"), "most lines cannot be taken"),
        (page("# nothing today\n"), "there is no entry in it"),
        (page(""), "there is no entry in it"),
        (page(many(149)), "it shrank from 300 entries to 149"),
        (page("0.0.0.0/0\n" * 300), "most lines cannot be taken"),
        (page("", 302, Location="http://localhost/list.txt?code=secret"), "leads to http://localhost/list.txt?..., which is not HTTPS"),
        (page("", 302, Location="file:///etc/passwd?secret"), "302 Found and leads in a circle, or to what is not HTTPS"),
        (page("x" * 2000), "the list is larger than 0 MB"),
        (cut_off, "larger than 0 MB"),
        (cut_off_chunked, "the server's answer cannot be used (IncompleteRead)"),
        (silent, "the server was silent for 1 seconds"),
        (dripping, "takes longer than 1 seconds"),
    ],
)
def test_the_last_good_copy_is_kept(
    site: Site, database: StandardDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Page, says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Whatever goes wrong: the list is as it was, the state and the log say why, and what is secret stands in neither."""
    site.answer = page(many(300), ETag='"one"')
    state = refresh.refresh(database, drop(site), Refresh(), NOW)
    if says.startswith(("the list is larger", "larger")):
        monkeypatch.setattr(download, "MAX_OCTETS", 1000)
    monkeypatch.setattr(download, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(download, "MAX_SECONDS", 1.0)
    site.answer = answer
    failed = refresh.refresh(database, drop(site), state, NOW + HOUR)
    assert says in failed.failure
    assert (failed.tried, failed.succeeded, failed.version) == (int(NOW) + HOUR, int(NOW), state.version)
    assert database.find_list("drop").entries == 300  # type: ignore[union-attr]
    assert listed(database, tmp_path, "20.0.1.43", NOW + HOUR)
    assert says in caplog.text
    assert "secret" not in caplog.text + failed.failure


def test_a_transfer_that_ends_early_is_no_list(site: Site, database: StandardDatabase) -> None:
    """Also when what arrived would have been one."""
    site.answer = cut_off
    state = refresh.refresh(database, drop(site), Refresh(), NOW)
    assert "the connection ended after 3," in state.failure
    assert database.find_list("drop") is None


def test_a_certificate_nobody_vouches_for_is_not_trusted(site: Site, database: StandardDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one of an unknown CA, nor one of another name; nothing is even asked."""
    trusted = ListSource("drop", ListingKind.KNOWN_SOURCE, f"https://127.0.0.1:{site.port}/")
    assert "certificate of the server is not trusted: IP address mismatch" in refresh.refresh(database, trusted, Refresh(), NOW).failure
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "certificate of the server is not trusted" in refresh.refresh(database, drop(site), Refresh(), NOW).failure
    assert site.asked == []


def test_a_server_that_is_not_there(database: StandardDatabase, free_port: int) -> None:
    """Is said in words."""
    nowhere = ListSource("drop", ListingKind.KNOWN_SOURCE, f"https://127.0.0.1:{free_port}/")
    assert refresh.refresh(database, nowhere, Refresh(), NOW).failure == "Connection refused"


def test_redirects_to_https_are_followed(site: Site, database: StandardDatabase) -> None:
    """To the end, but not in a circle."""
    site.answer = lambda request: (page("192.0.2.1\n") if request.path == "/there" else page("", 302, Location="/there"))(request)
    assert refresh.refresh(database, drop(site), Refresh(), NOW).failure == ""
    site.answer = page("", 302, Location="/list.txt")
    assert "302" in refresh.refresh(database, drop(site), Refresh(), NOW).failure


def test_a_list_that_shrank_is_believed_when_the_old_one_has_expired(site: Site, database: StandardDatabase) -> None:
    """Or when it was removed, or small before; half of it is no suspicious loss."""
    site.answer = page(many(300))
    state = refresh.refresh(database, drop(site, expires=HOUR), Refresh(), NOW)
    site.answer = page(many(5))
    assert refresh.refresh(database, drop(site), state, NOW + HOUR - 1).failure
    assert refresh.refresh(database, drop(site), state, NOW + HOUR).failure == ""
    site.answer = page(many(1))
    assert refresh.refresh(database, drop(site), state, NOW + HOUR).failure == ""


def test_a_file_is_read_when_it_has_changed(database: StandardDatabase, tmp_path: Path) -> None:
    """Its time and size tell; one that is gone keeps the copy."""
    file = tmp_path / "list"
    file.write_text("192.0.2.1\t5\n192.0.2.2\t1\n")
    named = ListSource("file", ListingKind.EMERGING_THREAT, str(file), format=Format.IPSUM, at_least=2)
    state = refresh.refresh(database, named, Refresh(), NOW)
    assert database.find_list("file").imported == int(NOW)  # type: ignore[union-attr]
    state = refresh.refresh(database, named, state, NOW + 5)
    assert database.find_list("file").imported == int(NOW)  # type: ignore[union-attr]
    assert listed(database, tmp_path, "192.0.2.1")
    assert not listed(database, tmp_path, "192.0.2.2")
    file.write_text("192.0.2.2\t5\n192.0.2.3\t5\n")
    state = refresh.refresh(database, named, state, NOW + 9)
    assert (database.find_list("file").imported, database.find_list("file").entries) == (int(NOW) + 9, 2)  # type: ignore[union-attr]
    file.unlink()
    assert "No such file" in refresh.refresh(database, named, state, NOW + 10).failure
    assert database.find_list("file").entries == 2  # type: ignore[union-attr]


async def test_lists_are_fetched_when_they_are_due_until_told_to_stop(
    site: Site, database: StandardDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new list at once, a failed one soon again; the states are on disk, and nobody else can read them."""
    monkeypatch.setattr(refresh, "AGAIN_SECONDS", 0.5)
    site.answer = page("", 503)
    stop = asyncio.Event()
    task = asyncio.create_task(refresh_forever(database, [drop(site)], stop))
    await until(lambda: len(site.asked) >= 2)
    site.answer = page(many(3))
    await until(lambda: database.find_list("drop") is not None)
    await until(lambda: read_states(database)["drop"].failure == "")
    asked = len(site.asked)
    stop.set()
    await asyncio.wait_for(task, 5)
    assert (database.folder / "refresh.json").stat().st_mode & 0o077 == 0
    again = asyncio.Event()
    task = asyncio.create_task(refresh_forever(database, [drop(site)], again))
    await asyncio.sleep(0.3)  # long enough for a request, had it been due
    again.set()
    await asyncio.wait_for(task, 5)
    assert len(site.asked) == asked


async def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_stopping_ends_a_download(site: Site, database: StandardDatabase) -> None:
    """The service need not wait for a slow server."""
    site.answer = dripping
    assert "interrupted" in refresh.refresh(database, drop(site), Refresh(), NOW, lambda: True).failure


def test_lists_are_named_in_the_settings() -> None:
    """Name, kind and place; the rest has defaults."""
    assert read_source("drop known-source https://example.org/drop.txt") == ListSource(
        "drop", ListingKind.KNOWN_SOURCE, "https://example.org/drop.txt", 6 * HOUR, 168 * HOUR
    )
    assert read_source("a dynamic-space /var/lib/a every 15m expires 30d format rbldnsd at-least 3") == ListSource(
        "a", ListingKind.DYNAMIC_SPACE, "/var/lib/a", 900, 720 * HOUR, Format.RBLDNSD, 3
    )
    assert read_source("drop known-source https://example.org/x?key=1").place == "https://example.org/x?..."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("drop known-source", "is not NAME KIND LOCATION"),
        ("drop known-source /list every", "is not NAME KIND LOCATION"),
        ("../drop known-source /list", "cannot be the name of a list"),
        ("drop burst /list", "'burst' is no kind of list; there are known-source, emerging-threat, dynamic-space"),
        ("drop known-source http://example.org/", "neither https://... nor the full path"),
        ("drop known-source list.txt", "neither https://... nor the full path"),
        ("drop known-source https://me:secret@example.org/", "named with a password"),
        ("drop known-source /list every 1m", "every 15m to 30d"),
        ("drop known-source /list every 2d expires 1d", "expires after that"),
        ("drop known-source /list every soon", "'soon' is no time"),
        ("drop known-source /list format csv", "'csv' is no format; there are text, ipsum, rbldnsd, zone"),
        ("drop known-source /list colour red", "something that is not"),
    ],
)
def test_a_list_that_is_named_wrongly_is_an_error_of_the_settings(tmp_path: Path, text: str, says: str) -> None:
    """With file and line; the password is not repeated."""
    file = tmp_path / "mailward.toml"
    file.write_text(f'[reputation]\nlists = [\n    "{text}",\n]\n')
    with pytest.raises(SettingsError) as error:
        Settings.load(file)
    assert says in str(error.value)
    assert "mailward.toml:3" in str(error.value)
    assert "me:secret" not in str(error.value)


def test_two_lists_cannot_have_one_name(tmp_path: Path) -> None:
    """The second would replace the first."""
    file = tmp_path / "mailward.toml"
    file.write_text('[reputation]\nlists = ["a known-source /a", "a known-source /b"]\n')
    with pytest.raises(SettingsError, match="two of the lists have the same name"):
        Settings.load(file)


def test_limits_of_lists_hold_for_downloads() -> None:
    """One limit for all ways in."""
    assert download.MAX_OCTETS == imports.MAX_OCTETS
