"""Predictions of images of every form, of folders, zip files and patterns."""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from firstsight import DataError, ImageSet, UsageError, estimate_pose, load, load_data, predict
from firstsight.data.image_source import find_images
from firstsight.tasks.classification.classifier import Classifier, Prediction
from firstsight.tasks.features import compute_features

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
FORMS = (
    "path", "string", "bytes", "file", "PIL", "array", "float array", "gray array", "OpenCV", "tensor", "float tensor",
    "half tensor", "image of a set",
)  # fmt: skip


def make(form: str, folder: Path) -> tuple[Any, bool]:
    """Return the image of `PIXELS` in a form, and whether its channels are blue, green, red."""
    path = folder / "image.png"
    Image.fromarray(PIXELS).save(path)
    tensor = torch.from_numpy(PIXELS).permute(2, 0, 1)
    forms = {
        "path": path,
        "string": str(path),
        "bytes": path.read_bytes(),
        "file": io.BytesIO(path.read_bytes()),
        "PIL": Image.fromarray(PIXELS),
        "array": PIXELS,
        "float array": PIXELS / 255,
        "gray array": np.asarray(Image.fromarray(PIXELS).convert("L")),
        "OpenCV": PIXELS[..., ::-1],
        "tensor": tensor,
        "float tensor": tensor.float() / 255,
        "image of a set": ImageSet(tensor[None], torch.tensor([0]), ("noise",), "noise", "train")[0],
        "half tensor": (tensor.double() / 255).half(),
    }
    return forms[form], form == "OpenCV"


@pytest.fixture(scope="module")
def digits() -> Classifier:
    return load("lenet-digits")


def numbers_of_predict(image: Any, *, bgr: bool, digits: Classifier) -> list[float]:
    return [item.probability for item in predict(digits, image, bgr=bgr, top=10)[0].top]


def numbers_of_call(image: Any, *, bgr: bool, digits: Classifier) -> list[float]:
    return list(digits(image, bgr=bgr)[0].tolist())


def numbers_of_features(image: Any, *, bgr: bool, digits: Classifier) -> list[float]:
    return list(compute_features(digits, image, bgr=bgr).maps.ravel().tolist())


def numbers_of_pose(image: Any, *, bgr: bool, digits: Classifier) -> list[float]:
    result = estimate_pose(image, pose_weights(), bgr=bgr, height=64, min_score=0)
    return list(np.asarray(result.image.convert("L"), float).ravel())  # the poses depend on these alone


@cache
def pose_weights() -> Any:
    return load("openpose-tiny-lsp")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("entry", [numbers_of_predict, numbers_of_call, numbers_of_features, numbers_of_pose])
def test_every_entry_point_takes_every_form(
    entry: Callable[..., list[float]], form: str, digits: Classifier, tmp_path: Path
) -> None:
    image, bgr = make(form, tmp_path)
    expected = entry(Image.fromarray(PIXELS), bgr=False, digits=digits)
    tolerance = 1e-2 if entry is numbers_of_predict else 2
    np.testing.assert_allclose(
        entry(image, bgr=bgr, digits=digits), expected, atol=1e-5 if form != "half tensor" else tolerance
    )


@pytest.mark.parametrize("entry", [numbers_of_predict, numbers_of_call, numbers_of_features, numbers_of_pose])
@pytest.mark.parametrize("image", [3, 2.5, object(), {"a": 1}])
def test_every_entry_point_refuses_other_types_by_name(
    entry: Callable[..., list[float]], image: object, digits: Classifier
) -> None:
    with pytest.raises(UsageError, match=rf"`images?` must be a path, bytes, .*; got {type(image).__name__}"):
        entry(image, bgr=False, digits=digits)


def test_a_set_in_the_place_of_one_image_is_named() -> None:
    with pytest.raises(UsageError, match=r"one image, not a set of 359; choose one, as in data\[0\]"):
        estimate_pose(load_data("digits", "test"), pose_weights())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("image", "hint"),
    [
        (np.zeros((3, 40, 48), np.uint8), r"channels first; use \.transpose\(1, 2, 0\)"),
        (torch.zeros(40, 48, 3), r"channels last; use \.permute\(2, 0, 1\)"),
    ],
)
def test_a_wrong_order_of_dimensions_is_named(image: Any, hint: str, digits: Classifier) -> None:
    with pytest.raises(DataError, match=hint):
        digits.predict(image)


def several(form: str, images: torch.Tensor) -> Any:
    """Return (N, 1, 32, 32) images in a form for several images."""
    arrays = [image[0].numpy() for image in images]

    def frames() -> Iterator[Any]:
        buffer = np.empty((32, 32), np.uint8)  # used again for each frame, as by OpenCV
        for array in arrays:
            buffer[:] = array
            yield buffer

    forms: dict[str, Callable[[], Any]] = {
        "tensor": lambda: images,
        "float tensor": lambda: images / 255,
        "array": lambda: np.stack(arrays)[..., None],
        "list": lambda: arrays,
        "tuple of PIL": lambda: tuple(map(Image.fromarray, arrays)),
        "generator": frames,
        "set": lambda: ImageSet(images, torch.zeros(len(images), dtype=torch.int64), ("all",), "digits", "test"),
    }
    return forms[form]()


@pytest.mark.parametrize("form", ["tensor", "float tensor", "array", "list", "tuple of PIL", "generator", "set"])
def test_batches_lists_and_generators_are_predicted_in_order(form: str, digits: Classifier) -> None:
    images = load_data("digits", "test").images[:7]
    expected = digits.probabilities(images).argmax(1).tolist()
    for batch_size in (None, 3):
        labels = [int(item.label) for item in digits.predict(several(form, images), batch_size=batch_size)]
        assert labels == expected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with subfolders, a damaged image, a hidden one and a text."""
    root = tmp_path / "photos"
    for index, image in enumerate(load_data("digits", "test").images[:6]):
        path = root / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(path)
    (root / "a" / "broken.png").write_bytes((root / "a" / "0.png").read_bytes()[:60])
    (root / "a" / ".hidden.png").write_bytes(b"")
    (root / "notes.txt").write_text("no image")
    return root


NAMES = ["a/0.png", "a/2.png", "a/4.png", "b/1.png", "b/3.png", "b/5.png"]


@pytest.mark.parametrize("kind", ["folder", "zip", "pattern", "list"])
def test_folders_zip_files_and_patterns_are_expanded(kind: str, folder: Path, digits: Classifier) -> None:
    images: Any = folder
    if kind == "zip":
        images = folder.with_suffix(".zip")
        with zipfile.ZipFile(images, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in folder.rglob("*.png"):
                archive.write(path, path.relative_to(folder))
    if kind == "pattern":
        images = f"{folder}/**/*.png"
    if kind == "list":
        images = [folder / "a", f"{folder}/b/*"]
    errors: list[DataError] = []
    predictions = predict(digits, images, on_error=errors.append, batch_size=4)
    prefix = folder.with_suffix(".zip") if kind == "zip" else folder
    assert [item.image for item in predictions] == [f"{prefix}/{name}" for name in NAMES]
    assert [str(error).partition(":")[0] for error in errors] == [f"{prefix}/a/broken.png"]
    expected = digits.probabilities(load_data("digits", "test").images[[0, 2, 4, 1, 3, 5]]).argmax(1)
    assert [int(item.label) for item in predictions] == expected.tolist()
    with pytest.raises(DataError, match=r"a/broken\.png: damaged image"):
        predict(digits, images)


def test_errors_and_predictions_say_which_image_they_are_of(folder: Path, digits: Classifier) -> None:
    good = np.zeros((28, 28), np.uint8)
    images = [good, b"text", folder / "a/broken.png", "gone/*.png", np.zeros((3, 28, 28), np.uint8), good]
    errors: list[DataError] = []
    predictions = predict(digits, images, on_error=errors.append, batch_size=1)
    assert [item.index for item in predictions] == [0, 5] and predictions[1].to_dict()["index"] == 5
    assert [(error.index, error.image) for error in errors] == [
        (1, "image"), (2, f"{folder}/a/broken.png"), (3, "gone/*.png"), (4, "image"),
    ]  # fmt: skip
    assert str(errors[0]).startswith("image 2 of the list: not an image (expected PNG")
    assert str(errors[1]).startswith(f"{folder}/a/broken.png: damaged image")
    assert str(errors[3]).startswith("image 5 of the list: expected an array of shape")
    with pytest.raises(UsageError, match=r"image 2 of the list: `image` must be a path, .*; got NoneType"):
        predict(digits, [good, None])  # type: ignore[list-item]
    with pytest.raises(DataError, match=r"^image: not an image"):
        predict(digits, b"text")


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone/*.png", "no file matches this pattern"), ("empty", "there are no images in this folder")],
)
def test_places_without_images_are_refused(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=message):
        find_images(tmp_path / name)


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a[1].png"
    Image.fromarray(PIXELS).save(path)
    assert [source.path for source in find_images(path)] == [path]


def test_a_stream_holds_a_batch_or_two_and_its_threads_end(digits: Classifier) -> None:
    """The first predictions come before the later images are taken."""
    taken = 0

    def images() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield PIXELS

    stream = digits.stream(images(), batch_size=4)
    assert isinstance(next(stream), Prediction)
    assert taken <= 3 * 4
    stream.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("firstsight-images")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1; got 0"),
        ({"batch_size": "4"}, "`batch_size` must be an integer or None; got the text '4'"),
        ({"invert": "maybe"}, "`invert` must be one of auto, yes, no; got maybe"),
        ({"top": 0}, "`top` must be a whole number of at least 1"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], message: str, digits: Classifier) -> None:
    with pytest.raises(UsageError, match=message):
        digits.predict(PIXELS, **options)


def test_remarks_name_the_cause(digits: Classifier) -> None:
    photo = Image.new("L", (300, 400), 220)
    photo.paste(40, (100, 100, 120, 240))
    remarks = {
        "inverted: dark digit on a light background, cropped to it (`invert=no` keeps the image)": digits.predict(
            photo
        ),
        "no digit found on a plain background": digits.predict(Image.new("L", (99, 99), 9)),
        "a large color image, but lenet-digits was trained on gray images of 32x32": digits.predict(
            Image.fromarray(PIXELS).resize((400, 300)), invert="no"
        ),
        "a large image: 640x480 pixels, but lenet-fashion was trained on images of 28x28": predict(
            "lenet-fashion", Image.new("L", (640, 480))
        ),
    }
    for text, (prediction,) in remarks.items():
        assert prediction.remarks[0].startswith(text)
    assert digits.predict(photo)[0].label == "1"


def test_invert_yes_inverts_images_for_other_networks() -> None:
    model = load("lenet-fashion")
    image = Image.fromarray(PIXELS[:28, :28, 0])
    inverted = model.to_pixels(image, invert="yes")[0, 2:-2, 2:-2]
    assert (inverted == 255 - torch.from_numpy(PIXELS[:28, :28, 0])).all()
    assert (model.to_pixels(image)[0, 2:-2, 2:-2] == torch.from_numpy(PIXELS[:28, :28, 0])).all()
