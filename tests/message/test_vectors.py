"""Published messages: part trees, expected values and broken mail of other libraries; and what fuzzing found here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailward.message import Message, Part
from mailward.message.parse import read

_FOUND = Path(__file__).parent.parent / "vectors" / "found"


@pytest.fixture(scope="session")
def vectors(shared: Path) -> Path:
    """The folder of published vectors."""
    folder = shared / "vectors"
    if not folder.is_dir():
        pytest.skip("needs the vectors folder beside the corpora")
    return folder


_REF_PART = re.compile(r'"Part_([\d_]+)" => \{(.*?)\n  \}', re.S)
_REF_VALUE = re.compile(r'"(Type|Filename|Disposition|Encoding)" => "(.*?)",')


def _reference(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The parts a reference names, by their number in the tree ("2_1" is the first part of the second)."""
    for m in _REF_PART.finditer(text):
        yield m[1], {key: re.sub(r"\\x\{([0-9a-f]+)\}", lambda x: chr(int(x[1], 16)), value) for key, value in _REF_VALUE.findall(m[2])}


def _numbered(m: Message) -> dict[str, Part]:
    numbers = {0: ""}
    children: dict[int, int] = {}
    for i, part in enumerate(m.parts[1:], 1):
        children[part.parent] = children.get(part.parent, 0) + 1
        numbers[i] = f"{numbers[part.parent]}_{children[part.parent]}".strip("_")
    return {numbers[i]: part for i, part in enumerate(m.parts)}


@pytest.mark.parametrize("name", ["bluedot-postcard", "dup-names", "multi-2gifs", "multi-digest", "multi-igor", "multi-nested",
                                  "multi-nested3", "multi-weirdspace"])  # fmt: skip
def test_part_trees(vectors: Path, name: str) -> None:
    """Types, file names, dispositions and encodings of the torture messages are the ones their references state, part by part."""
    parts = _numbered(read((vectors / "mime" / f"{name}.msg").read_bytes()))
    wanted = dict(_reference((vectors / "mime" / f"{name}.ref").read_text("utf-8")))
    assert wanted
    for number, values in wanted.items():
        part = parts[number]
        assert values.get("Type", part.content_type).lower() in {part.content_type, part.declared_type}, number
        assert part.filename == values.get("Filename", part.filename).replace("\\", "/").rpartition("/")[2], number
        assert part.disposition == values.get("Disposition", part.disposition), number
        assert part.encoding == values.get("Encoding", part.encoding).lower() or not part.encoding, number


@pytest.mark.parametrize(("name", "filename"), [("russian", "Список.doc"), ("german", "")])
def test_single_parts(vectors: Path, name: str, filename: str) -> None:
    """Messages of one part keep its decoded name."""
    assert read((vectors / "mime" / f"{name}.msg").read_bytes()).parts[0].filename == filename


def test_published_broken_mail_is_read(vectors: Path) -> None:
    """Every message of the collections is parsed without the net underneath and has headers or a text."""
    paths = [
        p
        for folder in ("mime", "mail_fixtures", "mail_messages")
        for p in sorted((vectors / folder).rglob("*"))
        if p.suffix in {".eml", ".msg"}
    ]
    assert len(paths) > 150
    for path in paths:
        m = read(path.read_bytes())
        assert m.headers or m.text, path.name


def _header(part: dict[str, Any], name: str) -> Any:
    return next((h["value"] for h in part["headers"] if h["name"] == name), None)


def _mailboxes(value: dict[str, Any] | None) -> list[str]:
    if not value:
        return []
    address = value["Address"]
    boxes = address.get("List") or [box for group in address.get("Group", []) for box in group["addresses"]]
    return [box["address"] for box in boxes if box.get("address")]


def test_expected_values(vectors: Path) -> None:
    """Subject, From and part count of the messages with expected JSON agree with it for all but a few where reasonable readers differ."""
    wrong = []
    paths = sorted((vectors / "mail_messages").rglob("*.json"))
    assert len(paths) > 50
    for path in paths:
        wanted = json.loads(path.read_text("utf-8"))["parts"][0]
        source = path.with_suffix("").with_suffix(".eml") if path.name.endswith(".crlf.json") else path.with_suffix(".eml")
        m = read(source.read_bytes())
        subject = _header(wanted, "subject")
        if subject and "\ufffd" not in subject["Text"] and " ".join(subject["Text"].split()) != m.subject:
            wrong.append((path.name, "subject", subject["Text"], m.subject))
        addresses = _mailboxes(_header(wanted, "from"))
        if [a.lower() for a in addresses] != [a.addr.lower() for a in m.from_]:
            wrong.append((path.name, "from", addresses, m.from_))
    assert len(wrong) <= len(paths) // 20, wrong


@pytest.mark.parametrize("path", sorted(_FOUND.glob("*.eml")), ids=lambda path: path.name)
def test_what_fuzzing_found_stays_mended(path: Path) -> None:
    """Each input that once broke the parser, or a promise of it, is read, and all of its texts can be written as UTF-8."""
    m = read(path.read_bytes())
    assert m.size == path.stat().st_size
    assert repr((m.subject, m.from_, m.to, m.return_path, m.received, m.parts, m.text, m.links, m.findings)).encode()
