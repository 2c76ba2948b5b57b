"""Lists of senders, domains and networks: which entries they take, and what an entry matches.

A sender entry is one of
    user@example.com    that address
    example.com         every address at exactly that domain (the same as *@example.com)
    *.example.com       every address at a sub-domain of it, at any depth, but not at example.com itself
The most exact entry that matches is the one reported. Letters compare without case, international domains as A-labels
(RFC 5890). Looking up costs one dictionary access a label, however long the list is.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mailward.policy.addresses import canonical_domain, split_address
from mailward.policy.dnsbl import ListEntry, read_entry
from mailward.policy.problems import EntryError, ListError, Problem

MAX_ENTRIES = 1_000_000  # a list this long belongs into a DNS zone
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_LOCAL = re.compile(r"[^\s@*\"<>(),:;\[\]\\]{1,64}")


class EntryList(ABC):
    """An immutable list of entries with an index over them. Order is kept, repeated entries are dropped.

    `plus` and `minus` answer "what if" at constant cost: they share the index of the list they come from.
    """

    __slots__ = ("_added", "_digest", "_entries", "_index", "_removed")
    what: ClassVar[str] = "entries"

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._index: dict[Any, str] = {}
        self._added: dict[Any, str] = {}
        self._removed: frozenset[Any] = frozenset()
        self._digest = ""
        for entry in entries:
            normal, key = self.read(entry)
            self._index.setdefault(key, normal)
        self._entries: tuple[str, ...] = tuple(self._index.values())

    @staticmethod
    @abstractmethod
    def read(entry: str) -> tuple[str, Any]:
        """The entry as it is kept and shown, and its key in the index. Raises EntryError for one that is refused."""

    @classmethod
    def normalise(cls, entry: str) -> str:
        """The entry as it is kept and shown. Raises EntryError."""
        return cls.read(entry)[0]

    @classmethod
    def key(cls, entry: str) -> Any:
        """What the index holds for an entry. Raises EntryError."""
        return cls.read(entry)[1]

    @classmethod
    def _of(cls, pairs: Iterable[tuple[str, Any]]) -> Self:
        made = cls()
        for normal, key in pairs:
            made._index.setdefault(key, normal)
        made._entries = tuple(made._index.values())
        return made

    @property
    def entries(self) -> tuple[str, ...]:
        if not self._added and not self._removed:
            return self._entries
        kept = (entry for key, entry in self._index.items() if key not in self._removed)
        return (*kept, *self._added.values())

    @property
    def digest(self) -> str:
        """Stands for the content of the list; computed once a list."""
        if not self._digest:
            self._digest = hashlib.sha256("\n".join(self.entries).encode()).hexdigest()
        return self._digest

    def plus(self, entry: str) -> Self:
        """The list with one more entry."""
        changed = self._layer()
        key = self.key(entry)
        changed._removed = self._removed - {key}
        if key not in self._index:
            changed._added = {**self._added, key: self.normalise(entry)}
        changed._digest = hashlib.sha256(f"{self.digest}+{entry}".encode()).hexdigest()
        return changed

    def minus(self, entry: str) -> Self:
        """The list without that entry."""
        changed = self._layer()
        key = self.key(entry)
        changed._removed = self._removed | {key}
        changed._added = {known: value for known, value in self._added.items() if known != key}
        changed._digest = hashlib.sha256(f"{self.digest}-{entry}".encode()).hexdigest()
        return changed

    def _layer(self) -> Self:
        changed = type(self)()
        changed._index, changed._entries = self._index, self._entries
        changed._added, changed._removed = self._added, self._removed
        return changed

    def _find(self, key: Any) -> str | None:
        found = self._index.get(key)
        if found is not None and key not in self._removed:
            return found
        return self._added.get(key) if self._added else None

    @classmethod
    def from_text(cls, text: str, source: str = "list") -> Self:
        """Read one entry a line; `#` starts a comment, empty lines are skipped.

        Raises ListError with every line that is refused.
        """
        problems: list[Problem] = []
        entries: list[tuple[str, Any]] = []
        for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
            entry = line.partition("#")[0].strip()
            if not entry:
                continue
            try:
                entries.append(cls.read(entry))
            except EntryError as error:
                problems.append(Problem(source, number, "", error.what, error.remedy))
        if len(entries) > MAX_ENTRIES:
            problems.append(Problem(source, 0, "", f"the list has {len(entries)} entries", f"Keep it to {MAX_ENTRIES}."))
        if problems:
            raise ListError(problems)
        return cls._of(entries)

    def to_text(self) -> str:
        """One entry a line, as `from_text` reads it."""
        return "".join(f"{entry}\n" for entry in self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __bool__(self) -> bool:
        return bool(self._index or self._added) and len(self) > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EntryList) and type(self) is type(other) and self.entries == other.entries

    def __hash__(self) -> int:
        return hash(self.entries)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self.entries[:5])}{'...' if len(self) > 5 else ''})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        entry = core_schema.no_info_after_validator_function(cls._validated, core_schema.str_schema(strict=True))
        listed = core_schema.list_schema(entry, max_length=MAX_ENTRIES)
        return core_schema.no_info_wrap_validator_function(
            cls._instance_or_list,
            core_schema.no_info_after_validator_function(cls._of, listed),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: list(value.entries)),
        )

    @classmethod
    def _instance_or_list(cls, value: Any, handler: core_schema.ValidatorFunctionWrapHandler) -> Any:
        return value if isinstance(value, cls) else handler(value)

    @classmethod
    def _validated(cls, entry: str) -> tuple[str, Any]:
        try:
            return cls.read(entry)
        except EntryError as error:
            raise PydanticCustomError("list_entry", "{what}", {"what": error.what, "remedy": error.remedy}) from None


class _DomainIndex(EntryList):
    """Look-up of domains, shared by the lists that know them."""

    __slots__ = ()

    def match_domain(self, domain: str) -> str | None:
        """The most exact domain entry that matches a canonical domain, or None."""
        found = self._find("@" + domain)
        dot = domain.find(".")
        while found is None and dot >= 0:
            found = self._find(domain[dot:])
            dot = domain.find(".", dot + 1)
        return found


class SenderList(_DomainIndex):
    """Senders: addresses, domains and sub-domains."""

    __slots__ = ()
    what = "senders"

    @staticmethod
    def read(entry: str) -> tuple[str, str]:
        return _sender(entry)

    def match(self, address: str) -> str | None:
        """The most exact entry that matches a canonical address ("user@example.com"), or None.

        An address without a domain matches nothing.
        """
        if not self._index and not self._added:
            return None
        _, domain = split_address(address)
        if not domain:
            return None
        return self._find(address) or self.match_domain(domain)


class DomainList(_DomainIndex):
    """Domains: `example.com` for itself, `*.example.com` for its sub-domains. No addresses."""

    __slots__ = ()
    what = "domains"

    @staticmethod
    def read(entry: str) -> tuple[str, str]:
        if "@" in entry:
            raise EntryError(
                f"{entry!r} is an address, not a domain", f"Write {entry.rpartition('@')[2] or 'example.com'!r} for the whole domain."
            )
        return _sender(entry)

    def match(self, domain: str) -> str | None:
        """The most exact entry that matches a canonical domain, or None."""
        return self.match_domain(domain) if domain and self._index else None


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NetworkList(EntryList):
    """IP addresses and networks in CIDR notation, v4 and v6. A v4-mapped v6 address is the v4 address."""

    __slots__ = ("_shapes",)
    what = "addresses and networks"

    def __init__(self, entries: Iterable[str] = ()) -> None:
        super().__init__(entries)
        self._shapes = _shapes(self._index)

    @staticmethod
    def read(entry: str) -> tuple[str, tuple[int, int, int]]:
        network = _network(entry)
        version, bits, most = network.version, network.prefixlen, network.max_prefixlen
        shown = str(network.network_address) if bits == most else str(network)
        return shown, (version, bits, int(network.network_address) >> (most - bits))

    @classmethod
    def _of(cls, pairs: Iterable[tuple[str, Any]]) -> Self:
        made = super()._of(pairs)
        made._shapes = _shapes(made._index)
        return made

    def plus(self, entry: str) -> Self:
        changed = super().plus(entry)
        changed._shapes = tuple(sorted({*self._shapes, self.key(entry)[:2]}, reverse=True))
        return changed

    def minus(self, entry: str) -> Self:
        changed = super().minus(entry)
        changed._shapes = self._shapes
        return changed

    def match(self, address: str | None) -> str | None:
        """The smallest network that holds the address, or None; also None for what is no address."""
        if not self._shapes or not address:
            return None
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return None
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        parsed = mapped or parsed
        bits, number = parsed.max_prefixlen, int(parsed)
        for version, prefix in self._shapes:
            if version == parsed.version:
                found = self._find((version, prefix, number >> (bits - prefix)))
                if found is not None:
                    return found
        return None

    def networks(self) -> tuple[Network, ...]:
        return tuple(_network(entry) for entry in self.entries)


class DnsLists(EntryList):
    """Foreign DNS lists with the return codes that count, one entry a zone, in the order in which they decide (grammar: dnsbl.py)."""

    __slots__ = ()
    what = "DNS lists"

    domains = False

    @classmethod
    def read(cls, entry: str) -> tuple[str, str]:
        try:
            found = read_entry(entry, domains=cls.domains)
        except ValueError as error:
            what, _, remedy = str(error).partition("; ")
            raise EntryError(what, f"{remedy[:1].upper()}{remedy[1:] or 'See docs/public-lists.md'}.") from None
        return str(found), found.zone

    def lists(self) -> tuple[ListEntry, ...]:
        """The entries as values, those that are off too."""
        return tuple(_dns_list(entry, domains=self.domains) for entry in self.entries)

    def get(self, zone: str) -> ListEntry | None:
        """The entry of a zone, None where there is none."""
        found = self._find(zone)
        return _dns_list(found, domains=self.domains) if found else None


class DomainLists(DnsLists):
    """Foreign DNS lists of domains that stand in URLs (URI lists)."""

    __slots__ = ()
    what = "DNS lists of domains"
    domains = True


_dns_list = lru_cache(maxsize=256)(read_entry)


def _shapes(keys: Iterable[tuple[int, int, int]]) -> tuple[tuple[int, int], ...]:
    """Which prefix lengths occur, the longest first: a look-up asks once for each."""
    return tuple(sorted({key[:2] for key in keys}, reverse=True))


def _sender(entry: str) -> tuple[str, str]:
    """Normal form and index key of a sender entry. Raises EntryError."""
    text = entry.strip()
    if not text:
        raise EntryError("the entry is empty", "Remove it.")
    if text in {"*", "*@*", "*.*", "@", "*.", "*@", "@*", "*@*.*"}:
        raise EntryError(f"{entry!r} would match every sender", "Name a domain, such as example.com or *.example.com.")
    local, at, host = text.rpartition("@")
    if at and "@" in local:
        raise EntryError(f"{entry!r} has more than one @", "Write user@example.com or example.com.")
    sub = not at and host.startswith("*.")
    domain = _domain(entry, host[2:] if sub else host)
    if sub:
        return f"*.{domain}", f".{domain}"
    if not at:
        return domain, f"@{domain}"
    if local == "*":
        return f"*@{domain}", f"@{domain}"
    if "*" in local:
        raise EntryError(
            f"{entry!r} has a * inside the part before the @", f"Write the whole address, or *@{domain} for everybody at that domain."
        )
    if not _LOCAL.fullmatch(local):
        raise EntryError(f"{entry!r} has nothing usable before the @", f"Write user@{domain}, or {domain} for everybody at that domain.")
    address = f"{local.lower()}@{domain}"
    return address, address


def _domain(entry: str, host: str) -> str:
    if "*" in host:
        raise EntryError(
            f"{entry!r} has a * where none can stand",
            "A * stands only at the very start, before a dot (*.example.com) or an @ (*@example.com).",
        )
    domain = canonical_domain(host)
    if "." not in domain and not entry.strip().startswith("*."):
        raise EntryError(f"{entry!r} is no full domain", "Write it with its top-level domain, such as example.com.")
    if len(domain) > 253 or not all(_LABEL.fullmatch(label) for label in domain.split(".")):
        raise EntryError(f"{host!r} is no domain name", "Write a domain such as example.com.")
    if domain.replace(".", "").isdigit():
        raise EntryError(f"{entry!r} is an IP address", "Put it on a list of IP addresses.")
    return domain


def _network(entry: str) -> Network:
    text = entry.strip()
    try:
        if "%" in text:
            raise ValueError("a zone belongs to one host's interfaces")
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise EntryError(f"{entry!r} is neither an IP address nor a network", "Write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32.") from None
    if "/" in text and ipaddress.ip_address(text.partition("/")[0]) != network.network_address:
        raise EntryError(f"{entry!r} is not the start of a network of that size", f"Write {network} for the whole network.")
    if network.prefixlen == 0:
        raise EntryError(f"{entry!r} would match every address", "Name the networks that are meant.")
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        return ipaddress.IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
    return network
