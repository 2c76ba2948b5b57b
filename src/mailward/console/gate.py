"""Before and after every request: how much may be sent, by whom, and which headers every answer has."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mailward.console.access import Access, Role
from mailward.console.rates import Rate, client_network

MAX_STRANGER = 16 << 10  # octets of a body: a form
MAX_NODE = 4 << 20  # a batch of evidence
MAX_OPERATOR = 64 << 20  # a list; larger ones are imported on the command line
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class Gate:
    """ASGI middleware. Sets `scope["caller"]`; answers HEAD as GET; a body that is too large ends in 413, guessing tokens in 429."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._failures = Rate(burst=20, per_second=0.2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else {**scope}  # the server leaves out the body
        inner["caller"], inner["refusal"] = self._caller(headers, scope)
        limit = _limit(inner["caller"])
        declared = headers.get("content-length", "")
        if inner["refusal"] is None and declared.isdigit() and int(declared[:20]) > limit:
            inner["refusal"] = _too_large(limit)
        await self._app(inner, _limited(receive, limit), _with_headers(send))

    def _caller(self, headers: Headers, scope: Scope) -> tuple[object, HTTPException | None]:
        given = headers.get("authorization", "")
        if not given:
            return None, None
        caller = self._access.caller(given)
        if caller is None:
            wait = self._failures.take(client_network(scope["client"][0] if scope.get("client") else ""))
            if wait:
                return None, HTTPException(429, "too many wrong tokens came from your network", {"Retry-After": str(int(wait) + 1)})
            return None, HTTPException(401, "this token is not known here", {"WWW-Authenticate": 'Bearer realm="mailward"'})
        return caller, None


def _limit(caller: object) -> int:
    role = getattr(caller, "role", None)
    return MAX_OPERATOR if role is Role.OPERATOR else MAX_NODE if role is Role.NODE else MAX_STRANGER


def _too_large(limit: int) -> HTTPException:
    return HTTPException(413, f"the request is too large; at most {limit >> 10} KB are taken from you", {"Connection": "close"})


def _limited(receive: Receive, limit: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise _too_large(limit)
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending
