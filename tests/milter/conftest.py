"""A gateway that is asked by milter, and a mail server of the other library that asks it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from miltertest import MilterConnection, constants
from tests.e2e.running import Served, blocking, free_port, serving

Serve = Callable[..., AbstractContextManager[Served]]


@contextmanager
def milter(folder: Path, policy: str = blocking("junk"), **settings: Any) -> Iterator[Served]:
    """`mailward serve` with nothing but a milter, and no SMTP."""
    more = {name: settings.pop(name) for name in ("reputation", "workers", "dns") if name in settings}
    place = {"listen": f"127.0.0.1:{free_port()}", "timeout": 20}
    with serving(folder, sink=None, smtp={"listen": ""}, policy=policy, milter=place | settings, **more) as (served, _):
        yield served


def port(served: Served) -> int:
    return int(served.milter["listen"].rpartition(":")[2])


class MailServer:
    """The other library's side of the protocol, one connection."""

    def __init__(self, port: int, *, steps: int = constants.SMFI_V6_PROT, actions: int = constants.SMFI_V6_ACTS) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.wire = MilterConnection(self.socket)
        self.wire.optneg_mta(actions & ~constants.SMFIF_SETSYMLIST, steps)

    def __enter__(self) -> MailServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def tell(self, command: str, silent: int = 0, **values: object) -> Any:
        """Send a command; the answer, None where it was agreed that there is none."""
        if self.wire.protocol_flags & silent:
            self.wire._send(command, **values)
            return None
        return self.wire.send_get(command, **values)

    def client(self, address: str = "192.0.2.1", name: str = "mail.example.com", helo: str = "mail.example.com") -> Any:
        family = "6" if ":" in address else "4"
        said = self.tell(constants.SMFIC_CONNECT, constants.SMFIP_NR_CONN, hostname=name, family=family, port=4711, address=address)
        self.tell(constants.SMFIC_HELO, constants.SMFIP_NR_HELO, helo=helo)
        return said

    def begin(self, sender: str = "a@example.com", *recipients: str, **macros: str) -> list[Any]:
        """MAIL and RCPT; the answers to the recipients."""
        if macros:
            self.wire.send_macro(constants.SMFIC_MAIL, **macros)
        self.tell(constants.SMFIC_MAIL, constants.SMFIP_NR_MAIL, args=[f"<{sender}>", "BODY=8BITMIME"])
        return [self.tell(constants.SMFIC_RCPT, args=[f"<{to}>"]) for to in recipients or ("b@example.org",)]

    def content(self, message: bytes) -> list[Any]:
        """Header and body; everything answered to the end of the message."""
        head, _, body = message.partition(b"\r\n\r\n")
        blank = self.wire.protocol_flags & constants.SMFIP_HDR_LEADSPC
        for line in head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n"):
            name, _, value = line.decode().partition(":")
            self.tell(constants.SMFIC_HEADER, constants.SMFIP_NR_HDR, name=name, value=value if blank else value.removeprefix(" "))
        self.tell(constants.SMFIC_EOH, constants.SMFIP_NR_EOH)
        for at in range(0, len(body), 65535):
            self.tell(constants.SMFIC_BODY, constants.SMFIP_NR_BODY, buf=body[at : at + 65535].decode("latin-1"))
        return list(self.wire.send_eom())

    def message(self, message: bytes, sender: str = "a@example.com", *recipients: str, **macros: str) -> list[Any]:
        self.begin(sender, *recipients, **macros)
        return self.content(message)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with milter(tmp_path) as found:
        yield found
