"""One mail server from its first packet to its last: what the session says is due, carried out and answered."""

from __future__ import annotations

import asyncio
import time

from mailward.gateway.settings import MilterQuarantine
from mailward.policy.addresses import canonical_address
from mailward.servers.milter import limits, protocol
from mailward.servers.milter.connection import PacketConnection
from mailward.servers.milter.disposal import Way, answered, dispose
from mailward.servers.milter.protocol import Code, Problem, command
from mailward.servers.milter.session import WAY_IN, Due, Session
from mailward.servers.smtp.admission import Admission
from mailward.servers.smtp.connection import Gone, Interrupted
from mailward.servers.smtp.replies import Reply, reply
from mailward.servers.smtp.service import Service

TOO_MANY_RECIPIENTS = reply("452 4.5.3 Too many recipients")


class Dialogue:
    """Serves one connection. `limit`: octets of the largest message judged; `timeout`: seconds of silence."""

    def __init__(self, connection: PacketConnection, service: Service, limit: int, timeout: float, quarantine: MilterQuarantine) -> None:
        self._connection = connection
        self._service = service
        self._timeout = timeout
        self._quarantine = quarantine
        self._admission = self._nobody_yet()
        self._session = Session(limit, service.room, answers_connect=self._admission.at_greeting)
        self._began = 0.0
        self._alive: asyncio.TimerHandle | None = None

    def _nobody_yet(self) -> Admission:
        return Admission(self._service, WAY_IN, refusable=True)

    async def run(self) -> None:
        """Talk until one of us ends. Raises nothing: what goes wrong is logged, and the mail server keeps its mail when we hang up."""
        try:
            await self._talk()
        except (Gone, TimeoutError):
            pass
        except Problem as problem:
            self._service.log.warning("milter_problem", problem=str(problem), server=self._session.macro("j"))
        except Exception as error:  # a bug must cost one connection
            self._service.log.exception("session_failed", way_in=WAY_IN, error=str(error))
        finally:
            self._note_refused()
            self._session.done()
            self._connection.close()

    async def _talk(self) -> None:
        reader, session = self._connection.reader, self._session
        while True:
            due = session.take(command(*(reader.next() or await self._packet())))
            if due is Due.NOTHING:
                continue
            if due is Due.END:
                return
            answer = await self._carried_out(due)
            if answer:
                await self._connection.write(answer, limits.PACKET_SECONDS)

    async def _packet(self) -> tuple[int, bytes]:
        """The next packet. While we are being stopped, one with no message under way may end what it does, if it does it soon."""
        try:
            return await self._connection.packet(self._timeout, interruptible=not self._session.busy)
        except Interrupted:  # what it says may be on its way
            pass
        return await self._connection.packet(limits.DRAIN_SECONDS)

    async def _carried_out(self, due: Due) -> bytes:
        """Do what is due. Returns the answer, empty where none is awaited."""
        match due:
            case Due.CONTINUE:
                return protocol.CONTINUE
            case Due.OFFER:
                return self._session.answer
            case Due.CLIENT:
                return await self._client()
            case Due.SENDER:
                self._began = time.perf_counter()
                await self._admission.ask(self._session.client)
                return protocol.CONTINUE if self._session.answers(Code.MAIL) else b""
            case Due.RECIPIENT | Due.REJECTED:
                return self._recipient(rejected=due is Due.REJECTED)
            case Due.MESSAGE:
                return await self._message()
            case Due.ABORTED:
                self._note_refused()
                self._session.done()
            case Due.NEXT_CLIENT:
                self._note_refused()
                self._session.next_client()
                self._admission = self._nobody_yet()
        return b""

    async def _client(self) -> bytes:
        refusal = await self._admission.ask(self._session.client) if self._admission.at_greeting else None
        if not self._session.answers(Code.CONNECT):
            return b""
        if refusal is None:
            return protocol.CONTINUE
        self._admission.note(self._session.client, None, {}, tls=False)
        return answered(refusal.greeting)

    def _recipient(self, *, rejected: bool) -> bytes:
        session = self._session
        self._admission.trapped(session.client, canonical_address(session.recipient), session.sender)
        if rejected:
            return protocol.CONTINUE
        refused: Reply | None = self._admission.refuses(session.recipient)
        if refused is not None:
            session.refuse(f"{refused.code} {refused.text}")
            return answered(refused)
        if session.full():
            return answered(TOO_MANY_RECIPIENTS)
        session.accept()
        return protocol.CONTINUE

    async def _message(self) -> bytes:
        """Judge, with a sign of life to the mail server now and then."""
        session = self._session
        self._still_alive(first=True)
        try:
            received = session.received()
            way = Way(session.actions, session.steps, self._quarantine)
            seconds = time.perf_counter() - self._began
            return await dispose(received, self._admission.reputation, way, self._service, lambda: self._connection.gone, seconds)
        finally:
            if self._alive is not None:
                self._alive.cancel()
            self._note_refused()
            session.done()

    def _still_alive(self, *, first: bool = False) -> None:
        if not first:
            self._connection.sign_of_life(protocol.PROGRESS)
        self._alive = asyncio.get_running_loop().call_later(limits.PROGRESS_SECONDS, self._still_alive)

    def _note_refused(self) -> None:
        """Write down who was refused in the message under way."""
        if self._session.refused:
            self._admission.note(self._session.client, self._session.sender, dict(self._session.refused), tls=self._session.tls)
            self._session.refused.clear()
