"""A web site on loopback for tests of downloads: ranges, dropped connections, refusals, redirects."""

import hashlib
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Site:
    """What the site holds, how it behaves, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.has_ranges = True
        self.says_length = True
        self.drop_after: dict[str, list[int]] = defaultdict(list)  # bytes of the body, answer after answer
        self.statuses: dict[str, list[int]] = defaultdict(list)
        self.redirects: dict[str, str] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.address = ""

    def put(self, path: str, content: bytes) -> str:
        """Offer a file; gives its address."""
        self.files[path] = content
        return self.address + path

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.asked]


class _Handler(BaseHTTPRequestHandler):
    site: Site  # of the server's own subclass

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        asked, site = self.headers.get("Range"), self.site
        site.asked.append((self.path, asked))
        if self.path in site.redirects:
            self._head(302, {"Location": site.redirects[self.path], "Content-Length": "0"})
        elif site.statuses[self.path]:
            self._head(site.statuses[self.path].pop(0), {"Content-Length": "0"})
        elif self.path not in site.files:
            self._head(404, {"Content-Length": "0"})
        else:
            self._give(site.files[self.path], asked)

    def _give(self, content: bytes, asked: str | None) -> None:
        tag = f'"{hashlib.sha256(content).hexdigest()[:8]}"'
        is_rest = asked and self.site.has_ranges and self.headers.get("If-Range") in (None, tag)
        start = int(re.findall(r"\d+", asked)[0]) if asked and is_rest else 0
        if start >= len(content) > 0:
            self._head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            return
        headers = {"ETag": tag}
        if self.site.says_length:
            headers["Content-Length"] = str(len(content) - start)
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._head(206 if start else 200, headers)
        cuts = self.site.drop_after[self.path]
        self.wfile.write(content[start : start + cuts.pop(0)] if cuts else content[start:])

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@pytest.fixture
def site() -> Iterator[Site]:
    """A site of its own for each test; it ends with the test."""
    made = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": made}))
    made.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
