"""Splits and classes of image files, from the names of their folders.

The folders of classes are ``class/image.png``, ``train/class/image.png`` or ``class/train/image.png``. A folder whose
name is that of a split is never a class. Images in other places are left out and counted. Several zip files are read
like folders of splits: ``train.zip`` and ``test.zip``, also ``name-train.zip`` and ``name-test.zip``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from firstsight.data.images.tree import ImageFile, ImageTree
from firstsight.errors import DataError
from firstsight.text import one_line

SPLIT_NAMES = {
    "train": "train", "training": "train", "trainset": "train",
    "val": "val", "valid": "val", "validation": "val", "valset": "val", "dev": "val", "eval": "val",
    "test": "test", "testing": "test", "testset": "test",
}  # fmt: skip
"""Words in the names of split folders."""
OTHER_WORDS = frozenset({
    "set", "data", "dataset", "image", "images", "img", "imgs", "photo", "photos", "split",
    "picture", "pictures",  # prose: ok
    "folder", "file", "files", "jpg", "jpeg", "png", "raw", "zip",
})  # fmt: skip
"""Words that do not change the meaning of a split folder's name."""
UNLABELED = "pictures"  # prose: ok
"""Class of images in no class folder; part of the fingerprint, so it does not change."""
MAX_NAMED = 5
"""Maximum number of folders that a note names."""


@dataclass(frozen=True)
class Sample:
    """Image file with its class.

    Parameters
    ----------
    file : ImageFile
        The file.
    label : str
        Name of the class.
    key : tuple[str, ...]
        Path from the class folder on, which `stratified_split` uses. It does not depend on the folders above.
    """

    file: ImageFile
    label: str
    key: tuple[str, ...]


@dataclass
class Layout:
    """Samples of each split, and what was left out.

    Parameters
    ----------
    splits : dict[str, list[Sample]]
        Samples of "train", "val" and "test". Without split folders, all samples are "train".
    class_folders : set[tuple[str, ...]]
        Folders of the training split that contain the class folders.
    left_out : Counter[str]
        Number of images that are left out, by their place.
    only_split : str
        "test" or "val" if there is no other split; its samples are "train" then, like those without split folders.
    """

    splits: dict[str, list[Sample]] = field(default_factory=dict)
    class_folders: set[tuple[str, ...]] = field(default_factory=set)
    left_out: Counter[str] = field(default_factory=Counter)
    only_split: str = ""

    def add(self, split: str, file: ImageFile, depth: int) -> None:
        """Add a file; its class folder is the path component ``depth``."""
        self.splits.setdefault(split, []).append(Sample(file, file.parts[depth], file.parts[depth:]))
        if split == "train":
            self.class_folders.add(file.parts[:depth])

    def leave_out(self, files: Iterable[ImageFile], place: str) -> None:
        """Count files that are left out."""
        self.left_out.update({place: sum(1 for _ in files)})

    def notes(self, tree: ImageTree) -> list[str]:
        """Return notes on images that are left out, on images with other suffixes, and on empty class folders."""
        notes = list(tree.problems)
        places = [f"{count:,} in {place}" for place, count in self.left_out.items() if count]
        if places:
            notes.append(f"left out {_count(self.left_out.total(), 'image')}: {_list(places)}")
        if tree.other_images:
            suffixes = Counter(Path(file.parts[-1]).suffix.lower() or "no suffix" for file in tree.other_images)
            kinds = _list([f"{count:,} with {suffix}" for suffix, count in suffixes.most_common()])
            notes.append(
                f"left out {_count(len(tree.other_images), 'image file')} with suffixes that are not read ({kinds}),"
                f" the first {tree.other_images[0].name}; convert them to JPEG or PNG"
            )
        labels = {sample.label for sample in self.splits.get("train", ())}
        folders = [folder for folder in sorted(tree.folders) if folder[:-1] in self.class_folders]
        empty = [folder[-1] for folder in folders if folder[-1] not in labels and not _is_left_out(folder, self)]
        if empty and labels != {UNLABELED}:
            notes.append(f"left out {_count(len(empty), 'folder')} without readable images: {_list(empty)}")
        return [one_line(note) for note in notes]


def find_layout(tree: ImageTree, *, labeled: bool) -> Layout:
    """Return the samples of each split. Folders around all others are skipped.

    Parameters
    ----------
    tree : ImageTree
        The files.
    labeled : bool
        See `read_folder`.

    Raises
    ------
    DataError
        If there are no images, or split folders without class folders.
    """
    if not tree.files:
        hint = "expected class/image.png, or train/class/image.png"
        first = f"; {tree.other_images[0].name} has a suffix that is not read" if tree.other_images else ""
        raise DataError(f"{tree.path}: no images ({hint}){first}")
    _check_zip_files(tree)
    layout = None if labeled else _find_flat(tree.files)
    if layout is None:
        layout = _find_classes(tree, labeled=labeled)
    if "train" not in layout.splits and len(layout.splits) == 1:
        layout.only_split = next(iter(layout.splits))
        layout.splits["train"] = layout.splits.pop(layout.only_split)
    return layout


def describe_unread_zips(tree: ImageTree) -> str:
    """Return a note on the zip files that are not read; "" without any."""
    if not tree.unread_zips:
        return ""
    count = _count(len(tree.unread_zips), "zip file")
    is_read = any(file.archive for file in tree.files)
    place = "without images" if is_read else "next to images"
    advice = "" if is_read else "; unpack what you need, or move it to another folder"
    return one_line(f"did not read {count} {place}: {_list(tree.unread_zips)}{advice}")


def _check_zip_files(tree: ImageTree) -> None:
    """Refuse several zip files in one folder that are not named after splits."""
    for folder, names in tree.zip_folders.items():
        splits = _match_splits(names)
        others = ["/".join((*folder, name)) for name in names if name not in splits]
        if others:
            hint = "expected train.zip and test.zip, NAME-train.zip and NAME-test.zip, or only one zip file"
            text = f"zip files that are not named after a split: {_list(others)} ({hint})"
            raise DataError(one_line(f"{tree.path}: {text}"))


def _find_flat(files: Sequence[ImageFile]) -> Layout | None:
    """Return the layout of unlabeled images that are not all in class folders, or None."""
    paths = [file.parts for file in files]
    depth = 0  # number of outer folders
    while (
        all(len(parts) >= depth + 3 for parts in paths)
        and len({parts[depth] for parts in paths}) == 1
        and _split_of(paths[0][depth]) is None
    ):
        depth += 1
    min_parts = 1 if any(len(parts) < depth + 3 for parts in paths) else 2  # below a split folder
    has_splits = all(len(parts) > depth + min_parts and _split_of(parts[depth]) for parts in paths)
    if not any(len(parts) < depth + 2 + has_splits for parts in paths):
        return None
    layout = Layout()
    for file in files:
        split = _split_of(file.parts[depth]) if has_splits else "train"
        layout.splits.setdefault(split or "train", []).append(Sample(file, UNLABELED, file.parts[depth + has_splits :]))
    return layout


def _find_classes(tree: ImageTree, *, labeled: bool) -> Layout:
    layout = Layout()
    depth, inside = _skip_outer_folders(tree.files)
    layout.left_out["outer folders"] = len(tree.files) - len(inside)
    folders: dict[str, list[ImageFile]] = {}
    for file in inside:
        if len(file.parts) > depth + 1:
            folders.setdefault(file.parts[depth], []).append(file)
    layout.leave_out((file for file in inside if len(file.parts) == depth + 1), "no class folder")
    splits = _split_folders(folders, depth)
    if not splits:
        _add_class_folders(layout, folders, depth)
        return layout
    depths = {name: _class_depth(folders[name], depth + 1, name) for name in splits}
    others = [name for name in folders if name not in splits]
    if any(depths.values()):
        _check_train(tree, splits, depths, folders)
        for name, split in splits.items():
            _add_split(layout, split, name, folders[name], depths[name])
        for name in others:
            layout.leave_out(folders[name], f"{name}/ (not a split)")
    elif not labeled:
        for name, split in splits.items():
            samples = [Sample(file, UNLABELED, file.parts[depth + 1 :]) for file in folders[name]]
            layout.splits.setdefault(split, []).extend(samples)
        for name in others:
            layout.leave_out(folders[name], f"{name}/ (not a split)")
    elif len(others) >= 2 and "train" not in splits.values():
        _add_class_folders(layout, {name: folders[name] for name in others}, depth)
        for name in splits:
            layout.leave_out(folders[name], f"{name}/ (no class folders)")
    else:
        names = _list([f"{name}/" for name in splits])
        raise DataError(
            f"{tree.path}: {names} without class folders (expected train/class/image.png, or class/image.png)"
        )
    return layout


def _skip_outer_folders(files: Sequence[ImageFile]) -> tuple[int, list[ImageFile]]:
    """Return the number of outer folders, and the files in the innermost one."""
    depth, inside = 0, list(files)
    while True:
        below = [file for file in inside if len(file.parts) >= depth + 2]
        names = {file.parts[depth] for file in below}
        is_outer = len(names) == 1 and any(len(file.parts) >= depth + 3 for file in below)
        if not is_outer or _split_of(names.pop()):
            return depth, inside
        depth, inside = depth + 1, below


def _words(name: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the splits that the words of a name stand for, and the other words."""
    words = re.findall(r"[^\W\d_]+", name.lower())
    splits = [SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES]
    return splits, tuple(word for word in words if word not in SPLIT_NAMES and word not in OTHER_WORDS)


def _split_of(name: str) -> str | None:
    """Return the split that a folder's name stands for, or None.

    >>> [_split_of(name) for name in ("Train", "training_set", "test1", "val2017", "train station", "cat")]
    ['train', 'train', 'test', 'val', None, None]
    """
    splits, rest = _words(name)
    return splits[0] if len(splits) == 1 and not rest else None


def _match_splits(names: Iterable[str]) -> dict[str, str]:
    """Return the splits that names stand for; names with other words need a counterpart, as seg_train and seg_test.

    >>> _match_splits(["train", "pets-train", "pets-test", "seg_train", "cat"])
    {'train': 'train', 'pets-train': 'train', 'pets-test': 'test'}
    """
    by_rest: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        splits, rest = _words(name)
        if len(splits) == 1:
            by_rest.setdefault(rest, {})[name] = splits[0]
    result = by_rest.pop((), {})
    for matches in by_rest.values():
        if len(set(matches.values())) >= 2:
            result |= matches
    return result


def _split_folders(folders: dict[str, list[ImageFile]], depth: int) -> dict[str, str]:
    """Return the split of each split folder."""
    result = _match_splits(folders)
    lower = {name.lower() for name in folders}
    num_classes = len(folders) - len(result)
    is_flat_train = [name.lower() for name in result] == ["train"] and num_classes >= 2
    if is_flat_train and all(len(file.parts) == depth + 2 for files in folders.values() for file in files):
        return {}  # train/, bus/ and car/, all of them with images
    if "invalid" in lower:
        result = {name: split for name, split in result.items() if name.lower() != "valid"}
    return result


def _class_depth(files: Sequence[ImageFile], depth: int, folder: str) -> int:
    """Return the position of the class folders in the paths of a split folder's files; 0 if there are none.

    Folders around all class folders are skipped, as in seg_train/seg_train/class and train/images/class.
    """
    own = {*re.findall(r"[^\W\d_]+", folder.lower()), *OTHER_WORDS}
    while True:
        names = {file.parts[depth] for file in files if len(file.parts) >= depth + 2}
        if not names:
            return 0
        words = set(re.findall(r"[^\W\d_]+", names.pop().lower()))
        if names or not words or not words <= own:
            return depth
        depth += 1


def _check_train(
    tree: ImageTree, splits: dict[str, str], depths: dict[str, int], folders: dict[str, list[ImageFile]]
) -> None:
    """Refuse split folders that leave out the training images, or more images than they have."""
    has_train = any(split == "train" and depths[name] for name, split in splits.items())
    flat = [name for name, split in splits.items() if split == "train" and not depths[name]]
    others = [name for name in folders if name not in splits]
    if flat and not has_train:
        raise DataError(f"{tree.path}: {flat[0]}/ has no class folders (expected {flat[0]}/class/image.png)")
    num_used = sum(len(folders[name]) for name in splits)
    num_others = sum(len(folders[name]) for name in others)
    if others and (not has_train or num_others > num_used):
        raise DataError(
            f"{tree.path}: {_list([f'{name}/' for name in others])} next to the split folders"
            f" {_list([f'{name}/' for name in splits])}; expected only train/, val/ and test/, or only classes"
        )


def _add_split(layout: Layout, split: str, name: str, files: Sequence[ImageFile], depth: int) -> None:
    if not depth:
        layout.leave_out(files, f"{name}/ (no class folders)")
        return
    for file in files:
        if len(file.parts) >= depth + 2:
            layout.add(split, file, depth)
    layout.leave_out((file for file in files if len(file.parts) < depth + 2), f"{name}/ (in no class folder)")


def _add_class_folders(layout: Layout, folders: dict[str, list[ImageFile]], depth: int) -> None:
    """Add the images of class folders, with split folders in them if every class has these."""
    files = [file for each in folders.values() for file in each]
    splits = {_split_of(file.parts[depth + 1]) if len(file.parts) > depth + 2 else None for file in files}
    has_splits = None not in splits and "train" in splits and len(splits) > 1
    for file in files:
        split = _split_of(file.parts[depth + 1]) if has_splits else "train"
        layout.add(split or "train", file, depth)


def _is_left_out(folder: tuple[str, ...], layout: Layout) -> bool:
    """Return whether a folder is one of the places that are left out."""
    return any(place.startswith(f"{folder[-1]}/") for place in layout.left_out) or _split_of(folder[-1]) is not None


def _count(number: int, noun: str) -> str:
    """Return a number with a noun, such as "2 images"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def _list(items: Sequence[str]) -> str:
    """Return the first items, and the number of the others."""
    more = f" and {len(items) - MAX_NAMED:,} more" if len(items) > MAX_NAMED else ""
    return ", ".join(items[:MAX_NAMED]) + more
