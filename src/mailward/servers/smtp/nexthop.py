"""The next hop: one connection of ours for one connection of a client, its answers handed back as they are."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import aiosmtplib

from mailward.servers.smtp import limits
from mailward.servers.smtp.client import Client, attribute_lines
from mailward.servers.smtp.replies import OK, Reply, printable, reply


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the next hop offers (RFC 5321 4.1.1.1)."""

    size: int | None = None  # None: no SIZE; 0: no fixed limit
    eightbit: bool = False
    smtputf8: bool = False
    dsn: bool = False
    enhanced: bool = False
    xclient: frozenset[str] = frozenset()
    xforward: frozenset[str] = frozenset()


class NextHopFailed(Exception):  # noqa: N818
    """The next hop cannot be used; `reply` is what the client hears."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(answer.text)
        self.reply = answer


class Lost(NextHopFailed):
    """The connection ended after the message was sent and before its answer came: it may have been accepted."""


class NextHop:
    """One connection. Every method raises `NextHopFailed` when it cannot be used any more."""

    def __init__(self, host: str, port: int, hostname: str, timeout: float) -> None:
        self.place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._timeout = timeout
        self._smtp = aiosmtplib.SMTP(hostname=host, port=port, local_hostname=hostname, timeout=timeout, start_tls=False, use_tls=False)
        self.capabilities = Capabilities()
        self.dirty = False  # a transaction has begun

    async def open(self, client: Client) -> None:
        """Connect, say EHLO, and pass the client on by XCLIENT or XFORWARD where that is offered.

        XCLIENT makes the next hop judge the client by its own access rules, XFORWARD is for its log only. Where both are
        offered, the client is passed on in the way it was told to us: a proxy that said XFORWARD has applied the rules.
        """
        try:
            await self._smtp.connect(timeout=min(self._timeout, limits.CONNECT_SECONDS))
            await self._ehlo()
            await self._introduce(client)
        except (aiosmtplib.SMTPException, OSError) as error:
            self.close()
            raise NextHopFailed(self._unreachable(error)) from error

    @property
    def connected(self) -> bool:
        return self._smtp.is_connected

    async def mail(self, argument: str) -> Reply:
        self.dirty = True
        return await self._command(b"MAIL", argument.encode("utf-8"))

    async def recipient(self, argument: str) -> Reply:
        return await self._command(b"RCPT", argument.encode("utf-8"))

    async def data(self, message: bytes) -> Reply:
        """Send the message. Raises `Lost` when the answer to its end did not come."""
        go = await self._command(b"DATA")
        if go.code != 354:
            return go if go.code >= 400 else reply(f"451 4.3.0 The next hop {self.place} answered DATA with {go.code}")
        self.dirty = False
        stuffed = message.replace(b"\r\n.", b"\r\n..") if b"\r\n." in message else message
        if stuffed.startswith(b"."):
            stuffed = b"." + stuffed
        protocol = self._smtp.protocol
        try:
            if protocol is None:
                raise aiosmtplib.SMTPServerDisconnected("connection lost")
            protocol.write(stuffed + (b".\r\n" if stuffed.endswith(b"\r\n") or not stuffed else b"\r\n.\r\n"))
            answer = await protocol.read_response(self._timeout + len(stuffed) / limits.BYTES_PER_SECOND)
        except (aiosmtplib.SMTPException, OSError) as error:
            self.close()
            raise Lost(
                reply(f"451 4.4.2 The next hop {self.place} was lost before it answered, the message may arrive twice: {_words(error)}")
            ) from error
        if answer.code == 421:
            self.close()
        return self._mirrored(answer)

    async def reset(self) -> None:
        """Forget the transaction; a next hop that does not want to is closed."""
        if not self.dirty or not self.connected:
            return
        self.dirty = False
        with contextlib.suppress(NextHopFailed):
            if (await self._command(b"RSET")).positive:
                return
        self.close()

    async def quit(self) -> None:
        """Say goodbye without waiting for the answer."""
        protocol = self._smtp.protocol
        if protocol is not None:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                protocol.write(b"QUIT\r\n")
        self.close()

    def close(self) -> None:
        self._smtp.close()

    async def _ehlo(self) -> None:
        await self._smtp.ehlo()
        offered = self._smtp.esmtp_extensions
        size = offered.get("size")
        self.capabilities = Capabilities(
            size=None if size is None else int(size) if size.isdigit() else 0,
            eightbit="8bitmime" in offered,
            smtputf8="smtputf8" in offered,
            dsn="dsn" in offered,
            enhanced="enhancedstatuscodes" in offered,
            xclient=frozenset(offered.get("xclient", "").upper().split()),
            xforward=frozenset(offered.get("xforward", "").upper().split()),
        )

    async def _introduce(self, client: Client) -> None:
        """Tell who the client is. A client whose words the next hop does not like is told by its address alone."""
        offered = self.capabilities
        if offered.xforward and (client.told == "XFORWARD" or not offered.xclient):
            await self._tell(client, "XFORWARD", offered.xforward)
        elif offered.xclient:
            if not (await self._tell(client, "XCLIENT", offered.xclient)).positive:
                answer = await self._tell(client, "XCLIENT", offered.xclient & {"ADDR"})
                if not answer.positive:
                    raise aiosmtplib.SMTPResponseException(answer.code, answer.text)
            await self._ehlo()

    async def _tell(self, client: Client, verb: str, names: frozenset[str]) -> Reply:
        """Send the attributes; the answer to the first line that was refused, else to the last."""
        answer = OK
        for line in attribute_lines(client, verb, names):
            answer = self._mirrored(await self._smtp.execute_command(line))
            if not answer.positive:
                break
        return answer

    async def _command(self, *words: bytes) -> Reply:
        try:
            return self._mirrored(await self._smtp.execute_command(*words))
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            self.close()
            raise NextHopFailed(self._unreachable(error)) from error

    def _mirrored(self, answer: aiosmtplib.SMTPResponse) -> Reply:
        """The next hop's answer as ours. Its 421 closes its connection, not ours."""
        if answer.code == 421:
            return reply(f"451 4.3.2 The next hop {self.place} closes the connection: {printable(answer.message, 300)}")
        if not 200 <= answer.code < 600:
            return reply(f"451 4.3.0 The next hop {self.place} gave an answer that is none")
        return Reply(answer.code, tuple(printable(line, limits.REPLY_TEXT) for line in answer.message.split("\n")))

    def _unreachable(self, error: Exception) -> Reply:
        return reply(f"451 4.4.1 The next hop {self.place} cannot be used now, try again: {_words(error)}")


def _words(error: Exception) -> str:
    """What went wrong, for a reply: the deepest cause that says something."""
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return printable(cause.strerror, 200)
    return printable(str(error) or type(error).__name__, 200)
