"""Downloads of weights from hostile servers, at once from several processes, and after damage of the cache."""

import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from firstsight.data.datasets import RemoteFile
from firstsight.data.download import MARGIN, Limits
from firstsight.errors import WeightsError
from firstsight.text import MAX_MESSAGE
from firstsight.weights.bundled import bundled, cache_dir
from firstsight.weights.retrieve import retrieve
from helpers.hostile_server import BEHAVIORS, HostileServer

CONTENT = bundled()["lenet-digits"].read_bytes()
LIMITS = Limits(connect=2, read=1, response=1.5, window=0.5, min_bytes=1000)
SUCCEEDS = {
    "fine", "no length", "odd length", "chunked", "redirect", "drops once", "range ignored", "other range",
    "range of other content",
}  # fmt: skip
HASH = "the hash of the file differs from the published one"
REASONS = {
    "missing": "HTTP 404",
    "broken": "HTTP 500",
    "other content": HASH,
    "web page": HASH,
    "no content": HASH,
    "gzip": HASH,
    "shorter length": HASH,
    "longer length": "no response in time|no connection|timed out",
    "huge length": "more bytes than the published file has",
    "two lengths": "unmatching|Content-Length",
    "endless chunks": "more bytes than the published file has",
    "endless": "more bytes than the published file has",
    "drip": "the server is too slow",
    "silent": "no response in time",
    "slow headers": "no response in time",
    "endless headers": "headers|no connection",
    "continue for ever": "no response in time|headers|no connection",
    "not http": "no connection|BadStatusLine",
    "closed": "no connection|closed",
    "redirect to itself": "redirects|no response in time",
    "redirect to a file": "No connection adapters",
    "redirect to a long name": ".",
    "redirect to a bad port": ".",
    "drops always": "the connection ended after|no connection",
    "range never": "HTTP 416",
}
"""Regular expressions of the reasons in the messages."""


def fetch_weights(server: HostileServer, behavior: str, name: str = "") -> Path:
    """Retrieve weights that are the content of the downloaded file."""
    name = name or behavior.replace(" ", "-")
    target = cache_dir() / f"{name}.safetensors"
    return retrieve(
        target,
        (RemoteFile(f"{name}.bin", hashlib.sha256(CONTENT).hexdigest()[:8], len(CONTENT)),),
        server.at(behavior.replace(" ", "%20")),
        convert=lambda path: shutil.copy(path, target),
        import_command="firstsight weights import FILE",
        notify=lambda line: None,
        limits=LIMITS,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    server = HostileServer(CONTENT)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.is_open = False
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def outcomes(server: HostileServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path | Exception]]:
    """Weights files or errors of all behaviors, retrieved at the same time. A part of each file is there already."""

    def outcome(behavior: str) -> Path | Exception:
        try:
            return fetch_weights(server, behavior)
        except Exception as error:
            return error

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FIRSTSIGHT_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("FIRSTSIGHT_OFFLINE", "0")
        downloads = cache_dir() / "downloads"
        downloads.mkdir(parents=True)
        for behavior in BEHAVIORS:
            if "range" in behavior:
                (downloads / f"{behavior.replace(' ', '-')}.bin.part").write_bytes(CONTENT[:5000])
        with ThreadPoolExecutor(len(BEHAVIORS)) as pool:
            yield dict(zip(BEHAVIORS, pool.map(outcome, BEHAVIORS), strict=True))


@pytest.mark.parametrize("behavior", BEHAVIORS)
def test_a_hostile_server_gives_the_file_or_one_sentence(behavior: str, outcomes: dict[str, Path | Exception]) -> None:
    outcome = outcomes[behavior]
    if behavior in SUCCEEDS:
        assert isinstance(outcome, Path), outcome
        assert outcome.read_bytes() == CONTENT
        return
    assert isinstance(outcome, WeightsError), outcome
    message = str(outcome)
    reason = re.search(r"could not be downloaded \((.*)\); try again, or download", message)
    assert reason and re.search(REASONS[behavior], reason[1]), message
    assert len(message) <= MAX_MESSAGE and message.isprintable()


def test_only_right_files_are_left(outcomes: dict[str, Path | Exception]) -> None:
    paths = {outcome for outcome in outcomes.values() if isinstance(outcome, Path)}
    folder = next(iter(paths)).parent
    assert set(folder.glob("*.safetensors")) == paths
    assert {path.suffix for path in (folder / "downloads").iterdir()} <= {".lock", ".part"}
    assert all(path.stat().st_size <= len(CONTENT) for path in (folder / "downloads").glob("*.part"))


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")


@pytest.mark.usefixtures("online")
def test_ten_downloads_at_once_make_one_request(server: HostileServer) -> None:
    before = server.counts.get("fine", 0)
    with ThreadPoolExecutor(10) as pool:
        paths = list(pool.map(lambda _: fetch_weights(server, "fine", "ten"), range(10)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert server.counts["fine"] == before + 1


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("content", [b"", b"junk", CONTENT[:-1], CONTENT[:5000], b"\xff" * 8 + CONTENT[8:]])
def test_damaged_weights_in_the_cache_are_downloaded_again(server: HostileServer, content: bytes) -> None:
    cache_dir().mkdir(parents=True)
    (cache_dir() / "again.safetensors").write_bytes(content)
    assert fetch_weights(server, "fine", "again").read_bytes() == CONTENT


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("name", ["again.bin", "again.bin.part"])
@pytest.mark.parametrize("content", [b"", b"junk", CONTENT[:-1], CONTENT + b"junk", bytes(len(CONTENT) + 2 * MARGIN)])
def test_damaged_downloads_in_the_cache_are_downloaded_again(server: HostileServer, name: str, content: bytes) -> None:
    (cache_dir() / "downloads").mkdir(parents=True)
    (cache_dir() / "downloads" / name).write_bytes(content)
    assert fetch_weights(server, "drops once" if content == b"" else "fine", "again").read_bytes() == CONTENT


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize("behavior", ["huge length", "endless", "endless chunks"])
@pytest.mark.parametrize(("is_known", "reason"), [
    (False, r"the file is too large; the limit is 1 MB \(set FIRSTSIGHT_MAX_MB to raise it\)"),
    (True, "the server sends more bytes than the published file has"),
])  # fmt: skip
def test_a_download_of_unknown_size_that_is_too_large_says_the_limit(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch, behavior: str, is_known: bool, reason: str
) -> None:
    monkeypatch.setenv("FIRSTSIGHT_MAX_MB", "1")
    size = len(CONTENT) if is_known else 0
    with pytest.raises(WeightsError, match=rf"could not be downloaded \({reason}\); try again, or") as error:
        retrieve(
            cache_dir() / "other.safetensors",
            (RemoteFile("other.bin", "", size),),
            server.at(behavior.replace(" ", "%20")),
            convert=lambda path: path,
            import_command="firstsight weights import other.bin",
            notify=lambda line: None,
            limits=LIMITS,
        )
    assert len(str(error.value)) <= MAX_MESSAGE


@pytest.mark.usefixtures("online")
def test_a_download_without_a_published_hash_that_cannot_be_converted_is_deleted(server: HostileServer) -> None:
    target = cache_dir() / "other.safetensors"

    def refuse(path: Path) -> None:
        raise WeightsError(f"{path.name}: not weights")

    for _ in range(2):
        with pytest.raises(WeightsError, match=r"^other.bin: not weights$"):
            retrieve(
                target,
                (RemoteFile("other.bin", "", 0),),
                server.at("web%20page"),
                convert=refuse,
                import_command="firstsight weights import other.bin",
                notify=lambda line: None,
                limits=LIMITS,
            )
        assert [path.suffix for path in (cache_dir() / "downloads").iterdir()] == [".lock"]
    assert server.counts["web page"] >= 2
