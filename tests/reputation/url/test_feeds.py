"""Feeds of URLs: every format, packed and not, and what is refused with its line."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailward.reputation.ip.imports import ListRefused
from mailward.reputation.url import imports
from mailward.reputation.url.entry import EntryKind
from mailward.reputation.url.feeds import catalogue, feed_source
from mailward.reputation.url.formats import FeedFormat, detect
from mailward.reputation.url.imports import Imported, read
from mailward.reputation.url.place import Keying, Scope, text

NOW = 1_795_000_000.0
KEYING = Keying(b"a salt for tests")
ENTRY_2026_11_01 = 1_793_491_200
URLHAUS_CSV = """\
################################################################
# abuse.ch URLhaus Database Dump (CSV - recent URLs only)      #
################################################################
#
# id,dateadded,url,url_status,last_online,threat,tags,urlhaus_link,reporter
"3","2026-11-01 00:00:00","http://192.0.2.5:8080/bin.sh","online","2026-11-02 00:00:00","malware_download","32-bit,elf","https://urlhaus.abuse.ch/url/3/","x"
"2","2026-11-01 00:00:00","https://files.evil-host.example/a,b.exe","offline","","malware_download","None","https://urlhaus.abuse.ch/url/2/","y"
"""
URLHAUS_JSON = json.dumps(
    {
        "3": [
            {"dateadded": "2026-11-01 00:00:00 UTC", "url": "http://192.0.2.5:8080/bin.sh", "threat": "malware_download", "tags": ["elf"]}
        ],
        "2": [{"dateadded": "2026-11-01 00:00:00 UTC", "url": "https://files.evil-host.example/a,b.exe", "threat": None, "tags": None}],
    },
    indent=1,
)
PHISHTANK_CSV = """\
phish_id,url,phish_detail_url,submission_time,verified,verification_time,online,target
9,https://files.evil-host.example/a%2Cb.exe?x=1,http://d.example/9,2026-11-01T00:00:00+00:00,yes,2026-11-01,yes,Example Bank
8,"http://unverified.example/a,b",http://d.example/8,2026-11-01T00:00:00+00:00,no,,yes,Other
"""
PHISHTANK_JSON = json.dumps(
    [
        {
            "phish_id": "9",
            "url": "https://files.evil-host.example/a%2Cb.exe?x=1",
            "submission_time": "2026-11-01T00:00:00+00:00",
            "verified": "yes",
            "online": "yes",
            "target": "Example Bank",
            "details": [{"ip_address": "192.0.2.1"}],
        },
        {"phish_id": "8", "url": "http://unverified.example/", "verified": "no"},
    ]
)
URLS = "http://192.0.2.5:8080/bin.sh\n\n# a comment\nhttps://files.evil-host.example/a,b.exe#part\r\n"
HOSTS = "127.0.0.1\tlocalhost\n# comment\n0.0.0.0 files.evil-host.example other.evil-host.example # why\n::1 ip6-localhost\n"
DOMAINS = "# names\nevil-host.example\n*.wild.example\n192.0.2.5\nbücher-evil.example\n"
TRANCO = "1,google.com\n2,evil-host.example\n3,com\n"
CRUX = "origin,rank\nhttps://www.google.com,1000\nhttps://evil-host.example,5000\n"
MAJESTIC = "GlobalRank,TldRank,Domain,TLD,RefSubNets\n1,1,google.com,com,5\n2,2,evil-host.example,example,4\n"


def taken(content: str | bytes, kind: EntryKind = EntryKind.PHISHING, format: FeedFormat | None = None, rating: int = 20) -> Imported:
    data = content.encode() if isinstance(content, str) else content
    return read(io.BytesIO(data), KEYING, kind, rating, NOW, format)


def rows(feed: Imported) -> dict[int, tuple[int, int, str]]:
    """Rating, since and text by key."""
    columns = feed.columns
    found = zip(*(columns[name].tolist() for name in ("key", "rating", "since", "text")), strict=True)
    return {key: (rating, since, feed.texts[said]) for key, rating, since, said in found}


def key(scope: Scope, name: str) -> int:
    return KEYING.key(text(scope, name))


@pytest.mark.parametrize(
    ("content", "format", "entries"),
    [
        (URLHAUS_CSV, FeedFormat.URLHAUS_CSV, 2),
        (URLHAUS_JSON, FeedFormat.URLHAUS_JSON, 2),
        (PHISHTANK_CSV, FeedFormat.PHISHTANK_CSV, 1),
        (PHISHTANK_JSON, FeedFormat.PHISHTANK_JSON, 1),
        (URLS, FeedFormat.URLS, 2),
        (HOSTS, FeedFormat.HOSTS, 2),
        (DOMAINS, FeedFormat.DOMAINS, 4),
        (TRANCO, FeedFormat.POPULARITY, 2),
        (CRUX, FeedFormat.POPULARITY, 2),
        (MAJESTIC, FeedFormat.POPULARITY, 2),
    ],
)
def test_each_format_is_told_and_read(content: str, format: FeedFormat, entries: int) -> None:
    """What the feed names is taken, whole and without refusals; the format is found out."""
    kind = EntryKind.POPULAR if format is FeedFormat.POPULARITY else EntryKind.PHISHING
    assert detect(content) is format
    feed = taken(content, kind)
    assert (feed.format, feed.entries, feed.refusals) == (format, entries, ())


@pytest.mark.parametrize("content", [URLHAUS_CSV, URLHAUS_JSON])
def test_urlhaus_says_since_when_and_why(content: str) -> None:
    """Time and threat are kept; the port belongs to the URL; the host of a bare address is kept too."""
    found = rows(taken(content, EntryKind.MALWARE, rating=15))
    assert found[key(Scope.URL, "192.0.2.5:8080/bin.sh")] == (15, ENTRY_2026_11_01, "malware_download")
    assert found[key(Scope.URL, "files.evil-host.example/a,b.exe")][:2] == (15, ENTRY_2026_11_01)
    assert found[key(Scope.HOST, "192.0.2.5")][0] == imports.HOST_RATING


@pytest.mark.parametrize("content", [PHISHTANK_CSV, PHISHTANK_JSON])
def test_phishtank_takes_what_is_verified(content: str) -> None:
    """The target is the text; what nobody verified is no entry."""
    found = rows(taken(content))
    assert found[key(Scope.URL, "files.evil-host.example/a%2Cb.exe?x=1")] == (20, ENTRY_2026_11_01, "aimed at Example Bank")
    assert not any(key(scope, "unverified.example") in found for scope in Scope)


def test_a_url_speaks_for_its_host_only_where_nobody_else_lives() -> None:
    """A front page lists the host as it is rated, another page milder; places for everybody and well-known sites only by the URL."""
    feed = taken(
        "http://front.example/\nhttp://deep.example/a/b\nhttps://sites.google.com/view/x\nhttp://www.evil.pages.dev/\nhttps://github.com/a/b\n"
    )
    found = rows(feed)
    assert found[key(Scope.HOST, "front.example")][0] == 20
    assert found[key(Scope.HOST, "deep.example")][0] == 60
    assert found[key(Scope.HOST, "evil.pages.dev")][0] == 20
    assert key(Scope.HOST, "sites.google.com") not in found
    assert key(Scope.HOST, "github.com") not in found
    assert found[key(Scope.URL, "github.com/a/b")][0] == 20


def test_names_of_a_list_hold_below_and_names_of_a_hosts_file_do_not() -> None:
    """A plain list means domains, a hosts file means hosts; an address is a host; a public suffix is itself alone."""
    names, hosts = rows(taken(DOMAINS + "pages.dev.example\n")), rows(taken(HOSTS))
    assert key(Scope.DOMAIN, "evil-host.example") in names
    assert key(Scope.DOMAIN, "wild.example") in names
    assert key(Scope.HOST, "192.0.2.5") in names
    assert key(Scope.DOMAIN, "xn--bcher-evil-9db.example") in names
    assert {key(Scope.HOST, "files.evil-host.example"), key(Scope.HOST, "other.evil-host.example")} == set(hosts)


def test_no_list_names_a_well_known_site_as_a_whole() -> None:
    """google.com and pages.dev on a list of bad names are passed over, and said so with their lines."""
    feed = taken("evil.example\ngoogle.com\npages.dev\ndrive.google.com\n")
    assert feed.entries == 1
    assert [refusal.line for refusal in feed.refusals] == [2, 3, 4]
    assert "well known" in feed.refusals[0].what


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (
            "http://a.example/1\nnot a url\nhttp://b.example/2\nhttp://[::1/\nhttp://c.example/\nhttp://127.0.0.1/x\nhttp://d.example/\n",
            [2, 4, 6],
        ),
        (URLHAUS_CSV + '"broken\n"1","2026-11-01 00:00:00","no url"\n', [8, 9]),
        (PHISHTANK_CSV + "7,ftp-nothing,x\n6,https://z.example/,d,2026-11-01,yes,,yes,T\n5\n", [4, 6]),
        (HOSTS + "192.0.2.9 real.example\n", [5]),
        (DOMAINS + "two words\n-\n", [6, 7]),
        (
            '[\n{"url": "http://a.example/"},\n{"url": 5},\n{"url": "http://b.example/"},\n\n{"nourl": 1},\n{"url": "http://c.example/"}]',
            [3, 6],
        ),
    ],
)
def test_refusals_name_their_lines(content: str, lines: list[int]) -> None:
    """What cannot be taken is named with its line, also inside JSON, and the rest goes on."""
    assert [refusal.line for refusal in taken(content).refusals] == lines


def zipped(content: bytes, *names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda content: zipped(content, "top-1m.csv", "readme.md")])
def test_packed_feeds_are_unpacked(pack: Callable[[bytes], bytes]) -> None:
    """gzip, bzip2 and zip, told by their first octets."""
    assert taken(pack(PHISHTANK_CSV.encode())).entries == 1
    assert taken(pack(TRANCO.encode()), EntryKind.POPULAR).entries == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no entry"),
        (gzip.compress(URLS.encode(), mtime=0)[:40], "unpacked"),
        (b"PK\3\4 no archive", "unpacked"),
        (zipped(b"x", "a.csv", "b.csv"), "2 lists"),
        (zipped(b"x", "a.exe"), "0 lists"),
        (b"[1, 2", "no JSON"),
        (b"\0\1\2\3" * 100 + b"\n" + b"zz\n" * 10, "most lines"),
    ],
)
def test_what_is_no_feed_is_refused_as_a_whole(content: bytes, says: str) -> None:
    with pytest.raises(ListRefused, match=says):
        taken(content)


def test_a_bomb_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that unpacks to more than a list may have is refused without unpacking all of it."""
    monkeypatch.setattr("mailward.reputation.ip.imports.MAX_OCTETS", 1 << 20)
    with pytest.raises(ListRefused, match="larger than 1 MB"):
        taken(gzip.compress(b"http://a.example/\n" * 2_000_000))
    monkeypatch.setattr(imports, "MAX_JSON", 1 << 20)
    with pytest.raises(ListRefused, match="JSON feed may have 1 MB"):
        taken(gzip.compress(b"[" + b" " * (8 << 20) + b"]"), format=FeedFormat.PHISHTANK_JSON)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([*FeedFormat, None]))
def test_nothing_but_a_refusal_comes_of_anything(content: bytes, format: FeedFormat | None) -> None:
    """Whatever a server sends is read or refused."""
    kind = EntryKind.POPULAR if format is FeedFormat.POPULARITY else EntryKind.PHISHING
    with contextlib.suppress(ListRefused):
        taken(content, kind, format)


def test_the_catalogue_names_terms_and_can_be_used() -> None:
    """Each offer has terms and a site; one that has an address can be named by its name alone, others need a source."""
    assert {"urlhaus", "phishtank", "openphish", "tranco", "umbrella", "crux", "majestic"} <= set(catalogue())
    for name, offer in catalogue().items():
        assert len(offer.terms) > 10
        assert offer.site.startswith("https://")
        made = feed_source(name, "" if offer.address else "https://example.org/x?key=secret")
        assert made.every >= 300
        assert "secret" not in made.place
    keyed = feed_source("phishtank", "https://data.example.org/data/0123456789abcdef0123456789abcdef/online-valid.csv.bz2")
    assert keyed.place == "https://data.example.org/data/.../online-valid.csv.bz2"
    with pytest.raises(ValueError, match="names no source"):
        feed_source("phishtank")
    with pytest.raises(ValueError, match="not in the catalogue"):
        feed_source("mine")
    assert feed_source("mine", "/var/lib/list.txt", rating=33, kind="spam").rating == 33
