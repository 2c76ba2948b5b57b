"""Host settings: where things listen and live (`mailward.toml`). What to filter is the policy's business."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from mailward.policy.dnsbl import read_zone
from mailward.policy.lists import NetworkList
from mailward.policy.problems import DocumentError, Problem
from mailward.policy.reading import read_document
from mailward.policy.rendering import render
from mailward.reputation.ip.sources import ListSource, location_of, read_source
from mailward.reputation.url.feeds import FeedSource, feed_source

DEFAULT_FILE = "mailward.toml"


class SettingsError(DocumentError):
    """A settings file that cannot be used."""


def host_and_port(text: str) -> tuple[str, int]:
    """Split `host:port`, `[v6]:port`. Raises ValueError with words for an administrator."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{text!r} is not host:port, such as 127.0.0.1:2525 or [::1]:2525")
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], int(port)
    if ":" in host:
        raise ValueError(f"{text!r} has a v6 address without brackets; write [{host}]:{port}")
    return host, int(port)


def _place(text: str) -> str:
    if text:
        host_and_port(text)
    return text


Place = Annotated[str, AfterValidator(_place)]

UNIX = "unix:"
_SOCKET_FILE_CHARS = 100  # the system takes 107 octets


def _place_or_file(text: str) -> str:
    if not text.startswith(UNIX):
        return _place(text)
    path = text.removeprefix(UNIX)
    if not path.startswith("/") or len(path.encode()) > _SOCKET_FILE_CHARS or not path.isprintable():
        raise ValueError(f"{text!r} is not unix:/full/path of at most {_SOCKET_FILE_CHARS} characters")
    return text


PlaceOrFile = Annotated[str, AfterValidator(_place_or_file)]


ZoneName = Annotated[str, AfterValidator(read_zone)]


def _resolver(text: str) -> str:
    host, _ = host_and_port(text)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{text!r} names no address; a resolver is written as 127.0.0.1:53 or [::1]:53") from None
    return text


def _list_code(text: str) -> str:
    """The error does not show what was written: it may hold a secret."""
    zone, _, code = text.partition("=")
    try:
        name = read_zone(zone)
    except ValueError:
        name = ""
    if not name or not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", code.strip()):
        raise ValueError("an access code is written zone=code, the code of letters, digits, - and _ (what was written is not shown here)")
    return f"{name}={code.strip()}"


def _access_code(text: str) -> str:
    if not re.fullmatch(r"(?!.{64})[a-z0-9]([a-z0-9-]*[a-z0-9])?", text):
        raise ValueError("an access code is a label of 1 to 63 letters a-z, digits and inner hyphens; make one with openssl rand -hex 12")
    return text


def _transfer_key(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9._-]{1,200}:hmac-sha(256|384|512):[A-Za-z0-9+/]{20,}={0,2}", text):
        raise ValueError("a transfer key is name:algorithm:secret with hmac-sha256, -sha384 or -sha512; make one with tsig-keygen")
    return text


AccessCode = Annotated[str, AfterValidator(_access_code)]
ListCode = Annotated[str, AfterValidator(_list_code)]
ResolverPlace = Annotated[str, AfterValidator(_resolver)]
TransferKey = Annotated[str, AfterValidator(_transfer_key)]


def _node_token(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,39}:[!-~]{20,200}", text):
        raise ValueError(
            'write "name:token": a name of up to 40 small letters, digits, dots and dashes, and a token of at least 20 characters'
        )
    return text


NodeToken = Annotated[str, AfterValidator(_node_token)]


def _peer(text: str) -> str:
    found = re.fullmatch(r"(https?)://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]{1,253})(:\d{1,5})?(/[!-~]{0,200})? [!-~]{20,200}", text)
    if found is None:
        raise ValueError('write the address of the node and the token it gave you, with a space between: "https://node2.example/ token"')
    if found[1] == "http" and not _is_near(found[2].strip("[]")):
        raise ValueError("the token would travel readable; write https:// (http:// is taken for loopback and private addresses)")
    return text


def _is_near(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_private
    except ValueError:
        return False


Peer = Annotated[str, AfterValidator(_peer)]


def _list(text: str) -> str:
    read_source(text)
    return text


def _service(text: str) -> str:
    if text and (not re.fullmatch(r"https://[!-~]+/", text) or not location_of(text)):
        raise ValueError("write an address to which the domain is added: https://.../domain/")
    return text


ListPlace = Annotated[str, AfterValidator(_list)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class State(_Table):
    """Where everything that lasts is kept."""

    folder: str = Field(
        default="./.state",
        min_length=1,
        description="Holds mailward.db, quarantine/ and snapshots/. A relative folder is looked for beside this file.",
    )
    acquaintance: bool = Field(
        default=True,
        description="Whether digests of the addresses, Message-IDs and names of those who write with us are kept (docs/impersonation.md), to know "
        "first contacts, conversations and names of our own. false deletes what was kept.",
    )


class Storage(_Table):
    """The database."""

    url: str = Field(
        default="",
        pattern=r"^(sqlite:///.+)?$",
        description='"sqlite:///PATH" for a database at another place; "" for mailward.db in the state folder.',
    )


class Smtp(_Table):
    """The SMTP way in."""

    listen: Place = Field(default="127.0.0.1:2525", description='Where mail comes in, host:port. "" switches this way in off.')
    next_hop: Place = Field(default="", description='Where good mail goes, host:port. "": nowhere, every message is answered 451.')
    hostname: str = Field(default="", max_length=253, description='How we greet and call ourselves. "" means the name of this machine.')
    before_queue: bool = Field(
        default=True,
        description="Whether a refusal reaches the sender itself. false, behind a queue: defer, reject and disconnect become quarantine.",
    )
    max_size: int = Field(default=52_428_800, ge=65_536, le=1 << 30, description="The largest message taken, in bytes (SIZE).")
    trusted_proxies: NetworkList = Field(
        default_factory=NetworkList, description="Addresses and networks that may tell us the real client (XCLIENT, PROXY protocol)."
    )
    proxy_protocol: bool = Field(
        default=False, description="Every connection from trusted_proxies starts with a PROXY protocol header (v1 or v2)."
    )
    tls_certificate: str = Field(default="", description='PEM file with the certificate chain for STARTTLS. "" offers none.')
    tls_key: str = Field(default="", description="PEM file with the private key. Belongs to tls_certificate.")
    timeout: int = Field(default=300, ge=5, le=3600, description="Seconds a client or the next hop may stay silent.")
    max_connections: int = Field(default=1000, ge=1, le=100_000, description="Connections at the same time, for each worker.")
    max_connections_per_client: int = Field(
        default=50, ge=1, le=100_000, description="Connections at the same time from one address, for each worker."
    )

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Smtp:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("tls_certificate and tls_key belong together; name both or none")
        return self


class _BesideServer(_Table):
    """What the ways in have in common that a mail server asks for a judgement, and then acts itself."""

    listen: Place = ""
    client_networks: NetworkList = Field(
        default=NetworkList(["127.0.0.0/8", "::1"]),
        description="Mail servers that may ask. What they say of the sender (its address, for one) is believed.",
    )
    max_size: int = Field(default=52_428_800, ge=65_536, le=1 << 30, description="The largest message judged, in bytes.")
    timeout: int = Field(default=300, ge=5, le=3600, description="Seconds a client may stay silent.")
    max_connections: int = Field(default=1000, ge=1, le=100_000, description="Connections at the same time, for each worker.")


class Spamd(_BesideServer):
    """SpamAssassin's protocol, for spamc, Exim and whatever speaks to spamd."""

    listen: Place = Field(default="127.0.0.1:2528", description='Where spamc and its like connect, host:port. "" switches this way in off.')
    allow_tell: bool = Field(default=False, description="Whether clients may teach this site's own model (TELL, `spamc -L`).")


class MilterQuarantine(StrEnum):
    """Who holds back a message that came by milter."""

    OURS = "ours"
    MAIL_SERVER = "mail-server"


class Milter(_BesideServer):
    """The milter protocol, for Postfix and Sendmail."""

    listen: PlaceOrFile = Field(
        default="127.0.0.1:2526",
        description='Where the mail server connects, host:port or unix:/full/path (for the owner and the group of its folder). "" switches '
        "this way in off.",
    )
    timeout: int = Field(
        default=3600,
        ge=5,
        le=86_400,
        description="Seconds a mail server may stay silent; it waits for its own clients meanwhile, so more than it gives them.",
    )
    quarantine: MilterQuarantine = Field(
        default=MilterQuarantine.OURS,
        strict=False,
        description='Who holds quarantined mail: "ours", our quarantine, or "mail-server", its own (Postfix: the hold queue).',
    )


class Http(_BesideServer):
    """rspamd's protocol over HTTP, for rspamc, Haraka and whatever asks rspamd."""

    listen: Place = Field(
        default="127.0.0.1:2527", description='Where rspamc and its like connect, host:port. "" switches this way in off.'
    )
    password: str = Field(
        default="",
        max_length=200,
        pattern=r"^[!-~]*$",
        repr=False,
        description='A secret that every request has to bring (Password header, `rspamc -P`), besides /ping. "" asks for none.',
    )
    allow_learn: bool = Field(default=False, description="Whether clients may teach this site's own model (`rspamc learn_spam`).")


class Dns(_Table):
    """Questions to the DNS, and our own zones' answers."""

    servers: tuple[ResolverPlace, ...] = Field(
        default=(),
        strict=False,
        description='Resolvers to ask, host:port, such as "127.0.0.1:53". [] means those of the system. Public resolvers are '
        "refused by many DNS lists; run one of your own.",
    )
    timeout: float = Field(
        default=2.0, ge=0.1, le=30.0, description="Seconds to wait for all answers about one client, and for all about one message."
    )
    in_flight: int = Field(default=500, ge=1, le=20_000, description="Questions under way at the same time, for each worker.")
    access_codes: tuple[ListCode, ...] = Field(
        default=(),
        strict=False,
        repr=False,
        description='Secret codes that paid DNS lists put into the question: "zone=code". They are shown nowhere else.',
    )
    listen: Place = Field(
        default="127.0.0.1:2553", description='Where our own zones are answered, UDP and TCP, host:port. "" switches this off.'
    )

    @property
    def codes(self) -> dict[str, str]:
        """The access codes by zone. Not for showing."""
        return dict(entry.split("=", 1) for entry in self.access_codes)


class Console(_Table):
    """The web pages and the API."""

    listen: Place = Field(default="127.0.0.1:2580", description='Where pages and API are served, host:port. "" switches them off.')
    trusted_proxies: NetworkList = Field(
        default_factory=NetworkList,
        description="Addresses and networks of reverse proxies that may tell us the real client (X-Forwarded-For).",
    )


class Reputation(_Table):
    """The reputation service: what our own zones are called, and who may ask and tell."""

    standard_zone: ZoneName = Field(default="std.rep.internal", description="The DNS zone of the standard database.")
    dynamic_zone: ZoneName = Field(default="dyn.rep.internal", description="The DNS zone of the dynamic database.")
    level: int = Field(default=2, ge=1, le=4, description="The level at which the dynamic zone is answered to others, 1 to 4.")
    lookup_url: str = Field(
        default="",
        max_length=200,
        pattern=r"^(https?://[!-~]+)?$",
        description='The address of the public look-up page, such as "https://rep.example.com/lookup"; it stands in replies and TXT '
        'records with ?ip=ADDRESS. "" leaves it out.',
    )
    name_servers: tuple[ZoneName, ...] = Field(
        default=(),
        strict=False,
        max_length=13,
        description='The NS records of our zones, the first is the primary server: "ns1.example.com". [] means "localhost", for zones '
        "that only your own resolvers are pointed to.",
    )
    query_networks: NetworkList = Field(
        default_factory=NetworkList,
        description="Who may ask our zones. [] means everybody who can reach the port, unless access_codes are set.",
    )
    access_codes: tuple[AccessCode, ...] = Field(
        default=(),
        strict=False,
        repr=False,
        max_length=10_000,
        description="Secret labels between address and zone that let others than query_networks ask: 1.2.0.192.CODE.std.rep.example.com.",
    )
    answers_per_second: int = Field(
        default=1000,
        ge=0,
        le=1_000_000,
        description="UDP answers to one client network (/24, /56); what is above is dropped, every second one told to come by TCP. 0: no limit.",
    )
    unlimited_networks: NetworkList = Field(
        default=NetworkList(["127.0.0.0/8", "::1"]), description="Client networks that answers_per_second does not count."
    )
    transfer_networks: NetworkList = Field(
        default_factory=NetworkList, description="Who may transfer our zones (AXFR) without a key. [] means nobody."
    )
    transfer_keys: tuple[TransferKey, ...] = Field(
        default=(),
        strict=False,
        repr=False,
        max_length=100,
        description='Secret keys (TSIG) for transfers: "name:hmac-sha256:base64".',
    )
    secondaries: tuple[Place, ...] = Field(
        default=(), strict=False, max_length=100, description='Servers that are told of a new serial (NOTIFY): "192.0.2.53:53".'
    )
    node_tokens: tuple[NodeToken, ...] = Field(
        default=(),
        strict=False,
        repr=False,
        max_length=1000,
        description='Secret tokens with which other nodes may send us evidence: "name:token".',
    )
    peers: tuple[Peer, ...] = Field(
        default=(),
        strict=False,
        repr=False,
        max_length=100,
        description='Other nodes that are sent what is observed here, each with the secret token it gave us: "https://node2.example/ token".',
    )
    lists: tuple[ListPlace, ...] = Field(
        default=(),
        strict=False,
        repr=False,
        max_length=100,
        description="Lists for the standard database, fetched again and again: "
        '"NAME KIND LOCATION [every 6h] [expires 7d] [format text] [at-least 1]". KIND is known-source, emerging-threat or dynamic-space, '
        "LOCATION https://... or the full path of a file.",
    )
    protected_networks: NetworkList = Field(
        default_factory=NetworkList,
        description="Networks that no imported list may list, and that need much more evidence before they are; besides the big mail senders that "
        "are known.",
    )

    @model_validator(mode="after")
    def _lists_with_names_of_their_own(self) -> Reputation:
        named = [each.name for each in self.list_sources]
        if len(named) != len(set(named)):
            raise ValueError("two of the lists have the same name")
        return self

    @property
    def list_sources(self) -> tuple[ListSource, ...]:
        """What `lists` names."""
        return tuple(map(read_source, self.lists))

    @model_validator(mode="after")
    def _two_zones(self) -> Reputation:
        if self.standard_zone == self.dynamic_zone:
            raise ValueError("standard_zone and dynamic_zone are the same; each database needs a zone of its own")
        return self


class Feed(_Table):
    """A feed of URLs that is fetched again and again."""

    name: str
    source: str = Field(default="", repr=False)  # may hold a key
    format: str = ""
    every: str = ""
    expires: str = ""
    kind: str = ""
    rating: int = Field(default=-1, ge=-1, le=100)

    @model_validator(mode="after")
    def _that_can_be_fetched(self) -> Feed:
        self.read()
        return self

    def read(self) -> FeedSource:
        return feed_source(self.name, self.source, self.format, self.every, self.expires, self.kind, self.rating)


class Urls(_Table):
    """What is known of URLs: feeds, domains seen in mail, and our own DNS zone of them."""

    feeds: tuple[Feed, ...] = Field(
        default=(),
        strict=False,
        max_length=100,
        description="Feeds of URLs, names or popularity, fetched again and again; each a table [[urls.feeds]] with name, source (https://... or the "
        "full path of a file), format, every, expires, kind and rating. Of feeds in the catalogue (docs/url-feeds.md) the name may be "
        "enough. Read the terms of a feed before you name it.",
    )
    zone: ZoneName = Field(default="url.rep.internal", description="The DNS zone of what is rated bad here, by people and by evidence.")
    learn: bool = Field(
        default=True,
        description="Whether the domains of links in mail are remembered (since when, how often), and bad ones rated by evidence. "
        "Nothing of it leaves the machine but by the zone.",
    )
    new_days: int = Field(
        default=7, ge=0, le=365, description="A domain first seen in mail here within so many days is called new in reasons. 0: never."
    )
    registrations: Annotated[str, AfterValidator(_service)] = Field(
        default="",
        max_length=200,
        description="An RDAP service that is asked since when domains are registered of which nothing else is known, such as "
        '"https://rdap.org/domain/": it, and the registries it leads to, learn which domains you get mail about. "": nobody is asked.',
    )
    registrations_per_hour: int = Field(default=120, ge=1, le=3600, description="Questions to that service.")

    @model_validator(mode="after")
    def _registrations_of_what_was_seen(self) -> Urls:
        if self.registrations and not self.learn:
            raise ValueError("registrations are asked about domains that were seen in mail; that needs learn = true")
        return self

    @model_validator(mode="after")
    def _feeds_with_names_of_their_own(self) -> Urls:
        named = [feed.name for feed in self.feeds]
        if len(named) != len(set(named)):
            raise ValueError("two of the feeds have the same name")
        return self

    @property
    def feed_sources(self) -> tuple[FeedSource, ...]:
        """What `feeds` names."""
        return tuple(feed.read() for feed in self.feeds)


class Settings(_Table):
    """The whole file."""

    workers: int = Field(default=0, ge=0, le=256, description="Worker processes. 0 means one for each core.")
    state: State = Field(default_factory=State)
    storage: Storage = Field(default_factory=Storage)
    smtp: Smtp = Field(default_factory=Smtp)
    milter: Milter = Field(default_factory=Milter)
    http: Http = Field(default_factory=Http)
    spamd: Spamd = Field(default_factory=Spamd)
    dns: Dns = Field(default_factory=Dns)
    console: Console = Field(default_factory=Console)
    reputation: Reputation = Field(default_factory=Reputation)
    urls: Urls = Field(default_factory=Urls)

    _beside: Path = PrivateAttr(default=Path())

    @model_validator(mode="after")
    def _a_zone_of_their_own(self) -> Settings:
        if self.urls.zone in (self.reputation.standard_zone, self.reputation.dynamic_zone):
            raise ValueError("urls.zone is one of the zones of addresses; URLs need a zone of their own")
        return self

    @classmethod
    def load(cls, path: str | Path | None = None, state: str | Path | None = None) -> Settings:
        """Read a settings file; None means `mailward.toml` here if there is one, else the defaults. `state` overrides the state folder.

        Raises SettingsError with every mistake, its line, and what to do.
        """
        if path is None:
            path = Path(DEFAULT_FILE) if Path(DEFAULT_FILE).is_file() else None
        settings = cls() if path is None else cls.from_file(Path(path))
        if state is None:
            return settings
        changed = settings.model_copy(update={"state": settings.state.model_copy(update={"folder": str(Path(state).absolute())})})
        changed._beside = settings._beside
        return changed

    @classmethod
    def from_file(cls, path: Path) -> Settings:
        try:
            text = path.read_text("utf-8")
        except OSError as error:
            raise SettingsError(
                [Problem(str(path), 0, "", f"cannot be read: {error.strerror}", "Check the path and its permissions.")]
            ) from None
        except UnicodeDecodeError:
            raise SettingsError([Problem(str(path), 0, "", "is not UTF-8 text", "Save it as UTF-8.")]) from None
        settings = read_document(cls, text, str(path), SettingsError)
        settings._beside = path.absolute().parent
        return settings

    def to_toml(self) -> str:
        """The whole file with every setting, what it does and its default."""
        return render(self, "mailward host settings: where things listen and live. What to filter is in the policy.")

    @property
    def state_folder(self) -> Path:
        return (self._beside / self.state.folder).absolute()

    @property
    def database(self) -> Path:
        """The file of the SQLite database."""
        if self.storage.url:
            return (self._beside / self.storage.url.removeprefix("sqlite:///")).absolute()
        return self.state_folder / "mailward.db"

    @property
    def storage_url(self) -> str:
        return f"sqlite:///{self.database}"

    @property
    def quarantine_folder(self) -> Path:
        return self.state_folder / "quarantine"

    @property
    def snapshots_folder(self) -> Path:
        return self.state_folder / "snapshots"

    @property
    def acquaintance_folder(self) -> Path:
        """Where it is kept who writes with whom, as digests."""
        return self.state_folder / "acquaintance"

    @property
    def urls_folder(self) -> Path:
        """Where feeds, people's ratings and the life of domains are kept."""
        return self.reputation_folder / "urls"

    @property
    def reputation_folder(self) -> Path:
        """Where evidence, the dynamic database and imported lists are kept."""
        return self.state_folder / "reputation"
