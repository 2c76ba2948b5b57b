"""One client's question and our answer; then the connection is closed, as spamd does."""

from __future__ import annotations

from mailward.message import Envelope
from mailward.servers.caller import envelope, examined
from mailward.servers.reports import Reports
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.connection import BareNewline, Gone, Interrupted, LineTooLong, NoRoom, TooBig
from mailward.servers.smtp.replies import printable
from mailward.servers.smtp.service import Service
from mailward.servers.spamd import limits
from mailward.servers.spamd.answers import answered
from mailward.servers.spamd.connection import CutShort, HalfOpen
from mailward.servers.spamd.protocol import PONG, Exit, Method, Refused, Request, answer, plain, refusal, request, too_big
from mailward.storage import StorageError

WAY_IN = "spamd"


class Session:
    """Reads one request and answers it."""

    def __init__(self, connection: HalfOpen, client: Client, service: Service, reports: Reports | None, limit: int, timeout: float) -> None:
        self._connection = connection
        self._client = client
        self._service = service
        self._reports = reports
        self._limit = limit
        self._timeout = timeout

    async def run(self) -> None:
        """Serve the client. Raises nothing: an error of ours is logged, and told in the client's own terms."""
        try:
            said = await self._answer()
        except Gone:
            return
        except Refused as refused:
            self._service.log.warning("spamd_refused", client=self._client.address, code=int(refused.code), reason=str(refused))
            said = refusal(refused)
        except TimeoutError:
            said = refusal(Refused(Exit.TIMEOUT, "You have been silent for too long"))
        except Exception as error:  # a bug must cost one connection, with an exit code instead of silence
            self._service.log.exception("session_failed", client=self._client.address, way_in=WAY_IN, error=str(error))
            said = refusal(Refused(Exit.SOFTWARE, "Something failed here; see the log"))
        await self._last_word(said)

    async def _last_word(self, said: bytes) -> None:
        try:
            await self._connection.last_word(said, self._timeout)
        except (Gone, TimeoutError):
            self._connection.abort()

    async def _answer(self) -> bytes:
        asked = await self._request()
        match asked.method:
            case Method.PING:
                return PONG
            case Method.SKIP:
                raise Gone
            case Method.TELL if self._reports is None:
                raise Refused(Exit.UNAVAILABLE, "TELL is not allowed here ([spamd] allow_tell)")
        raw = await self._message(asked)
        self._service.room.taken += len(raw)
        try:
            return await self._carried_out(asked, raw)
        finally:
            self._service.room.taken -= len(raw)

    async def _request(self) -> Request:
        """The first line and the header. Raises `Refused`."""
        try:
            line = await self._connection.line(self._timeout, interruptible=True)
            if line.upper().startswith(b"PING "):  # some clients do not send the empty line
                return request(line, [])
            header: list[bytes] = []
            size = 0
            while field := await self._connection.line(self._timeout):
                header.append(field)
                size += len(field)
                if len(header) > limits.HEADER_LINES or size > limits.HEADER_BYTES:
                    raise Refused(Exit.PROTOCOL, "The header is too long")
        except LineTooLong:
            raise Refused(Exit.PROTOCOL, "Bad header line: it is too long") from None
        except BareNewline:
            raise Refused(Exit.PROTOCOL, "Bad header line: lines end with CRLF") from None
        except Interrupted:
            raise Refused(Exit.TEMPFAIL, "mailward is being restarted, try again") from None
        return request(line, header)

    async def _message(self, asked: Request) -> bytes:
        try:
            sent = await self._connection.message(asked.length, self._limit, self._timeout, self._service.room)
        except TooBig:
            raise too_big(self._limit) from None
        except CutShort:
            raise Refused(Exit.PROTOCOL, f"Content-length mismatch: the message has fewer than {asked.length} octets") from None
        except NoRoom:
            raise Refused(Exit.TEMPFAIL, "Too much mail at the same time, try again later") from None
        return plain(asked, sent, self._limit)

    async def _carried_out(self, asked: Request, raw: bytes) -> bytes:
        said = envelope(asked.header if asked.rspamd else {}, raw, WAY_IN)
        if asked.method is Method.TELL:
            return await self._told(asked, raw, said)
        user = printable(asked.get("user"), 80)
        judgement, action = await examined(
            self._service, raw, said, named=True, peer=self._client.address, method=str(asked.method), user=user
        )
        return answered(asked, raw, judgement, action, self._service.gateway.policy, self._service.hostname)

    async def _told(self, asked: Request, raw: bytes, said: Envelope) -> bytes:
        """Learn a message, or take back what was learned of it. Only "local" is known here: nobody else is told."""
        assert self._reports is not None
        kind = asked.get("message-class").lower()
        try:
            if "local" in asked.get("remove").lower():
                done = ["DidRemove: local"] if await self._reports.take_back(raw) else []
            elif "local" in asked.get("set").lower() and kind in ("ham", "spam"):
                await self._reports.add(raw, kind, f"spamd:{printable(asked.get('user'), 80) or 'unknown'}", said)
                done = ["DidSet: local"]
            elif "remote" in asked.get("set").lower() + asked.get("remove").lower():
                raise Refused(Exit.UNAVAILABLE, "TELL: messages are reported to nobody else; only Set: local and Remove: local are known")
            else:
                raise Refused(Exit.USAGE, "TELL wants Set: local with Message-class: ham or spam, or Remove: local")
        except StorageError as error:
            self._service.log.error("report_failed", client=self._client.address, error=str(error))
            raise Refused(Exit.TEMPFAIL, "The report cannot be stored now, try again later") from None
        return answer([*done, "Content-length: 0"])
