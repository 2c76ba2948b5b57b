"""One client's talk: commands in, replies out (RFC 5321), every promise checked with the next hop first."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from mailward.policy.addresses import canonical_address
from mailward.servers.smtp import limits, replies
from mailward.servers.smtp.admission import Admission
from mailward.servers.smtp.client import XCLIENT, XFORWARD, BadAttribute, Client, from_proxy_header, told
from mailward.servers.smtp.commands import Command, Path, SyntaxProblem, parse, parse_path
from mailward.servers.smtp.connection import BareNewline, Connection, Gone, Interrupted, LineTooLong, NoRoom, TooBig
from mailward.servers.smtp.delivery import Mail, dispose
from mailward.servers.smtp.nexthop import Capabilities, NextHop, NextHopFailed
from mailward.servers.smtp.replies import Reply, reply
from mailward.servers.smtp.service import Service

MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8"})
DSN_MAIL = frozenset({"RET", "ENVID"})
DSN_RCPT = frozenset({"NOTIFY", "ORCPT"})


@dataclass(slots=True)
class Transaction:
    """From MAIL to the end of the message."""

    sender: Path
    recipients: list[Path] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)  # what the next hop said to each recipient, refused ones too
    refused: dict[str, str] = field(default_factory=dict)  # what we said to recipients that a listed client may not reach
    begun: bool = True  # the next hop was told


class Session:
    """Runs until the client or we hang up. Keeps one connection to the next hop at most."""

    def __init__(self, connection: Connection, client: Client, service: Service) -> None:
        self._connection = connection
        self._peer = client  # who is connected
        self._client = client  # who it is meant to be, once a proxy told us
        self._service = service
        self._admission = Admission(service)
        self._shut = False  # greeted with 554: nothing but QUIT is answered
        self._trusted = service.trusts(client.address)
        self._hop: NextHop | None = None
        self._offered = Capabilities()
        self._greeted = self._extended = False
        self._mail: Transaction | None = None
        self._bad = self._idle = 0
        self._commands: dict[str, Callable[[str], Awaitable[Reply]]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "MAIL": self._mail_from,
            "RCPT": self._rcpt_to,
            "DATA": self._data,
            "RSET": self._rset,
            "NOOP": self._noop,
            "VRFY": self._vrfy,
            "QUIT": self._quit,
            "STARTTLS": self._starttls,
            "XCLIENT": self._xclient,
            "XFORWARD": self._xforward,
        }

    async def run(self) -> None:
        """Serve the client. Raises nothing: an error of ours is logged and closes the connection."""
        try:
            if await self._introduced():
                await self._talk()
        except Gone:
            pass
        except TimeoutError:
            await self._last_word(replies.TIMEOUT)
        except Interrupted:
            await self._last_word(replies.STOPPING)
        except Exception as error:  # a bug must cost one connection, with 421 instead of silence
            self._service.log.exception("session_failed", client=self._client.address, error=str(error))
            await self._last_word(reply("421 4.3.0 Something failed here, try again", close=True))
        finally:
            self._note_refused()
            if self._hop is not None:
                await self._hop.quit()
            self._connection.close()

    async def _introduced(self) -> bool:
        """Read the PROXY header where one is due, and greet."""
        if self._service.settings.proxy_protocol:
            client = await from_proxy_header(self._connection, self._client) if self._trusted else None
            if client is None:
                await self._last_word(replies.NO_PROXY_HEADER)
                return False
            self._client = client
            self._trusted = self._service.trusts(client.address)  # it is the client who talks from here on, not the proxy
        refusal = await self._admission.ask(self._client) if self._admission.at_greeting else None
        greeting = self._greeting() if refusal is None else refusal.greeting
        if refusal is not None:
            self._admission.note(self._client, None, {}, tls=False)
        self._shut = refusal is not None
        await self._send(greeting)
        return not greeting.close

    def _greeting(self) -> Reply:
        return reply(f"220 {self._service.hostname} ESMTP mailward")

    async def _talk(self) -> None:
        while True:
            answer = await self._answer()
            await self._send(answer)
            if answer.close:
                return
            if self._bad > limits.BAD_COMMANDS or self._idle > limits.IDLE_COMMANDS:
                await self._send(replies.TOO_MANY_ERRORS if self._bad > limits.BAD_COMMANDS else replies.TOO_MANY_IDLE)
                return

    async def _answer(self) -> Reply:
        """Read one command and carry it out."""
        try:
            line = await self._connection.line(self._service.timeout, interruptible=self._mail is None)
            command = parse(line)
            return await self._carry_out(command)
        except LineTooLong:
            self._bad += 1
            return replies.LINE_TOO_LONG
        except BareNewline:
            return replies.BARE_NEWLINE_COMMAND
        except SyntaxProblem as problem:
            self._bad += 1
            return reply(str(problem))

    async def _carry_out(self, command: Command) -> Reply:
        action = self._commands.get(command.verb)
        if action is None:
            self._bad += 1
            return reply("500 5.5.1 Command not known")
        if self._shut and command.verb != "QUIT":
            self._bad += 1
            return replies.SHUT
        self._idle += command.verb not in ("RCPT", "DATA")
        return await action(command.argument)

    async def _send(self, answer: Reply) -> None:
        await self._connection.write(answer.encode(), self._service.timeout)

    async def _last_word(self, answer: Reply) -> None:
        try:
            await self._send(answer)
        except (Gone, TimeoutError):
            self._connection.abort()

    # Greeting

    async def _helo(self, argument: str) -> Reply:
        return await self._hello(argument, extended=False)

    async def _ehlo(self, argument: str) -> Reply:
        return await self._hello(argument, extended=True)

    async def _hello(self, argument: str, *, extended: bool) -> Reply:
        if not argument:
            raise SyntaxProblem("501 5.5.4 syntax: EHLO hostname")
        await self._reset()
        if not self._client.told or self._client.helo is None:
            self._client = replace(self._client, helo=argument[:255], protocol="ESMTP" if extended else "SMTP")
        self._greeted, self._extended = True, extended
        self._offered = await self._next_hop_offers() if extended else Capabilities()
        return Reply(250, (self._service.hostname, *(self._extensions() if extended else ())))

    async def _next_hop_offers(self) -> Capabilities:
        """What may honestly be offered: what the next hop offers, as asked within the last minute. It being down is told at MAIL."""
        known = self._hop.capabilities if self._hop is not None and self._hop.connected else self._service.capabilities
        if known is not None or not self._service.has_next_hop:
            return known or Capabilities()
        try:
            return (await self._connected()).capabilities
        except NextHopFailed:
            return Capabilities()

    def _extensions(self) -> list[str]:
        offered = self._offered
        size = self._service.settings.max_size
        lines = ["PIPELINING", f"SIZE {min(size, offered.size or size)}"]
        lines += ["8BITMIME"] if offered.eightbit else []
        lines += ["SMTPUTF8"] if offered.smtputf8 else []
        lines += ["DSN"] if offered.dsn else []
        lines += ["ENHANCEDSTATUSCODES"] if offered.enhanced else []
        lines += ["STARTTLS"] if self._service.tls is not None and self._connection.tls is None else []
        if self._trusted:
            lines += ["XCLIENT " + " ".join(XCLIENT), "XFORWARD " + " ".join(XFORWARD)]
        return lines

    async def _starttls(self, argument: str) -> Reply:
        if self._service.tls is None or self._connection.tls is not None:
            return reply("503 5.5.1 STARTTLS is not offered")
        if argument:
            return reply("501 5.5.4 STARTTLS takes no parameter")
        await self._connection.start_tls(self._service.tls, reply("220 2.0.0 Ready to start TLS").encode(), self._service.timeout)
        await self._reset()
        self._client = replace(self._client, helo=self._client.helo if self._client.told else None)
        self._greeted = False
        return await self._answer()  # STARTTLS itself has been answered in clear text

    async def _xclient(self, argument: str) -> Reply:
        if not self._trusted:
            return replies.NOT_TRUSTED
        if self._mail is not None:
            return reply("503 5.5.1 XCLIENT is not allowed while a message is under way")
        await self._now_for(_with_attributes(replace(self._client, helo=None), "XCLIENT", argument))
        self._greeted = False
        self._trusted = self._service.trusts(self._client.address)  # a proxy that hands the client's own words through speaks once
        return self._greeting()

    async def _xforward(self, argument: str) -> Reply:
        if not self._trusted:
            return replies.NOT_TRUSTED
        if self._mail is not None:
            return reply("503 5.5.1 XFORWARD is not allowed while a message is under way")
        await self._now_for(_with_attributes(self._client, "XFORWARD", argument))
        return replies.OK

    # A message

    async def _mail_from(self, argument: str) -> Reply:
        if not self._greeted:
            return reply("503 5.5.1 Say EHLO first")
        if self._mail is not None:
            return reply("503 5.5.1 A message is under way already")
        path = parse_path(argument, "FROM")
        self._check_parameters(path, MAIL_PARAMETERS | (DSN_MAIL if self._offered.dsn else frozenset()))
        size = path.get("SIZE")
        if size is not None and (not size.isdigit() or len(size) > 20):
            raise SyntaxProblem("501 5.5.4 bad SIZE")
        if size and int(size) > self._service.settings.max_size:
            return replies.TOO_BIG
        if not path.address.isascii() and path.get("SMTPUTF8") is None:
            return reply("553 5.6.7 The address is not ASCII, and SMTPUTF8 was not asked for")
        if not self._service.has_next_hop:
            return replies.NO_NEXT_HOP
        if await self._admission.ask(self._client) is None:
            return await self._begin(path)
        self._mail = Transaction(path, begun=False)  # the next hop hears of it only when somebody may be reached
        return replies.SENDER_OK

    def _check_parameters(self, path: Path, known: frozenset[str]) -> None:
        """Refuse what the next hop would not understand."""
        for name, value in path.parameters:
            possible = name in known and self._extended
            if name == "BODY":
                possible = possible and value is not None and value.upper() in ("7BIT", "8BITMIME") and self._offered.eightbit
            elif name == "SMTPUTF8":
                possible = possible and value is None and self._offered.smtputf8
            if not possible:
                raise SyntaxProblem(f"555 5.5.4 parameter {name[:40]} is not offered here")

    async def _begin(self, path: Path) -> Reply:
        try:
            hop = await self._connected()
            if not _covers(hop.capabilities, path):
                self._offered = hop.capabilities
                return reply("451 4.3.0 The next hop has changed what it offers, say EHLO again")
            answer = await hop.mail(path.line("FROM", keep_size=hop.capabilities.size is not None))
        except NextHopFailed as failure:
            return failure.reply
        if answer.positive:
            self._mail = self._mail or Transaction(path)
            self._mail.begun = True
        return answer

    async def _rcpt_to(self, argument: str) -> Reply:
        if self._mail is None:
            return reply("503 5.5.1 Say MAIL first")
        path = parse_path(argument, "TO")
        self._check_parameters(path, DSN_RCPT if self._offered.dsn else frozenset())
        if len(self._mail.recipients) >= limits.RECIPIENTS:
            return reply("452 4.5.3 Too many recipients")
        if not path.address.isascii() and self._mail.sender.get("SMTPUTF8") is None:
            return reply("553 5.6.7 The address is not ASCII, and SMTPUTF8 was not asked for")
        self._admission.trapped(self._client, canonical_address(path.address), self._mail.sender.address)
        refused = self._admission.refuses(path.address)
        if refused is not None:
            self._idle += 1
            self._mail.refused[path.address[: limits.SHOWN]] = f"{refused.code} {refused.text}"
            return refused
        if not self._mail.begun and not (answer := await self._begin(self._mail.sender)).positive:
            return answer
        assert self._hop is not None
        try:
            answer = await self._hop.recipient(path.line("TO"))
        except NextHopFailed as failure:
            return failure.reply
        self._mail.answers[path.address] = f"{answer.code} {answer.text}"
        if answer.positive:
            self._mail.recipients.append(path)
        return answer

    async def _data(self, argument: str) -> Reply:
        if argument:
            raise SyntaxProblem("501 5.5.4 DATA takes no parameter")
        if self._mail is None:
            return reply("503 5.5.1 Say MAIL first")
        if not self._mail.recipients:
            return reply("554 5.5.1 No valid recipients")
        await self._send(replies.GO)
        started = time.perf_counter()
        try:
            raw = await self._connection.body(self._service.settings.max_size, self._service.timeout, self._service.room)
        except (TooBig, NoRoom) as problem:
            await self._reset()
            return replies.TOO_BIG if isinstance(problem, TooBig) else replies.NO_ROOM
        self._service.room.taken += len(raw)
        try:
            return await self._received(raw, self._mail, time.perf_counter() - started)
        finally:
            self._service.room.taken -= len(raw)
            self._idle = 0
            await self._reset()

    async def _received(self, raw: bytes, mail: Transaction, seconds: float) -> Reply:
        if raw.count(b"\n") != (pairs := raw.count(b"\r\n")) or raw.count(b"\r") != pairs:
            self._service.log.warning("bare_newline_refused", client=self._client.address, mail_from=mail.sender.address, size=len(raw))
            return replies.BARE_NEWLINE
        assert self._hop is not None
        whole = Mail(
            raw=raw,
            client=self._client,
            mail_from=mail.sender.address,
            rcpt_to=tuple(path.address for path in mail.recipients),
            answers=mail.answers,
            body_8bit=(mail.sender.get("BODY") or "").upper() == "8BITMIME",
            smtputf8=mail.sender.get("SMTPUTF8") is not None,
            tls=self._connection.tls is not None,
            seconds=seconds,
            reputation=self._admission.reputation,
        )
        return await dispose(whole, self._hop, self._service, lambda: self._connection.gone)

    # The rest

    async def _rset(self, argument: str) -> Reply:
        if argument:
            raise SyntaxProblem("501 5.5.4 RSET takes no parameter")
        await self._reset()
        return replies.OK

    async def _noop(self, _argument: str) -> Reply:
        return replies.OK

    async def _vrfy(self, _argument: str) -> Reply:
        return reply("252 2.0.0 Not verified; send some mail and see")

    async def _quit(self, _argument: str) -> Reply:
        return replies.BYE

    async def _connected(self) -> NextHop:
        """The connection to the next hop, opened when there is none. Raises `NextHopFailed`."""
        if self._hop is None or not self._hop.connected:
            self._hop = await self._service.connect(self._client)
        return self._hop

    async def _reset(self) -> None:
        """Forget the message under way, here and at the next hop."""
        self._note_refused()
        self._mail = None
        if self._hop is not None:
            await self._hop.reset()

    def _note_refused(self) -> None:
        """Write down who was refused in the message under way."""
        mail = self._mail
        if mail is not None and mail.refused:
            self._admission.note(self._client, mail.sender.address, dict(mail.refused), tls=self._connection.tls is not None)
            mail.refused.clear()

    async def _now_for(self, client: Client) -> None:
        """From now on speak for that client. A next hop that was told of another one has to be told anew."""
        self._note_refused()
        if self._hop is not None and client != self._client:
            await self._hop.quit()
            self._hop = None
        self._client = client


def _covers(offered: Capabilities, path: Path) -> bool:
    """Whether the next hop still offers what the parameters of MAIL ask for; it may have been restarted since EHLO."""
    names = {name for name, _ in path.parameters}
    return (
        (offered.eightbit or "BODY" not in names)
        and (offered.smtputf8 or "SMTPUTF8" not in names)
        and (offered.dsn or not names & DSN_MAIL)
    )


def _with_attributes(client: Client, verb: str, argument: str) -> Client:
    try:
        return told(client, verb, argument)
    except BadAttribute as problem:
        raise SyntaxProblem(f"501 5.5.4 {problem}") from None
