"""Who is asking, and what may they do. Tokens are compared in constant time and shown nowhere.

The operator's token lies in the state folder, readable by its owner; who can read it may do everything. A node's token
(`[reputation] node_tokens`) lets that node send evidence, nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from starlette.requests import HTTPConnection

from mailward.console.rates import client_network
from mailward.gateway.settings import Settings

TOKEN_FILE = "api_token"
FORM_SECONDS = 3600
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


class Role(Enum):
    OPERATOR = "operator"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token is known. `name` is that of the node, "" for the operator."""

    role: Role
    name: str = ""


class Access:
    """The tokens of one gateway. Makes the operator's at the first start. Raises OSError."""

    def __init__(self, settings: Settings) -> None:
        self._operator = operator_token(settings.state_folder)
        self._forms = hmac.new(self._operator.encode(), b"forms", hashlib.sha256).digest()
        self._callers = {_digest(self._operator): Caller(Role.OPERATOR)}
        for entry in settings.reputation.node_tokens:
            name, _, token = entry.partition(":")
            self._callers.setdefault(_digest(token), Caller(Role.NODE, name))
        self._published = bool(settings.reputation.lookup_url)

    def caller(self, authorization: str) -> Caller | None:
        """Whose token an Authorization header holds: Bearer, or Basic with the token as password, as browsers send it."""
        scheme, _, given = authorization.partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else _password(given) if scheme.lower() == "basic" else ""
        found, digest = None, _digest(token)
        for known, caller in self._callers.items():  # all of them: the time does not tell which
            if hmac.compare_digest(known, digest):
                found = caller
        return found

    def is_local(self, request: HTTPConnection) -> bool:
        """Whether a person on this machine asks, not a web site in their browser (Host) and nobody behind a reverse proxy.

        Where the look-up page is published (`lookup_url`), a proxy on this machine is likely: then only a token counts.
        """
        if self._published or request.client is None or request.client.host not in ("127.0.0.1", "::1"):
            return False
        host = request.headers.get("host", "")
        return host.rpartition(":")[0] in LOOPBACK_NAMES and not any(name in request.headers for name in FORWARDING)

    # Forms

    def form_token(self, purpose: str, client: str, now: float | None = None) -> str:
        """What a form carries to show that it comes from a page of ours, given to this client network for this purpose."""
        until = int((time.time() if now is None else now) + FORM_SECONDS)
        return f"{until}.{self._signature(until, purpose, client)}"

    def is_form_token(self, token: str, purpose: str, client: str, now: float | None = None) -> bool:
        until, _, signature = token[:100].partition(".")
        if not until.isascii() or not until.isdigit() or len(until) > 12:
            return False
        expected = self._signature(int(until), purpose, client)
        return hmac.compare_digest(expected.encode(), signature.encode()) and int(until) > (time.time() if now is None else now)

    def _signature(self, until: int, purpose: str, client: str) -> str:
        text = f"{until}\n{purpose}\n{client_network(client)}"
        return hmac.new(self._forms, text.encode(), hashlib.sha256).hexdigest()[:40]


def operator_token(folder: Path) -> str:
    """The operator's token; made, readable by its owner alone, where there is none. Two processes make one. Raises OSError."""
    path = folder / TOKEN_FILE
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        draft = folder / f"{TOKEN_FILE}.{os.getpid()}.tmp"
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # the other process was faster: its token counts
        finally:
            draft.unlink()
    token = path.read_text("ascii").strip()
    if len(token) < 20:
        raise OSError(f"{path} holds no token of at least 20 characters; delete it, and a new one is made")
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _password(given: str) -> str:
    try:
        return base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
