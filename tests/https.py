"""A real HTTPS server with a CA of its own, which the system trusts while a test runs."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

Page = Callable[[http.server.BaseHTTPRequestHandler], None]


def page(text: str, status: int = 200, **headers: str) -> Page:
    """What the server answers."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        data = text.encode()
        request.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(data)

    return answer


@dataclass
class Site:
    """A server at https://localhost:PORT/, which answers `answer` and remembers what it was asked."""

    port: int
    answer: Page = field(default_factory=lambda: page(""))
    asked: list[dict[str, str]] = field(default_factory=list)

    def url(self, path: str = "/list.txt") -> str:
        return f"https://localhost:{self.port}{path}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA (ca.pem) and a certificate of localhost (server.pem)."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl (Debian package openssl)")
    folder = tmp_path_factory.mktemp("ca")
    key = ["-newkey", "rsa:2048", "-nodes", "-keyout"]
    names = ["-subj", "/CN=Test CA", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for command in (
        ["req", "-x509", *key, "ca.key", "-out", "ca.pem", "-days", "2", *names],
        ["req", *key, "server.key", "-out", "server.csr", "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "names", "-out", "server.pem"],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def site(authority: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The server, whose CA the system trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    found: list[Site] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            found[0].asked.append({"path": self.path, **self.headers})
            found[0].answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that hangs up is what some tests are about
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "server.pem", authority / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.append(Site(server.server_address[1]))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield found[0]
    server.shutdown()
    thread.join()
    server.server_close()
