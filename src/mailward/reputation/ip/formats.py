"""The line formats of address lists: plain text, ipsum, rbldnsd files and RFC 5782 zone files.

A reader takes numbered lines and gives entries; a line it cannot take is handed to `refuse` with words for an
administrator, and the rest goes on. Nothing here looks at whether an address may be listed: `imports.py` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from mailward.reputation.address import source
from mailward.reputation.listing import KINDS

EXCLUDED, UNSAID = 0, 255  # instead of the number of a kind: taken out of the list; the file does not say
MAX_TEXT = 200  # characters kept of what a list says about an entry

Range = tuple[int, int, int]  # version, first address, last address
Entry = tuple[int, Range, int, str]  # line, addresses, kind, text
Lines = Iterable[tuple[int, str]]
Refuse = Callable[[int, str], None]
Reader = Callable[[Lines, Refuse], Iterator[Entry]]

_KIND_OF_CODE = {kind.code: number for number, kind in KINDS.items() if kind.code}


class Format(StrEnum):
    TEXT = "text"
    IPSUM = "ipsum"
    RBLDNSD = "rbldnsd"
    ZONE = "zone"


class Refused(ValueError):  # noqa: N818
    """A line that is no entry; the text says why."""


def detect(sample: str) -> Format:
    """Which format the beginning of a list is written in. What is unlike all others is text."""
    lines = [line for line in sample.splitlines() if line.strip() and line[0] not in "#;"][:200]
    special = any(_SPECIAL_LINE.match(line) for line in lines)
    if not special and any(_ZONE_LINE.search(line) for line in lines):
        return Format.ZONE
    if special or any(_RBLDNSD_LINE.match(line) for line in lines):
        return Format.RBLDNSD
    if lines and all(_IPSUM_LINE.fullmatch(line) for line in lines):
        return Format.IPSUM
    return Format.TEXT


_SPECIAL_LINE = re.compile(r"\$(?:SOA|NS|TIMESTAMP|DATASET|MAXRANGE4|\d|=)\s")
_ZONE_LINE = re.compile(r"^\$ORIGIN\s|\sIN\s+(?:SOA|NS|A|TXT)\s|\sA\s+127\.\d|^[^$\s]\S*\s+(?:\d+\s+)?SOA\s", re.IGNORECASE)
_RBLDNSD_LINE = re.compile(
    r":\d|[!$]|\d[\d./-]*\s+:\d|[\da-fA-F:]+(?:/\d+)?\s+:\d|\d+(?:\.\d+){0,2}(?:[/-][\d.]+)?\s*(?:[#;]|$)|(?:\d+\.){3}\d+-\d+\s*(?:[#;]|$)"
)
_IPSUM_LINE = re.compile(r"[\da-fA-F.:]+\t\d+\s*")


def addresses(word: str) -> Range:
    """Read an address, a network or a range `first-last`. A v4-mapped v6 address is the v4 address. Raises Refused."""
    if "/" in word:
        return _network(*word.split("/", 1))
    first, dash, last = word.partition("-")
    begin = source(first)
    end = source(last) if dash else begin
    if begin is None or end is None:
        raise Refused(f"{_cut(word)} is no address, network or range")
    if begin.version != end.version or begin.number > end.number:
        raise Refused(f"{_cut(word)} ends before it begins")
    return begin.version, begin.number, end.number


def _network(address: str, bits: str) -> Range:
    found = source(address)
    if found is None or not bits.isdecimal() or len(bits) > 3:
        raise Refused(f"{_cut(address)}/{_cut(bits)} is no network")
    mapped = 96 if ":" in address and found.version == 4 else 0
    size = (32 if found.version == 4 else 128) + mapped - int(bits)
    if size < 0 or (mapped and int(bits) < mapped):
        raise Refused(f"{address}/{bits} is no network")
    if found.number & ((1 << size) - 1):
        raise Refused(f"{address}/{bits} does not begin at the first address of a network of that size")
    return found.version, found.number, found.number + (1 << size) - 1


def _cut(text: str) -> str:
    return repr(text[:60])


def text(lines: Lines, refuse: Refuse) -> Iterator[Entry]:
    """One address, network or range a line; `#` and `;` begin a comment, words behind the entry are ignored."""
    for number, line in lines:
        words = line.partition("#")[0].partition(";")[0].split(None, 3)
        if not words:
            continue
        word = words[0] if len(words) < 3 or words[1] != "-" else f"{words[0]}-{words[2]}"
        try:
            yield number, addresses(word), UNSAID, ""
        except Refused as error:
            refuse(number, str(error))


def ipsum(at_least: int = 1) -> Reader:
    """An address and the number of lists that carry it; those on fewer than `at_least` are passed over."""

    def read(lines: Lines, refuse: Refuse) -> Iterator[Entry]:
        for number, line in lines:
            words = line.partition("#")[0].split()
            if not words:
                continue
            try:
                if len(words) != 2 or not words[1].isdecimal() or len(words[1]) > 6:
                    raise Refused(f"{_cut(line.strip())} is not an address and a number of lists")
                found, on = addresses(words[0]), int(words[1])
            except Refused as error:
                refuse(number, str(error))
                continue
            if on >= at_least:
                yield number, found, UNSAID, f"on {on} {'list' if on == 1 else 'lists'}"

    return read


def rbldnsd(lines: Lines, refuse: Refuse) -> Iterator[Entry]:
    """Data sets ip4set, ip4trie, ip4tset, ip6trie, ip6tset, and combined ones of these (rbldnsd(8)).

    An exclusion holds inside its own list, against narrower entries too (rbldnsd's sets differ in that; listing less is safe).
    A values that are codes of ours say the kind; a TXT template says the reason, `$` in it is shown as ADDRESS.
    """
    default = (UNSAID, "")
    variables: dict[str, str] = {}
    skipping = False
    for number, line in lines:
        line = line.strip()
        try:
            special = _SPECIAL.match(line)
            if special:
                opened = _SET.match(special[1])
                if opened:
                    skipping = not opened[1].startswith(("ip4", "ip6"))
                if opened and skipping:
                    raise Refused(f"the data set of type {_cut(opened[1])} is not read")
                if special[1][0].isdigit():
                    variables[special[1][0]] = special[1][1:].strip()[:MAX_TEXT]
            elif not line or line[0] in "#;" or skipping:
                continue
            elif line[0] == ":":
                default = _value(line, default, variables)
            else:
                yield number, *_rbldnsd_entry(line, default, variables)
        except Refused as error:
            refuse(number, str(error))


_SPECIAL = re.compile(r"[#;:]?\$(\S.*)")
_VARIABLE = re.compile(r"\$(\d)")
_SET = re.compile(r"DATASET\s+(\w+)")


def _rbldnsd_entry(line: str, default: tuple[int, str], variables: dict[str, str]) -> tuple[Range, int, str]:
    excluded = line[0] == "!"
    word, rest = (*line.lstrip("! \t").split(None, 1), "", "")[:2]
    head, colon, tail = word.partition(":")
    if colon and "." in head:  # a v4 address and its value without space between them
        word, rest = head, f":{tail} {rest}"
    found = _abbreviated_v6(word) if ":" in word else _abbreviated_v4(word)
    if excluded:
        return found, EXCLUDED, ""
    kind, said = default if not rest or rest[0] in "#;" else _value(rest, default, variables)
    return found, kind, said


def _value(text: str, default: tuple[int, str], variables: dict[str, str]) -> tuple[int, str]:
    """`:A:TXT`, `:A` or `TXT`: the kind that the A value stands for, and the text."""
    kind = default[0]
    if text[0] == ":":
        _, code, text = (*text.split(":", 2), "")[:3]
        code = code.strip()
        kind = _KIND_OF_CODE.get(f"127.0.0.{code}" if code.isdecimal() else code, UNSAID) if code else kind
    said = _VARIABLE.sub(lambda found: variables.get(found[1], ""), text.strip()[:MAX_TEXT]).replace("$", "ADDRESS")
    return kind, said[:MAX_TEXT]


def _abbreviated_v4(word: str) -> Range:
    """`192.0.2`, `192.0.2/24`, `192.0.2.1-7`, `192.0-192.1` and everything in full."""
    whole = source(word)
    if whole is not None:
        return whole.version, whole.number, whole.number
    first, dash, last = word.partition("-")
    if not dash:
        first, slash, bits = word.partition("/")
        octets = _octets(word, first)
        return _network(_dotted(octets, 0), bits if slash else str(8 * len(octets)))
    begin, end = _octets(word, first), _octets(word, last)
    if len(end) == 1 and len(begin) > 1:
        end = [*begin[:-1], end[0]]
    return addresses(f"{_dotted(begin, 0)}-{_dotted(end, 255)}")


def _octets(word: str, prefix: str) -> list[int]:
    parts = prefix.split(".")
    if len(parts) > 4 or not all(part.isdecimal() and len(part) < 4 and int(part) < 256 for part in parts):
        raise Refused(f"{_cut(word)} is no address, network or range")
    return [int(part) for part in parts]


def _dotted(octets: list[int], fill: int) -> str:
    return ".".join(map(str, [*octets, fill, fill, fill][:4]))


def _abbreviated_v6(word: str) -> Range:
    """`2001:db8:1:2` is a /64 and `2001:db8/32` as good as `2001:db8::/32`; everything else in full."""
    address, slash, bits = word.partition("/")
    groups = address.rstrip(":").split(":")
    if "::" in address or len(groups) == 8:
        return addresses(word)
    return _network("::".join([":".join(groups), ""]), bits if slash else str(16 * len(groups)))


def zone(lines: Lines, refuse: Refuse) -> Iterator[Entry]:
    """A zone file of a DNS list (RFC 5782): an A record in 127.0.0.0/8 lists its owner, a TXT record beside it says why.

    Knows $ORIGIN, $TTL, wildcards, and records of several lines; $INCLUDE and $GENERATE are refused. Names that are no
    reversed addresses (the zone itself, its servers) are passed over.
    """
    reading, number = _Zone(), 0
    for number, line in lines:
        try:
            yield from reading.read(number, line)
        except Refused as error:
            refuse(number, str(error))
    yield from reading.done()
    if reading.deep:
        refuse(number, "a ( before this line is never closed, and everything behind it is lost")


_TOKEN = re.compile(r'"(?:[^"\\]|\\.?)*(?:"|\Z)|;.*|[()]|[^\s;"()]+')  # a quote that is never closed ends with the line: linear
_TTL = re.compile(r"\d[\dsmhdwSMHDW]*")
MAX_RECORDS = 100  # of one owner
MAX_TOKENS = 1000  # of one record


class _Zone:
    """Where a zone file has got to."""

    def __init__(self) -> None:
        self._origin = self._apex = self._owner = self._said = ""
        self._held: list[tuple[int, Range, int]] = []  # of the owner at hand; its TXT record may come before or after
        self._tokens: list[str] = []  # of the record at hand
        self._goes_on = False  # the record is one of the owner before
        self.deep = False  # between ( and )

    def read(self, number: int, line: str) -> Iterator[Entry]:
        tokens = [token for token in _TOKEN.findall(line) if token[0] != ";"]
        if not self.deep:
            self._tokens, self._goes_on = [], line[:1].isspace()
        self.deep = (self.deep or "(" in tokens) and ")" not in tokens
        self._tokens += [token for token in tokens if token not in ("(", ")")]
        if len(self._tokens) > MAX_TOKENS:
            self.deep = False
            raise Refused("the record is too long")
        if self._tokens and not self.deep:
            yield from self._take(number, self._tokens)

    def _take(self, number: int, tokens: list[str]) -> Iterator[Entry]:
        """A whole record, or a directive."""
        if tokens[0][0] == "$":
            self._directive(tokens)
            return
        if not self._goes_on and tokens[0] != self._owner:
            yield from self.done()
            self._owner = tokens[0]
        self._record(number, tokens if self._goes_on else tokens[1:])

    def done(self) -> Iterator[Entry]:
        """What is known of the owner at hand, before the next one."""
        for number, found, kind in self._held:
            yield number, found, kind, self._said
        self._held, self._said = [], ""

    def _directive(self, tokens: list[str]) -> None:
        name = tokens[0].upper()
        if name in ("$INCLUDE", "$GENERATE"):
            raise Refused(f"{name} is not followed; import a file that holds every record itself")
        if name == "$ORIGIN" and len(tokens) > 1:
            self._origin = self._full(tokens[1])
            self._apex = self._apex or self._origin

    def _full(self, name: str) -> str:
        if name == "@":
            return self._origin
        return name.lower() if name.endswith(".") else f"{name.lower()}.{self._origin}"

    def _record(self, number: int, tokens: list[str]) -> None:
        while tokens and (tokens[0].upper() == "IN" or _TTL.fullmatch(tokens[0])):
            tokens = tokens[1:]
        type_, data = (tokens[0].upper(), tokens[1:]) if tokens else ("", [])
        if type_ == "SOA":
            self._apex = self._full(self._owner)
        elif type_ == "A" and data:
            found = self._reversed()
            if found is not None:
                if not data[0].startswith("127."):
                    raise Refused(f"{_cut(self._owner)} has the address {_cut(data[0])}, which is no answer of a DNS list")
                if len(self._held) >= MAX_RECORDS:
                    raise Refused(f"{_cut(self._owner)} has more than {MAX_RECORDS} addresses")
                self._held.append((number, found, _KIND_OF_CODE.get(data[0], UNSAID)))
        elif type_ == "TXT":
            self._said = "".join(part.strip('"') for part in data)[:MAX_TEXT]

    def _reversed(self) -> Range | None:
        """The addresses that the owner stands for; None for a name that is no reversed address. Raises Refused for half of one."""
        name = self._full(self._owner)
        if self._apex and name.endswith(f".{self._apex}"):
            name = name[: -len(self._apex) - 1]
        labels = name.rstrip(".").split(".")
        wild = labels[0] == "*"
        digits = _leading(labels[1:] if wild else labels)
        if len(digits) == 32 or (wild and 4 < len(digits) < 32):
            return _network(_nibbles(digits), str(4 * len(digits)))
        if not 0 < len(digits) < 5 or not all(digit.isdecimal() for digit in digits):
            return None
        if len(digits) < 4 and not wild:
            raise Refused(f"{_cut(name)} is half a reversed address; a network is written *.2.0.192")
        octets = _octets(name, ".".join(reversed(digits)))
        return _network(_dotted(octets, 0), str(8 * len(octets)))


def _leading(labels: list[str]) -> list[str]:
    """The labels that can belong to a reversed address: four octets or 32 nibbles."""
    digits: list[str] = []
    for label in labels:
        if not (label.isdecimal() and len(label) < 4) and not (len(label) == 1 and label in "abcdef"):
            break
        digits.append(label)
    return digits


def _nibbles(digits: list[str]) -> str:
    whole = "".join(reversed(digits)).ljust(32, "0")
    return ":".join(whole[at : at + 4] for at in range(0, 32, 4))


READERS: dict[Format, Reader] = {Format.TEXT: text, Format.IPSUM: ipsum(), Format.RBLDNSD: rbldnsd, Format.ZONE: zone}
