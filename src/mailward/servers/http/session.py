"""One HTTP client: its requests one after the other."""

from __future__ import annotations

import hmac
import time
from http import HTTPStatus

import h11

from mailward.gateway.settings import Http
from mailward.servers.caller import envelope, examined
from mailward.servers.http import answers
from mailward.servers.http.connection import HttpConnection, settled
from mailward.servers.http.limits import BODY_KEPT, DRAIN_SECONDS
from mailward.servers.http.protocol import METRICS, TEXT, Asked, Refused, Task, Told, json, packed, refusal, too_big, unpacked
from mailward.servers.reports import Reports
from mailward.servers.smtp.client import Client
from mailward.servers.smtp.connection import Gone, Interrupted, NoRoom, TooBig
from mailward.servers.smtp.replies import printable
from mailward.servers.smtp.service import Service
from mailward.storage import StorageError

WAY_IN = "http"
PONG = Told(b"pong\r\n", TEXT)


class Session:
    """Serves one connection."""

    def __init__(self, connection: HttpConnection, client: Client, service: Service, reports: Reports, settings: Http) -> None:
        self._connection = connection
        self._client = client
        self._service = service
        self._reports = reports
        self._settings = settings
        self._timeout = float(settings.timeout)
        self._served = False

    async def run(self) -> None:
        """Serve the client. Raises nothing: an error of ours is logged, and told."""
        try:
            while await self._one():
                self._served = True
        except (Gone, Interrupted, TimeoutError):
            pass
        except Refused as refused:  # nothing more can be read of this client
            self._log(refused)
            await settled(self._connection, refusal(refused), self._timeout)
        except h11.RemoteProtocolError as error:
            status = HTTPStatus(error.error_status_hint)
            await settled(self._connection, refusal(Refused(status, str(error))), self._timeout)
        except Exception as error:  # a bug must cost one connection
            self._service.log.exception("session_failed", client=self._client.address, way_in=WAY_IN, error=str(error))
            told = refusal(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "Something failed here; see the log"))
            await settled(self._connection, told, self._timeout)

    def _log(self, refused: Refused) -> None:
        self._service.log.warning("http_refused", client=self._client.address, status=int(refused.status), reason=str(refused))

    async def _one(self) -> bool:
        """Carry out one request. Whether another may follow. Raises `Refused` where the request was not read to its end."""
        asked = await self._head()
        if asked is None:
            return False
        task = asked.task
        self._allowed(asked, task)
        raw = await self._message(asked, task)
        try:
            told = await self._carried_out(asked, task, raw)
        except Refused as refused:
            self._log(refused)
            told = refusal(refused)
        finally:
            self._service.room.taken -= len(raw)
        if asked.wants_packed and told.status is HTTPStatus.OK:
            told = packed(told)
        return await self._connection.answer(told, self._timeout, close=self._service.draining)

    async def _head(self) -> Asked | None:
        """The head of the next request. While we are being stopped, that of the first may be on its way."""
        try:
            return await self._connection.head(self._timeout)
        except Interrupted:
            if self._served:
                raise
        return await self._connection.head(DRAIN_SECONDS, interruptible=False)

    def _allowed(self, asked: Asked, task: Task) -> None:
        """Raises `Refused`. A browser sends Origin: whatever page it shows has no business here."""
        if asked.get("origin"):
            raise Refused(HTTPStatus.FORBIDDEN, "Not for web pages")
        given, wanted = asked.get("password"), self._settings.password
        if task is not Task.PING and wanted and not hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
            raise Refused(HTTPStatus.UNAUTHORIZED, "The password is missing or wrong ([http] password)")
        if task in (Task.LEARN_SPAM, Task.LEARN_HAM) and not self._settings.allow_learn:
            raise Refused(HTTPStatus.FORBIDDEN, "Learning is not allowed here ([http] allow_learn)")

    async def _message(self, asked: Asked, task: Task) -> bytes:
        """The body, unpacked; it is counted in the room then. Raises `Refused`."""
        limit = self._settings.max_size if task.takes_message else BODY_KEPT
        try:
            raw = await self._connection.body(limit, self._timeout, self._service.room)
        except TooBig:
            raise too_big(limit) from None
        except NoRoom:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "Too much mail at the same time, try again later") from None
        if asked.packed and task.takes_message:
            raw = unpacked(raw, limit)
        self._service.room.taken += len(raw)
        return raw

    async def _carried_out(self, asked: Asked, task: Task, raw: bytes) -> Told:
        gateway = self._service.gateway
        uptime = time.time() - gateway.counters.started
        match task:
            case Task.PING:
                return PONG
            case Task.SYMBOLS:
                return json(answers.symbols(gateway.model))  # type: ignore[arg-type]
            case Task.STAT:
                return json(answers.stat(gateway.counters, int(uptime), await self._reports.count()))
            case Task.METRICS:
                return Told(answers.metrics(gateway.counters, uptime), METRICS)
            case Task.LEARN_SPAM | Task.LEARN_HAM:
                return await self._learned(asked, raw, "spam" if task is Task.LEARN_SPAM else "ham")
            case _:
                return await self._checked(asked, task, raw)

    async def _checked(self, asked: Asked, task: Task, raw: bytes) -> Told:
        service, started = self._service, time.perf_counter()
        if not raw:
            raise Refused(HTTPStatus.BAD_REQUEST, "There is no message")
        if ignored := asked.get("settings-id") or asked.get("settings"):
            service.log.warning("settings_ignored", client=self._client.address, settings=printable(ignored, 80))
        judgement, action = await examined(
            service,
            raw,
            envelope(asked.header, raw, WAY_IN),
            named=bool(asked.get("ip") or asked.get("from")),
            peer=self._client.address,
            queue_id=printable(asked.get("queue-id"), 80),
            user=printable(asked.get("user"), 80),
        )
        seconds = time.perf_counter() - started
        policy = service.gateway.policy
        if task is Task.CHECK:
            return json(answers.checked(raw, judgement, action, policy, service.hostname, service.lookup_url, seconds))
        return json(answers.checked_as_before(judgement, action, policy, seconds))

    async def _learned(self, asked: Asked, raw: bytes, kind: str) -> Told:
        if not raw:
            raise Refused(HTTPStatus.BAD_REQUEST, "There is no message")
        who = f"http:{printable(asked.get('user'), 80) or 'unknown'}"
        try:
            await self._reports.add(raw, kind, who, envelope(asked.header, raw, WAY_IN))
        except StorageError as error:
            self._service.log.error("report_failed", client=self._client.address, error=str(error))
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "The report cannot be stored now, try again later") from None
        return json({"success": True})
