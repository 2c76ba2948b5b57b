"""Host settings: where things listen and live (`mailward.toml`). What to filter is the policy's business."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from mailward.policy.lists import NetworkList
from mailward.policy.problems import DocumentError, Problem
from mailward.policy.reading import read_document
from mailward.policy.rendering import render

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


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class State(_Table):
    """Where everything that lasts is kept."""

    folder: str = Field(
        default="./.state",
        min_length=1,
        description="Holds mailward.db, quarantine/ and snapshots/. A relative folder is looked for beside this file.",
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


class Settings(_Table):
    """The whole file."""

    workers: int = Field(default=0, ge=0, le=256, description="Worker processes. 0 means one for each core.")
    state: State = Field(default_factory=State)
    storage: Storage = Field(default_factory=Storage)
    smtp: Smtp = Field(default_factory=Smtp)

    _beside: Path = PrivateAttr(default=Path())

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
        changed = settings.model_copy(update={"state": State(folder=str(Path(state).absolute()))})
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
