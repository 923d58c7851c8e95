"""HTTP server on loopback whose answers are wrong, slow or endless, one for each name in `BEHAVIORS`."""

import gzip
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

Headers = dict[str, object]


class HostileServer(ThreadingHTTPServer):
    """Serves a file under /BEHAVIOR/...; counts the requests of every behavior."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.counts = content, dict[str, int]()
        self.is_open = True

    def at(self, behavior: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{behavior}/"

    def handle_error(self, *_: object) -> None:
        """Ignore clients that close the connection."""


class Handler(BaseHTTPRequestHandler):
    server: HostileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = unquote(self.path).split("/")[1]
        self.server.counts[name] = self.server.counts.get(name, 0) + 1
        BEHAVIORS[name](self)
        self.close_connection = True

    @property
    def content(self) -> bytes:
        return self.server.content

    @property
    def attempt(self) -> int:
        return self.server.counts[unquote(self.path).split("/")[1]]

    @property
    def start(self) -> int:
        return int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))

    def answer(self, body: bytes, status: int = 200, **headers: object) -> None:
        """Send a response; underscores in the names of headers stand for hyphens."""
        self.send_response(status)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def forever(self, data: bytes, seconds: float) -> None:
        """Send data again and again until the client or the server is closed."""
        while self.server.is_open:
            self.wfile.write(data)
            self.wfile.flush()
            time.sleep(seconds)

    def part(self, length: int, *, begin: int | None = None) -> None:
        """Answer a request for a range, with at most ``length`` bytes before the connection is closed."""
        begin, total = self.start if begin is None else begin, len(self.content)
        span = f"bytes {begin}-{total - 1}/{total}"
        body = self.content[begin : begin + length]
        self.answer(body, 206 if self.start else 200, Content_Length=total - begin, Content_Range=span)


def redirect(location: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(b"", 302, Location=location)


def hold(handler: Handler) -> None:
    while handler.server.is_open:
        time.sleep(0.02)


def longer_than_it_is(handler: Handler) -> None:
    handler.answer(handler.content, Content_Length=len(handler.content) + 100)
    hold(handler)


def chunked(handler: Handler) -> None:
    handler.answer(b"", Content_Length=None, Transfer_Encoding="chunked")
    for start in range(0, len(handler.content), 50_000):
        chunk = handler.content[start : start + 50_000]
        handler.wfile.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
    handler.wfile.write(b"0\r\n\r\n")


def endless_chunks(handler: Handler) -> None:
    handler.answer(b"", Content_Length=None, Transfer_Encoding="chunked")
    handler.forever(b"10000\r\n" + bytes(0x10000) + b"\r\n", 0)


def endless(handler: Handler) -> None:
    handler.answer(b"", Content_Length=None)
    handler.forever(bytes(0x10000), 0)


def drip(handler: Handler) -> None:
    handler.answer(b"", Content_Length=len(handler.content))
    handler.forever(b"x", 0.02)


def raw(data: bytes, repeated: bytes = b"", seconds: float = 0) -> Callable[[Handler], None]:
    def send(handler: Handler) -> None:
        handler.wfile.write(data)
        if repeated:
            handler.forever(repeated, seconds)

    return send


BEHAVIORS: dict[str, Callable[[Handler], None]] = {
    "fine": lambda handler: handler.answer(handler.content),
    "missing": lambda handler: handler.send_error(404),
    "broken": lambda handler: handler.send_error(500),
    "other content": lambda handler: handler.answer(handler.content[:-1] + b"?"),
    "web page": lambda handler: handler.answer(b"<!DOCTYPE html><title>Sign in</title>"),
    "no content": lambda handler: handler.answer(b"", 204),
    "gzip": lambda handler: handler.answer(gzip.compress(handler.content), Content_Encoding="gzip"),
    "shorter length": lambda handler: handler.answer(handler.content, Content_Length=1000),
    "longer length": longer_than_it_is,
    "huge length": lambda handler: handler.answer(handler.content, Content_Length=10**15),
    "two lengths": lambda handler: handler.answer(handler.content, Content_Length="5, 6"),
    "odd length": lambda handler: handler.answer(handler.content, Content_Length="²"),
    "no length": lambda handler: handler.answer(handler.content, Content_Length=None),
    "chunked": chunked,
    "endless chunks": endless_chunks,
    "endless": endless,
    "drip": drip,
    "silent": hold,
    "slow headers": raw(b"HTTP/1.1 200 OK\r\nX: ", b"x", 0.02),
    "endless headers": raw(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 50),
    "continue for ever": raw(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
    "not http": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "closed": raw(b""),
    "redirect": redirect("/fine/file"),
    "redirect to itself": redirect("/redirect to itself/file".replace(" ", "%20")),
    "redirect to a file": redirect("file:///etc/hostname"),
    "redirect to a long name": redirect(f"http://{'a' * 70}.invalid/file"),
    "redirect to a bad port": redirect("http://127.0.0.1:99999999/"),
    "drops once": lambda handler: handler.part(60_000 if handler.attempt == 1 else 10**9),
    "drops always": lambda handler: handler.part(10_000),
    "range ignored": lambda handler: handler.answer(handler.content),
    "other range": lambda handler: handler.part(10**9, begin=handler.start + 5 if handler.start else 0),
    "range of other content": lambda handler: (
        handler.part(10**9)
        if handler.start == 0
        else handler.answer(
            bytes(len(handler.content) - handler.start),
            206,
            Content_Range=f"bytes {handler.start}-{len(handler.content) - 1}/{len(handler.content)}",
        )
    ),
    "range never": lambda handler: handler.answer(b"", 416, Content_Range="bytes */7"),
}
