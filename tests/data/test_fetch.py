"""Downloads from a real HTTP server on loopback with every fault of servers and connections that was met."""

import hashlib
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from firstsight.data.datasets import RemoteFile
from firstsight.data.download import LIMITS
from firstsight.data.fetch import fetch
from firstsight.errors import DataError

CONTENT = bytes(i * 7 % 251 for i in range(300_000))
FILE = RemoteFile("file.bin", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


class Server(ThreadingHTTPServer):
    """Serves /<fault>/file.bin; records the Range of every request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None]] = []
        self.failures = 0

    def at(self, fault: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{fault}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        fault, span = self.path.split("/")[1], self.headers.get("Range")
        self.server.requests.append((fault, span))
        start = int(span.removeprefix("bytes=").rstrip("-")) if span and fault != "norange" else 0
        if fault == "missing":
            return self.send_error(404)
        if fault == "broken":
            return self.send_error(500)
        content = CONTENT
        if fault == "wrong":
            content = CONTENT[:-1] + b"?"
        if fault == "shortened" and self.server.failures == 2:
            content = CONTENT[:10]
        if fault == "moved":
            self.send_response(302)
            self.send_header("Location", "/fine/file.bin")
            return self.end_headers()
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            is_shifted = fault == "shifted" or (fault == "later-shifted" and self.server.failures == 2)
            begin = start + 5 if is_shifted else start
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if fault in ("drops", "shortened", "later-shifted") and self.server.failures < 2:
            self.server.failures += 1
            self.wfile.write(content[start : start + 100_000])
            self.wfile.flush()
            self.connection.close()
            return None
        if fault == "alwaysdrops":
            self.wfile.write(content[start : start + 30_000])
            self.wfile.flush()
            self.connection.close()
            return None
        self.wfile.write(content[start:])
        return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    lines: list[str] = []
    path = fetch(FILE, (server.at("fine"),), tmp_path, notify=lines.append)
    assert path.read_bytes() == CONTENT
    assert lines == [f"downloading {server.at('fine')}file.bin (0.3 MB)"]
    fetch(FILE, (server.at("fine"),), tmp_path)
    assert len(server.requests) == 1  # the second call needs no request
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["file.bin"]


def test_download_continues_after_a_broken_connection_where_it_ended(server: Server, tmp_path: Path) -> None:
    assert fetch(FILE, (server.at("drops"),), tmp_path).read_bytes() == CONTENT
    starts = [int(span.removeprefix("bytes=").rstrip("-")) if span else 0 for _, span in server.requests]
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert starts[-1] > 60_000  # what had arrived was kept


def test_download_of_a_killed_process_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:123_456])
    assert fetch(FILE, (server.at("fine"),), tmp_path).read_bytes() == CONTENT
    assert server.requests == [("fine", "bytes=123456-")]


def test_complete_part_file_is_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch(FILE, (server.at("fine"),), tmp_path).read_bytes() == CONTENT


def test_part_file_of_other_content_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"x" * 400_000)
    assert fetch(FILE, (server.at("fine"),), tmp_path).read_bytes() == CONTENT
    (tmp_path / "file.bin").unlink()
    (tmp_path / "file.bin.part").write_bytes(b"x" * 100)  # continued, wrong, then downloaded from the next mirror
    assert fetch(FILE, (server.at("fine"), server.at("moved")), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["norange", "shifted"])
def test_file_is_downloaded_whole_if_the_server_cannot_continue(server: Server, tmp_path: Path, fault: str) -> None:
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    assert fetch(FILE, (server.at(fault),), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["missing", "broken", "wrong", "alwaysdrops"])
def test_next_mirror_is_tried_after_a_fault(server: Server, tmp_path: Path, fault: str) -> None:
    assert fetch(FILE, (server.at(fault), server.at("fine")), tmp_path).read_bytes() == CONTENT


def test_error_names_the_fault_of_every_mirror(server: Server, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/"
    with pytest.raises(DataError) as error:
        fetch(FILE, (server.at("missing"), server.at("wrong"), nowhere), tmp_path)
    message = str(error.value)
    for part in (
        f"{server.at('missing')}: HTTP 404",
        f"{server.at('wrong')}: the hash of the file differs from the published one",
        f"{nowhere}: no connection",
        "pass a folder that has the files as `data`",
    ):
        assert part in message
    assert not (tmp_path / "file.bin").exists()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("shortened", "the server's file is shorter than the partial download"),
        ("later-shifted", "the server resumed at another byte than requested"),
    ],
)
def test_error_names_the_fault_of_the_last_attempt(server: Server, tmp_path: Path, fault: str, reason: str) -> None:
    """The connection breaks twice; the third request cannot be continued, and its partial file is deleted."""
    with pytest.raises(DataError, match=re.escape(f"file.bin could not be downloaded ({reason}); try again")):
        fetch(FILE, (server.at(fault),), tmp_path)
    assert len(server.requests) == 3
    assert not (tmp_path / "file.bin.part").exists()


PREFIX = RemoteFile(FILE.name, FILE.sha256[:8], FILE.size)


def test_file_is_verified_by_the_first_digits_of_its_hash(server: Server, tmp_path: Path) -> None:
    """Published weights have no more of it in their name; the rules are the same."""
    (tmp_path / "file.bin").write_bytes(b"damaged")
    assert fetch(PREFIX, (server.at("drops"),), tmp_path).read_bytes() == CONTENT
    count = len(server.requests)
    assert fetch(PREFIX, (server.at("fine"),), tmp_path).read_bytes() == CONTENT
    assert len(server.requests) == count
    (tmp_path / "file.bin").unlink()
    assert fetch(PREFIX, (server.at("wrong"), server.at("fine")), tmp_path).read_bytes() == CONTENT
    (tmp_path / "file.bin").unlink()
    with pytest.raises(DataError, match=r"hash of the file differs from the published one.*; try again, or walk there"):
        fetch(PREFIX, (server.at("wrong"),), tmp_path, hint="walk there")
    assert not [item for item in tmp_path.iterdir() if item.is_file()]


def test_damaged_file_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"damaged")
    assert fetch(FILE, (server.at("fine"),), tmp_path).read_bytes() == CONTENT


def test_fetch_opens_no_connection_offline(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
    with pytest.raises(DataError, match="FIRSTSIGHT_OFFLINE is set"):
        fetch(FILE, (server.at("fine"),), tmp_path)
    assert server.requests == []


def test_offline_training_opens_no_socket(tmp_path: Path) -> None:
    """The training runs in a separate process with an audit hook of Python."""
    code = (
        "import sys, os\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(event) if event.startswith('socket.') else None)\n"
        "from firstsight.cli import main\n"
        "code = main(['train', 'lenet', '--data', 'kmnist'])\n"
        "print(code, opened)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False)
    assert done.stdout == "1 []\n"
    assert "FIRSTSIGHT_OFFLINE" in done.stderr


def test_download_timeouts_are_at_most_a_minute() -> None:
    assert all(0 < seconds <= 60 for seconds in (LIMITS.connect, LIMITS.read, LIMITS.response, LIMITS.window))
