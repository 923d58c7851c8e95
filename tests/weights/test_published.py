"""Published weights: the table, the download, the import, what is stored and how it is found again."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import Tensor

from firstsight import load
from firstsight.errors import UsageError, WeightsError
from firstsight.nets import MODELS, create_model
from firstsight.weights.classifier import make_card, read
from firstsight.weights.published import get, import_weights, published
from firstsight.weights.shipped import card_of, shelf, stored
from firstsight.weights.table import PUBLISHED, Published, find, imagenet_classes, named_hash, read_classes
from helpers.state_dicts import make_state

Copy = Callable[[str], Path]


def test_the_table() -> None:
    named = {name for name, entry in MODELS.items() if entry.image_size == 224}
    assert set(PUBLISHED) == named - {"mobilenet"}
    for entry in PUBLISHED.values():
        assert entry.file.startswith(entry.model.partition("_")[0])
        assert named_hash(entry.file) == entry.sha256
        assert len(entry.sha256) == 8
        assert 0.9 < entry.megabytes * 1e6 / (4 * MODELS[entry.model].parameters) < 1.1
        assert 50 < entry.accuracy < 80
    assert find("vgg16_bn") is find("vgg16_bn-imagenet") is PUBLISHED["vgg16_bn"]


def test_the_classes_are_imagenets_in_its_order() -> None:
    names = imagenet_classes()
    assert len(names) == len(set(names)) == 1000
    known = {0: "tench", 207: "golden retriever", 281: "tabby", 517: "crane", 817: "sports car", 999: "toilet tissue"}
    assert {place: names[place] for place in known} == known


def test_an_unknown_name_and_a_network_without_published_weights() -> None:
    with pytest.raises(UsageError, match=r"unknown published weights 'resnet35': did you mean .*resnet34"):
        published("resnet35")
    with pytest.raises(UsageError, match="no weights of lenet are published"):
        published("lenet")


class Server(ThreadingHTTPServer):
    """Serves the folder of a file; remembers what was asked for."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.asked: list[str] = []


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def server(file18: Path, entry18: Published, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The place of the table is a server on loopback, and connections are allowed."""
    server = Server(file18.parent)
    place = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    monkeypatch.setitem(PUBLISHED, "resnet18", replace(entry18, place=place))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_get_downloads_once_and_stores(server: Server, file18: Path, state18: dict[str, Tensor]) -> None:
    said: list[str] = []
    network = load("resnet18", notify=said.append)
    entry = PUBLISHED["resnet18"]
    assert said == [f"downloading {entry.place}{file18.name} (46.8 MB)"]
    assert Path(network.source) == shelf() / "resnet18-imagenet.safetensors"
    assert all(torch.equal(tensor, state18[name]) for name, tensor in network.model.state_dict().items())
    assert not network.model.training
    assert network.classes == imagenet_classes()
    assert (network.preprocess.shorter, network.preprocess.input_size) == (256, 224)
    about = network.card["about"]
    assert about["source"] == entry.place + file18.name
    assert about["sha256"] == hashlib.sha256(file18.read_bytes()).hexdigest()
    assert about["published_accuracy"] == pytest.approx(0.69758)
    assert "torchvision" in about["accuracy_source"]
    assert "non-commercial" in about["terms"]
    assert [path.suffix for path in (shelf() / "downloads").iterdir()] == [".lock"]  # the original is not kept twice

    for again in (published("resnet18"), published("resnet18-imagenet"), load("resnet18-imagenet")):
        assert again.card == network.card
    assert len(server.asked) == 1
    assert set(stored()) == {"resnet18-imagenet"}


@pytest.mark.usefixtures("server")
def test_a_download_with_another_hash_is_refused_and_deleted(monkeypatch: pytest.MonkeyPatch, file18: Path) -> None:
    entry = PUBLISHED["resnet18"]
    other = file18.with_name("resnet18-0badc0de.pth")
    other.write_bytes(b"not what was published")
    monkeypatch.setitem(PUBLISHED, "resnet18", replace(entry, file=other.name))
    by_hand = "then: firstsight weights import resnet18-0badc0de.pth --model resnet18"
    with pytest.raises(WeightsError, match=f"another hash than the published one.*{by_hand}"):
        get("resnet18")
    assert [path.suffix for path in (shelf() / "downloads").iterdir()] == [".lock"]
    assert not stored()
    wrong = shelf() / "downloads" / other.name  # neither is one that lies there already
    wrong.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="another hash"):
        get("resnet18")
    assert not wrong.exists()


@pytest.mark.usefixtures("server")
def test_a_place_without_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PUBLISHED, "resnet18", replace(PUBLISHED["resnet18"], file="resnet18-00c0ffee.pth"))
    with pytest.raises(WeightsError, match=r"could not be downloaded .*HTTP 404.*fetch it in another way and then"):
        published("resnet18")


def test_a_download_that_was_killed_before_it_was_stored(server: Server, file18: Path, copy: Copy) -> None:
    (shelf() / "downloads").mkdir(parents=True)
    copy(file18.name).rename(shelf() / "downloads" / file18.name)
    assert published("resnet18").classes == imagenet_classes()
    assert server.asked == []


def test_offline_says_what_to_fetch_and_asks_nobody(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
    entry = PUBLISHED["resnet18"]
    for ask in (load, published):
        with pytest.raises(WeightsError) as caught:
            ask("resnet18")
        assert str(caught.value) == (
            f"resnet18-imagenet is not stored in {shelf()}, and FIRSTSIGHT_OFFLINE is set;"
            f" fetch {entry.place}{entry.file} and then: firstsight weights import {entry.file} --model resnet18"
        )
    assert server.asked == []


def test_a_run_directory_of_the_same_name_comes_first(tmp_path: Path) -> None:
    (tmp_path / "resnet18").mkdir()
    with pytest.raises(WeightsError, match="no trained weights in it"):
        load("resnet18")


@pytest.mark.usefixtures("entry18")
def test_import_of_the_published_file(file18: Path, copy: Copy) -> None:
    said: list[str] = []
    path = import_weights(file18, "resnet18", notify=said.append)
    assert said == []
    assert path == shelf() / "resnet18-imagenet.safetensors"
    assert read(path).card["about"]["published_accuracy"] == pytest.approx(0.69758)
    before = path.read_bytes()
    assert import_weights(copy("renamed.pth"), "resnet18").read_bytes() == before  # the hash counts, not the name
    assert [item.name for item in shelf().iterdir()] == [path.name]


def test_import_of_another_file_says_so(copy: Copy) -> None:
    said: list[str] = []
    path = import_weights(copy("mine.pth"), "resnet18", notify=said.append)
    real = PUBLISHED["resnet18"].file
    assert said == [
        f"mine.pth is not the published {real}; its pictures are prepared and its classes named as for that"
    ]
    network = load("resnet18")
    assert Path(network.source) == path == PUBLISHED["resnet18"].target
    assert network.classes == imagenet_classes()
    assert network.card["about"]["source"] == "mine.pth"
    assert "published_accuracy" not in network.card["about"]


def test_a_file_with_another_hash_than_its_name(copy: Copy) -> None:
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd.pth: its SHA-256 begins with .*not as its name says"):
        import_weights(copy(PUBLISHED["resnet18"].file), "resnet18")
    with pytest.raises(WeightsError, match="not as its name says"):
        import_weights(copy("flowers-0123abcd.pth"), "resnet18")
    assert import_weights(copy("flowers-20260131.pth"), "resnet18")  # a date


def test_other_weights_are_not_overwritten(copy: Copy, state18: dict[str, Tensor]) -> None:
    path = import_weights(copy("a.pth"), "resnet18")
    before = path.read_bytes()
    torch.save({**state18, "fc.bias": torch.ones(1000)}, "b.pth")
    with pytest.raises(UsageError, match=r"is there already, from another file; remove it, or .*--out"):
        import_weights("b.pth", "resnet18")
    Path("note.safetensors").write_text("a text")
    with pytest.raises(UsageError, match="is there already"):
        import_weights("b.pth", "resnet18", out="note.safetensors")
    assert path.read_bytes() == before
    assert import_weights("b.pth", "resnet18", out="folder/b.safetensors") == Path("folder/b.safetensors")
    assert torch.equal(load("folder/b.safetensors").model.state_dict()["fc.bias"], torch.ones(1000))
    with pytest.raises(UsageError, match=r"--out must end in .safetensors; got b.pth"):
        import_weights("b.pth", "resnet18", out="b.pth")


def test_fine_tuned_for_other_classes() -> None:
    torch.save(make_state("resnet18", num_classes=3), "flowers.pth")
    path = import_weights("flowers.pth", "resnet18")
    assert path == shelf() / "resnet18-flowers.safetensors"
    assert load("resnet18-flowers").classes == ("class 0", "class 1", "class 2")
    path = import_weights("flowers.pth", "resnet18", classes=("rose", "tulip", "daisy"))
    assert load("resnet18-flowers").classes == ("rose", "tulip", "daisy")
    with pytest.raises(UsageError, match=r"flowers.pth has 3 classes, but 2 names were given"):
        import_weights("flowers.pth", "resnet18", classes=("rose", "tulip"))


@pytest.mark.parametrize("name", ["resnet18-imagenet.pth", "resnet18.pth", "resnet18-flowers.pth"])
def test_other_classes_never_take_the_published_name(name: str) -> None:
    torch.save(make_state("resnet18", num_classes=3), name)
    assert import_weights(name, "resnet18") != PUBLISHED["resnet18"].target
    with pytest.raises(WeightsError, match="FIRSTSIGHT_OFFLINE"):
        published("resnet18")


def test_variants_and_auxiliary_classifiers() -> None:
    state = make_state("googlenet", variant="paper", num_classes=3)
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("aux")}, "mine.pth")
    with pytest.raises(WeightsError, match=r"mine.pth does not fit googlenet: misshapen inception3a.branch3.1.conv.w"):
        import_weights("mine.pth", "googlenet")
    said: list[str] = []
    path = import_weights("mine.pth", "googlenet", variant="paper", notify=said.append)
    assert "has no auxiliary classifiers" in said[0]
    network = read(path)
    assert network.card["options"]["variant"] == "paper"
    assert network.preprocess.mean == network.preprocess.std == (0.5, 0.5, 0.5)
    before = path.read_bytes()
    torch.rand(7)
    assert import_weights("mine.pth", "googlenet", variant="paper").read_bytes() == before  # fresh heads do not vary
    with pytest.raises(UsageError, match=r"resnet18 has no variant 'paper' \(it has only one\)"):
        import_weights("mine.pth", "resnet18", variant="paper")
    with pytest.raises(UsageError, match="has no variant 'ppaer'"):
        import_weights("mine.pth", "googlenet", variant="ppaer")


@pytest.mark.parametrize(("classes", "told"), [(1, "has 1 classes"), (10**9, "has 1,000,000,000 classes")])
def test_a_head_that_cannot_be(state18: dict[str, Tensor], classes: int, told: str) -> None:
    """A file can claim a last layer of any size by repeating one row."""
    torch.save({**state18, "fc.weight": torch.zeros(1, 512).expand(classes, 512)}, "x.pth")
    with pytest.raises(WeightsError, match=told):
        import_weights("x.pth", "resnet18")


def test_a_headless_file_is_told_as_what_it_is(state18: dict[str, Tensor]) -> None:
    torch.save({name: tensor for name, tensor in state18.items() if not name.startswith("fc.")}, "x.pth")
    with pytest.raises(WeightsError, match=r"x.pth does not fit resnet18: missing fc.weight, fc.bias$"):
        import_weights("x.pth", "resnet18")


def test_a_place_that_cannot_be_written(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    monkeypatch.setenv("FIRSTSIGHT_HOME", "file")
    with pytest.raises(WeightsError, match="choose another place with FIRSTSIGHT_HOME or --out"):
        import_weights(copy("x.pth"), "resnet18")
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    with pytest.raises(WeightsError, match="choose another place with FIRSTSIGHT_HOME"):
        get("resnet18")


def test_class_names_from_a_file(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes("\ufeffrose\r\n tulip \ndaisy\n\n".encode())
    assert read_classes(names) == ("rose", "tulip", "daisy")
    for content, told in ((b"rose\n\ntulip\n", "line 2 is empty"), (b"", "line 1 is empty"), (b"\xff\xfe", "UTF-8")):
        names.write_bytes(content)
        with pytest.raises(WeightsError, match=told):
            read_classes(names)
    with pytest.raises(UsageError, match="no such file"):
        read_classes(tmp_path / "none.txt")


def test_cards_of_old_files_and_of_none(copy: Copy) -> None:
    """A card from before ``shorter`` reads as one that cuts all there is."""
    assert load("lenet-digits").preprocess.shorter == 0
    assert card_of(copy("x.safetensors")) is None
    assert card_of(Path("nowhere")) is None


def test_a_card_with_an_impossible_preparation_is_refused(copy: Copy) -> None:
    from firstsight.weights.classifier import write

    network = read(import_weights(copy("x.pth"), "resnet18"))
    card = make_card(
        model="resnet18", in_channels=3, preprocess=network.preprocess, classes=network.classes, about={}
    ).replace('"shorter": 256', '"shorter": 100')
    write(Path("y.safetensors"), create_model("resnet18").state_dict(), card)
    with pytest.raises(WeightsError, match=r"y.safetensors: a square of 224 pixels cannot be cut from a side of 100"):
        load("y.safetensors")
