"""Images of keypoint data sets that cannot be used."""

import contextlib
import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from firstsight.data.keypoints.keypoint_set import KeypointSet, load_keypoints
from firstsight.data.keypoints.unusable import MAX_NAMED, find_unusable, leave_out
from firstsight.errors import DataError
from firstsight.tasks.pose.build import fingerprint
from helpers.damage import DAMAGES, damage, remove_images


def damaged_set(sticks: Callable[..., Path], *kinds: str) -> tuple[Path, KeypointSet]:
    """Return the JSON file and the set of twelve images, of which every second one is damaged, from the second on."""
    path = sticks()
    for i, kind in enumerate(kinds):
        damage(path.parent / "images" / f"{path.stem}-{2 * i + 2}.png", kind)
    return path, load_keypoints(path)


@pytest.mark.parametrize("kind", DAMAGES)
def test_an_unusable_image_is_left_out_counted_and_named(sticks: Callable[..., Path], kind: str) -> None:
    path, people = damaged_set(sticks, kind)
    unusable = find_unusable(people)
    assert [index for index, _ in unusable] == [1] and DAMAGES[kind] in unusable[0][1]
    rest = leave_out(people, unusable, kind="training images")
    name = path.parent / "images" / f"{path.stem}-2.png"
    assert rest.notes == (f"1 of 12 training images cannot be used and are left out ({unusable[0][1]})",)
    assert str(name) in rest.notes[0]
    remove_images(path, [2])
    assert fingerprint(rest) == fingerprint(load_keypoints(path))
    assert find_unusable(rest) == []


def test_all_unusable_images_are_counted_and_the_first_are_named(sticks: Callable[..., Path]) -> None:
    path, people = damaged_set(sticks, "missing", "no image", "cut", "other size", "damaged", "empty")
    unusable = find_unusable(people)
    assert [index for index, _ in unusable] == [1, 3, 5, 7, 9, 11]
    assert (
        unusable
        == find_unusable(people)
        == sorted(find_unusable(people, range(6, 12)) + find_unusable(people, [1, 3, 5]))
    )
    note = leave_out(people, unusable).notes[0]
    assert note.startswith("6 of 12 images cannot be used") and note.endswith("; and 2 more)")
    assert [f"{path.stem}-{number}.png" in note for number in (2, 4, 6, 8, 10, 12)] == [True] * MAX_NAMED + [False] * 2
    with pytest.raises(
        DataError, match=r"^person_keypoints: 6 of 12 images cannot be used, the first .*-2.png: No such"
    ):
        leave_out(people, unusable, strict=True)


def test_a_set_without_unusable_images_is_not_changed(sticks: Callable[..., Path]) -> None:
    people = load_keypoints(sticks(3))
    assert leave_out(people, find_unusable(people, masks=True), strict=True) is people


def test_a_set_without_usable_images_is_refused(sticks: Callable[..., Path]) -> None:
    path = sticks(2)
    damage(path.parent / "images" / f"{path.stem}-1.png", "cut")
    damage(path.parent / "images" / f"{path.stem}-2.png", "missing")
    people = load_keypoints(path)
    with pytest.raises(
        DataError, match=r"^person_keypoints: none of its 2 images can be used; .*-1.png: damaged image"
    ):
        leave_out(people, find_unusable(people))
    damage(path.parent / "images" / f"{path.stem}-1.png", "missing")
    with pytest.raises(DataError, match=r"2 of 2 images are missing, the first .*-1.png"):
        load_keypoints(path)


def test_the_folder_of_the_images_is_found_if_the_first_one_is_missing(sticks: Callable[..., Path]) -> None:
    path = sticks(3)
    names = [f"{path.stem}-{number}.png" for number in (1, 2, 3)]
    for name in names[1:]:
        (path.parent / "images" / name).rename(path.parent / name)
    (path.parent / "images" / names[0]).unlink()
    people = load_keypoints(path)
    assert [index for index, _ in find_unusable(people)] == [0]


@pytest.mark.parametrize("segmentation", [[[1, 2, 3]], {"counts": [1, 2], "size": [4, 4]}, {"counts": "abc"}, [["x"]]])
def test_an_image_with_an_invalid_ignored_region_is_unusable_if_regions_are_needed(
    sticks: Callable[..., Path], segmentation: object
) -> None:
    path = sticks(3)
    content = json.loads(path.read_text())
    content["annotations"][1] |= {"iscrowd": 1, "segmentation": segmentation}
    path.write_text(json.dumps(content))
    people = load_keypoints(path)
    assert find_unusable(people) == []
    assert [index for index, _ in find_unusable(people, masks=True)] == [1]


def test_large_images_are_decoded_one_at_a_time(sticks: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that decode meet at the barrier; one alone leaves it after a moment."""
    people = load_keypoints(sticks(4))
    barrier, met = threading.Barrier(2), []
    original = KeypointSet.open

    def open_and_wait(self: KeypointSet, index: int) -> Image.Image:
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(0.1)
            met.append(index)
        barrier.reset()
        return original(self, index)

    monkeypatch.setattr(KeypointSet, "open", open_and_wait)
    monkeypatch.setattr("firstsight.data.keypoints.unusable.LARGE_PIXELS", 0)
    assert find_unusable(people) == [] and not met


def test_an_image_of_another_size_is_not_decoded(sticks: Callable[..., Path]) -> None:
    """The size is in the header; the rest of the file is missing."""
    path = sticks(2)
    file = path.parent / "images" / f"{path.stem}-1.png"
    Image.new("RGB", (97, 120)).save(file)
    file.write_bytes(file.read_bytes()[:50])
    assert "is 97x120 pixels, but the annotations say 96x120" in find_unusable(load_keypoints(path))[0][1]


def test_sizes_are_those_of_upright_images(sticks: Callable[..., Path]) -> None:
    path = sticks(3)
    exif = Image.Exif()
    for number, (orientation, size) in enumerate(((6, (120, 96)), (3, (96, 120)), (8, (96, 120))), 1):
        exif[0x0112] = orientation
        Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(
            path.parent / "images" / f"{path.stem}-{number}.png", exif=exif
        )
    unusable = find_unusable(load_keypoints(path))
    assert [index for index, _ in unusable] == [2] and "is 120x96 pixels" in unusable[0][1]
