"""Published weights: table, download, import, storage, and what is refused.

``RESNET18_FILE`` stands for the published file of ResNet-18, downloads come from a server on loopback.
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from firstsight import load
from firstsight.errors import UsageError, WeightsError
from firstsight.models.classification import create_model
from firstsight.models.registry import CLASSIFICATION_MODELS
from firstsight.weights.bundled import cache_dir, cached, card_of
from firstsight.weights.io import make_card, read_weights, write_weights
from firstsight.weights.published import get, import_weights
from firstsight.weights.table import BASE_URL, PUBLISHED, find_published, imagenet_classes, named_hash, read_classes
from helpers.mirror import Mirror
from helpers.state_dicts import RESNET18_FILE, make_state

Copy = Callable[[str], Path]
State = dict[str, Tensor]


def test_published_entries_agree_with_their_networks() -> None:
    imagenet_models = {name for name, entry in CLASSIFICATION_MODELS.items() if entry.image_size == 224}
    assert set(PUBLISHED) == imagenet_models - {"mobilenet"}
    for entry in PUBLISHED.values():
        assert entry.file.startswith(entry.model.partition("_")[0])
        assert named_hash(entry.file) == entry.sha256
        assert len(entry.sha256) == 8
        assert 0.9 < entry.megabytes * 1e6 / (4 * CLASSIFICATION_MODELS[entry.model].parameters) < 1.1
        assert 50 < entry.accuracy < 80
    assert find_published("vgg16_bn") is find_published("vgg16_bn-imagenet") is PUBLISHED["vgg16_bn"]


def test_imagenet_classes_are_in_the_published_order() -> None:
    names = imagenet_classes()
    assert len(names) == len(set(names)) == 1000
    known = {0: "tench", 207: "golden retriever", 281: "tabby", 517: "crane", 817: "sports car", 999: "toilet tissue"}
    assert {index: names[index] for index in known} == known


def test_unknown_names_and_networks_without_published_weights_are_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown published weights 'resnet35': did you mean .*resnet34"):
        get("resnet35")
    with pytest.raises(UsageError, match="no weights of lenet are published"):
        get("lenet")


def test_load_downloads_published_weights_once_and_stores_them(mirror: Mirror, state18: State) -> None:
    shutil.copy(RESNET18_FILE, mirror.folder)
    messages: list[str] = []
    network = load("resnet18", notify=messages.append)
    assert messages == [f"downloading {mirror.url}resnet18-f37072fd.pth (46.8 MB)"]
    assert Path(network.source) == cache_dir() / "resnet18-imagenet.safetensors"
    assert all(torch.equal(tensor, state18[name]) for name, tensor in network.model.state_dict().items())
    assert not network.model.training
    assert network.classes == imagenet_classes()
    assert (network.preprocess.shorter, network.preprocess.input_size) == (256, 224)
    about = network.card["about"]
    assert about["source"] == "https://download.pytorch.org/models/resnet18-f37072fd.pth"
    assert about["sha256"] == hashlib.sha256(RESNET18_FILE.read_bytes()).hexdigest()
    assert about["published_accuracy"] == pytest.approx(0.69758)
    assert "torchvision" in about["accuracy_source"]
    assert "non-commercial" in about["terms"]
    assert [path.suffix for path in (cache_dir() / "downloads").iterdir()] == [".lock"]  # the original is removed

    for again in (load("resnet18"), load("resnet18-imagenet")):
        assert again.card == network.card
    assert get("resnet18-imagenet") == get("resnet18") == PUBLISHED["resnet18"].target
    assert len(mirror.requests) == 1
    assert set(cached()) == {"resnet18-imagenet"}


def test_weights_come_from_the_mirror_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = PUBLISHED["resnet34"]
    assert entry.url == "https://download.pytorch.org/models/resnet34-b627a593.pth"
    for url in ("https://mirror.example.org/models", "https://mirror.example.org/models/"):
        monkeypatch.setenv("FIRSTSIGHT_WEIGHTS_URL", url)
        assert entry.url == "https://mirror.example.org/models/resnet34-b627a593.pth"
    monkeypatch.setenv("FIRSTSIGHT_WEIGHTS_URL", "")
    assert entry.download_url == entry.base_url == BASE_URL == "https://download.pytorch.org/models/"


def test_a_download_with_another_hash_is_refused_and_deleted(mirror: Mirror) -> None:
    (mirror.folder / RESNET18_FILE.name).write_bytes(b"not what was published")
    by_hand = "then: firstsight weights import resnet18-f37072fd.pth --model resnet18"
    with pytest.raises(WeightsError, match=f"hash of the file differs.*{by_hand}"):
        get("resnet18")
    assert [path.suffix for path in (cache_dir() / "downloads").iterdir()] == [".lock"]
    assert not cached()
    damaged = cache_dir() / "downloads" / RESNET18_FILE.name
    damaged.write_bytes(b"damaged")  # a wrong file that is there already is refused, too
    with pytest.raises(WeightsError, match="hash of the file differs"):
        get("resnet18")
    assert not damaged.exists()
    assert len(mirror.requests) == 2


@pytest.mark.usefixtures("mirror")
def test_a_file_that_the_server_lacks_is_reported() -> None:
    with pytest.raises(WeightsError, match=r"could not be downloaded .*HTTP 404.*download .* in another way and then"):
        get("resnet18")


def test_a_complete_download_is_imported_without_another_request(mirror: Mirror, copy_file18: Copy) -> None:
    """The state after a process was killed between the download and the import."""
    (cache_dir() / "downloads").mkdir(parents=True)
    copy_file18(RESNET18_FILE.name).rename(cache_dir() / "downloads" / RESNET18_FILE.name)
    assert load("resnet18").classes == imagenet_classes()
    assert mirror.requests == []


def test_offline_names_the_file_to_fetch_and_opens_no_connection(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "1")
    for function in (load, get):
        with pytest.raises(WeightsError) as caught:
            function("resnet18")
        assert str(caught.value) == (
            f"resnet18-imagenet is not stored, and FIRSTSIGHT_OFFLINE is set; download"
            f" {mirror.url}resnet18-f37072fd.pth and then: firstsight weights import resnet18-f37072fd.pth"
            " --model resnet18"
        )
    assert mirror.requests == []


def test_a_run_directory_takes_precedence_over_published_weights(tmp_path: Path) -> None:
    (tmp_path / "resnet18").mkdir()
    with pytest.raises(WeightsError, match="no trained weights in it"):
        load("resnet18")


def test_the_published_file_is_recognized_by_its_hash(copy_file18: Copy) -> None:
    messages: list[str] = []
    path = import_weights(RESNET18_FILE, "resnet18", notify=messages.append)
    assert messages == []
    assert path == cache_dir() / "resnet18-imagenet.safetensors"
    assert card_of(path)["about"]["published_accuracy"] == pytest.approx(0.69758)  # type: ignore[index]
    before = path.read_bytes()
    assert import_weights(copy_file18("renamed.pth"), "resnet18").read_bytes() == before
    assert [item.name for item in cache_dir().iterdir()] == [path.name]


@pytest.fixture
def other_file(state18: State) -> Path:
    """Write weights of ResNet-18 for 1000 classes that are not the published ones."""
    torch.save({**state18, "fc.bias": torch.ones(1000)}, "mine.pth")
    return Path("mine.pth")


def test_import_reports_a_file_that_is_not_the_published_one(other_file: Path) -> None:
    messages: list[str] = []
    path = import_weights(other_file, "resnet18", notify=messages.append)
    assert messages == [
        "mine.pth is not the published resnet18-f37072fd.pth;"
        " images are preprocessed and classes are named as for that file"
    ]
    network = load("resnet18")
    assert Path(network.source) == path == PUBLISHED["resnet18"].target
    assert network.classes == imagenet_classes()
    assert network.card["about"]["source"] == "mine.pth"
    assert "published_accuracy" not in network.card["about"]


def test_a_file_with_another_hash_than_in_its_name_is_refused(other_file: Path, copy_file18: Copy) -> None:
    damaged = other_file.rename("resnet18-f37072fd.pth")
    with pytest.raises(WeightsError, match=r"resnet18-f37072fd.pth: its SHA-256 begins with .*not as its name says"):
        import_weights(damaged, "resnet18")
    with pytest.raises(WeightsError, match="not as its name says"):
        import_weights(copy_file18("flowers-0123abcd.pth"), "resnet18")
    assert import_weights(copy_file18("flowers-20260131.pth"), "resnet18").is_file()  # a date, not a hash


def test_import_does_not_overwrite_other_weights(other_file: Path) -> None:
    path = import_weights(RESNET18_FILE, "resnet18")
    before = path.read_bytes()
    with pytest.raises(
        UsageError,
        match=r"exists already, from resnet18-f37072fd\.pth; replace it with `force`, or choose another",
    ):
        import_weights(other_file, "resnet18")
    Path("note.safetensors").write_text("a text")
    with pytest.raises(UsageError, match="exists already"):
        import_weights(other_file, "resnet18", out="note.safetensors")
    assert path.read_bytes() == before
    out = import_weights(other_file, "resnet18", out="folder/b.safetensors")
    assert out == Path("folder/b.safetensors")
    assert torch.equal(load(out).model.state_dict()["fc.bias"], torch.ones(1000))
    with pytest.raises(UsageError, match=r"`out` must end in .safetensors; got b.pth"):
        import_weights(other_file, "resnet18", out="b.pth")


def save_with_three_classes(state18: State, name: str) -> Path:
    """Write weights of ResNet-18 for three classes."""
    torch.save({**state18, "fc.weight": state18["fc.weight"][:3], "fc.bias": state18["fc.bias"][:3]}, name)
    return Path(name)


def test_weights_for_other_classes_are_stored_under_the_name_of_their_file(state18: State) -> None:
    file = save_with_three_classes(state18, "flowers.pth")
    path = import_weights(file, "resnet18")
    assert path == cache_dir() / "resnet18-flowers.safetensors"
    assert load("resnet18-flowers").classes == ("class 0", "class 1", "class 2")
    assert import_weights(file, "resnet18", classes=("rose", "tulip", "daisy")) == path
    assert card_of(path)["classes"] == ["rose", "tulip", "daisy"]  # type: ignore[index]
    with pytest.raises(UsageError, match=r"flowers.pth has 3 classes, but 2 names were given"):
        import_weights(file, "resnet18", classes=("rose", "tulip"))


@pytest.mark.parametrize("name", ["resnet18-imagenet.pth", "resnet18.pth", "resnet18-flowers.pth"])
def test_weights_for_other_classes_never_take_the_published_name(state18: State, name: str) -> None:
    assert import_weights(save_with_three_classes(state18, name), "resnet18") != PUBLISHED["resnet18"].target
    with pytest.raises(WeightsError, match="FIRSTSIGHT_OFFLINE"):
        get("resnet18")


def test_import_of_a_variant_without_auxiliary_classifiers() -> None:
    state = make_state("googlenet", variant="paper", num_classes=3)
    torch.save({name: tensor for name, tensor in state.items() if not name.startswith("aux")}, "mine.pth")
    with pytest.raises(WeightsError, match=r"mine.pth does not fit googlenet: misshapen inception3a.branch3.1.conv.w"):
        import_weights("mine.pth", "googlenet")
    messages: list[str] = []
    path = import_weights("mine.pth", "googlenet", variant="paper", notify=messages.append)
    assert "has no auxiliary classifiers" in messages[0]
    network = load(path)
    assert network.card["options"]["variant"] == "paper"
    assert network.preprocess.mean == network.preprocess.std == (0.5, 0.5, 0.5)
    before = path.read_bytes()
    torch.rand(7)  # the initial auxiliary classifiers do not depend on the state of the random generator
    assert import_weights("mine.pth", "googlenet", variant="paper").read_bytes() == before
    with pytest.raises(UsageError, match=r"resnet18 has no variant 'paper' \(it has only one\)"):
        import_weights("mine.pth", "resnet18", variant="paper")
    with pytest.raises(UsageError, match="has no variant 'ppaer'"):
        import_weights("mine.pth", "googlenet", variant="ppaer")


@pytest.mark.parametrize(("classes", "message"), [(1, "has 1 classes"), (10**9, "has 1,000,000,000 classes")])
def test_impossible_numbers_of_classes_are_refused(state18: State, classes: int, message: str) -> None:
    """A file can claim a last layer of any size by repeating one row."""
    torch.save({**state18, "fc.weight": torch.zeros(1, 512).expand(classes, 512)}, "x.pth")
    with pytest.raises(WeightsError, match=message):
        import_weights("x.pth", "resnet18")


def test_a_file_without_the_last_layer_is_refused(state18: State) -> None:
    torch.save({name: tensor for name, tensor in state18.items() if not name.startswith("fc.")}, "x.pth")
    with pytest.raises(WeightsError, match=r"x.pth does not fit resnet18: missing fc.weight, fc.bias$"):
        import_weights("x.pth", "resnet18")


def test_an_unwritable_weights_folder_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").touch()
    monkeypatch.setenv("FIRSTSIGHT_HOME", "file")
    with pytest.raises(WeightsError, match="choose another place with FIRSTSIGHT_HOME or `out`"):
        import_weights(RESNET18_FILE, "resnet18")
    monkeypatch.setenv("FIRSTSIGHT_OFFLINE", "0")
    with pytest.raises(WeightsError, match="choose another place with FIRSTSIGHT_HOME"):
        get("resnet18")


def test_class_names_are_read_from_a_text_file(tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_bytes("\ufeffrose\r\n tulip \ndaisy\n\n".encode())
    assert read_classes(names) == ("rose", "tulip", "daisy")
    for content, message in (
        (b"rose\n\ntulip\n", "line 2 is empty"),
        (b"", "line 1 is empty"),
        (b"\xff\xfe", "UTF-8"),
    ):
        names.write_bytes(content)
        with pytest.raises(WeightsError, match=message):
            read_classes(names)
    with pytest.raises(UsageError, match="no such file"):
        read_classes(tmp_path / "none.txt")


def test_old_cards_without_shorter_side_crop_nothing_and_other_files_have_no_card() -> None:
    assert load("lenet-digits").preprocess.shorter == 0
    assert card_of(RESNET18_FILE) is None
    assert card_of(Path("nowhere")) is None


def test_a_card_with_an_impossible_crop_is_refused() -> None:
    card = read_weights(import_weights(RESNET18_FILE, "resnet18")).card
    card["preprocess"]["shorter"] = 100
    fields = {name: card[name] for name in ("options", "preprocess", "classes")}
    state = create_model("resnet18").state_dict()
    write_weights(Path("y.safetensors"), state, make_card("classifier", model="resnet18", about={}, **fields))
    with pytest.raises(WeightsError, match=r"y.safetensors: its card: preprocess: cannot crop 224 pixels from a side"):
        load("y.safetensors")
