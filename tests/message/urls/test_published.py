"""Hosts against published vectors (public suffixes, IDNA) and, in the corpora, against a browser's reading."""

from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from mailward.message.domains import registrable
from mailward.message.urls import browser

_SPEC = importlib.util.spec_from_file_location("mailward_hosts", Path(__file__).parent.parent.parent.parent / "benchmarks" / "hosts.py")
assert _SPEC is not None
assert _SPEC.loader is not None
hosts = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hosts)

_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x\{([0-9A-Fa-f]+)\}")
_STATUS = re.compile(r"[A-Z]\d(?:_\d)?")
_NOT_CHECKED = {"A4_1", "A4_2", "X4_2", "V2", "V3", "U1"}  # lengths, hyphens, STD3: browsers do without (WHATWG URL 3.3)
_NO_HOST = re.compile(r"[\x00-\x20/?#\\@:%\[\]<>^|]")  # ends a host, or forbids it, before IDNA is asked


@pytest.fixture(scope="session")
def vectors(shared: Path) -> Path:
    """The folder of published vectors."""
    folder = shared / "vectors"
    if not folder.is_dir():
        pytest.skip("needs the vectors folder beside the corpora")
    return folder


def _host(written: str) -> str:
    return browser.host(browser.read(f"http://{written}/"))


def test_registrable_domains(vectors: Path) -> None:
    """Every vector of the public suffix list, read as a URL's host first."""
    rows = [json.loads(line) for line in (vectors / "psl" / "psl.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == 78
    for row in rows:
        if row["input"] is not None:
            wanted = _host(row["expect"]) if row["expect"] else ""
            assert registrable(_host(row["input"])) == wanted, row


def _plain(text: str) -> str:
    plain = _ESCAPE.sub(lambda m: chr(int(m[1] or m[2], 16)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def test_international_names(vectors: Path) -> None:
    """No name of Unicode's tables is read as another host than they say. Where the library's tables are older it refuses a name, and it
    lets some names through that mix directions of writing; how many is said in docs/urls.md.
    """
    counts: Counter[str] = Counter()
    others = []
    for line in (vectors / "idna" / "idna_v2.jsonl").read_text("utf-8").splitlines():
        source, to_unicode, unicode_status, to_ascii, ascii_status, _, _ = map(_plain, json.loads(line))
        wanted = (to_ascii or to_unicode or source).lower()
        refused = bool(set(_STATUS.findall(ascii_status or unicode_status)) - _NOT_CHECKED)
        if _NO_HOST.search(source) or not source or wanted == '""':
            continue
        host = _host(source)
        counts["refused" if refused else "read"] += 1
        counts["refused alike" if refused else "read alike"] += host == ("" if refused else wanted)
        if host not in {"", wanted}:
            others.append(source)
    assert counts["read"] > 700
    assert counts["refused"] > 5_000
    assert counts["read alike"] >= 0.91 * counts["read"]
    assert counts["refused alike"] >= 0.94 * counts["refused"]
    assert sorted(others) == [
        "FAẞ.DE",
        "FAẞ.de",
        "xn--ASCII-",
        "xn--unicode-.org",
    ]  # since Unicode 15.1, ẞ is ß; and A-labels of plain ASCII


@pytest.mark.slow
def test_hosts_of_the_corpora(shared: Path) -> None:
    """Every address in every fortieth message of the corpora has the host a browser goes to (benchmarks/hosts.py reads all)."""
    found = [each for message in hosts.messages(shared / "corpora", 40) for each in hosts.compared(message)]
    assert len(found) > 1_000
    assert [(written, host) for written, host, agrees in found if not agrees] == []
