"""``firstsight pose``."""

import glob
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from firstsight.arguments import expand_user
from firstsight.cli.names import check_weights, describe_name
from firstsight.cli.parse import parse
from firstsight.cli.pose.arguments import EXAMPLES, Arguments, estimator_of
from firstsight.cli.pose.output import IMAGE_SUFFIXES, Results, Targets, draw, plan_targets, print_table, write_coco
from firstsight.errors import UsageError

if TYPE_CHECKING:
    from firstsight.data.image_source import ImageSource
    from firstsight.tasks.pose.estimator import Estimator
    from firstsight.tasks.pose.result import PoseResult

POSE_KINDS = ("bottom-up", "top-down")
"""Tasks whose weights estimate poses."""


def run(argv: list[str]) -> int:
    """Parse, estimate, draw, print; report unreadable images on stderr, with exit code 1, and process the others."""
    arguments = parse(Arguments, "pose", argv, examples=EXAMPLES)
    for weights, kinds in ((arguments.model, POSE_KINDS), (arguments.detector, POSE_KINDS[:1])):
        if weights is not None:
            check_weights(weights, "pose", *kinds, argv=argv)
    for name in arguments.images:
        if not os.path.lexists(expand_user(name)) and (text := describe_name(name, "an image or a video")):
            raise UsageError(text)
    from firstsight.data.video import is_video

    if not arguments.images:
        arguments = _with_sample(arguments)
    if any(is_video(name) and not Path(name).is_dir() for name in arguments.images):  # a folder may have any name
        from firstsight.cli.pose import video

        return video.run(arguments)
    _check(arguments)
    if arguments.compare:
        from firstsight.cli.pose import compare

        return compare.run(arguments)
    from firstsight.cli.console import print_json, report_failures

    results = Results()
    images = _find(arguments.images, results.refused)
    targets = plan_targets(arguments, images)
    if images:
        _estimate(arguments, estimator_of(arguments), targets, results)
    if arguments.coco is not None:
        write_coco(arguments.coco, results)
    if arguments.json:
        is_single = len(results.entries) == 1 and _is_single(arguments.images)
        print_json(results.entries[0] if is_single else results.entries)
    else:
        print_table(arguments, results)
    return report_failures(results.refused)


def _with_sample(arguments: Arguments) -> Arguments:
    """Return the arguments with the bundled photograph of people as the image, and say so."""
    from firstsight.cli.console import log
    from firstsight.data.sample_image import sample_people

    log("no image given: using the bundled photograph people.jpg")
    return replace(arguments, images=(str(sample_people()),))


def _check(arguments: Arguments) -> None:
    """Refuse impossible combinations of options before anything is loaded."""
    is_single = _is_single(arguments.images)
    for option in ("track", "smooth", "frames", "show"):
        if getattr(arguments, option) not in (False, None):
            raise UsageError(f"`{option}` works for a video or a camera only; {arguments.images[0]} is neither")
    if arguments.compare:
        _check_compare(arguments, is_single=is_single)
    if arguments.maps and arguments.out is None:
        raise UsageError("`maps` writes a file next to that of the poses; give `out` too")
    _check_files(arguments, is_single=is_single)


def _check_compare(arguments: Arguments, *, is_single: bool) -> None:
    if not is_single:
        raise UsageError("`compare` needs exactly one image")
    for option, default in (("height", None), ("method", None), ("maps", False), ("coco", None), ("scales", "1")):
        if getattr(arguments, option) != default:
            raise UsageError(f"`{option}` is not available with `compare`: each network uses its own settings")


def _check_files(arguments: Arguments, *, is_single: bool) -> None:
    """Refuse output files that cannot be written."""
    out, coco = arguments.out, arguments.coco
    if out is not None and out.suffix:
        is_image = out.suffix.lower() in IMAGE_SUFFIXES
        if not is_image and not out.is_dir():
            raise UsageError(f"`out` must be a .png, .jpg, .svg or .pdf file or a folder; got {out}")
        if is_image and not is_single:
            raise UsageError(f"`out={out}`: several images need a folder")
    if coco is not None and coco.suffix.lower() != ".json":
        raise UsageError(f"`coco` must be a .json file; got {coco}")
    for option, path in (("out", out), ("coco", coco)):
        if path is not None and path.suffix and not path.parent.is_dir():
            raise UsageError(f"`{option}={path}`: the folder {path.parent} does not exist")


def _find(names: Sequence[str], refused: list[str]) -> "list[ImageSource]":
    """Return the image files of all arguments; append a message to ``refused`` for each that has none.

    Raises
    ------
    UsageError
        If the only one does not exist.
    """
    from firstsight.data.image_source import find_images
    from firstsight.errors import DataError

    sources = []
    for name in names:
        try:
            files = find_images(name)
            if len(files) == 1:
                files[0].check_exists()
            sources += files
        except DataError as error:
            if len(names) == 1 and not glob.has_magic(name) and not os.path.lexists(expand_user(name)):
                raise UsageError(str(error)) from None
            refused.append(str(error))
    return sources


def _is_single(names: Sequence[str]) -> bool:
    """Return whether the arguments are one image, not a folder, a zip file or a pattern."""
    path = expand_user(names[0])
    is_several = path.is_dir() or path.suffix.lower() == ".zip" or (glob.has_magic(names[0]) and not path.exists())
    return len(names) == 1 and not is_several


def _estimate(
    arguments: Arguments, estimator: "Estimator", targets: "Sequence[tuple[ImageSource, Targets]]", results: Results
) -> None:
    from firstsight.cli.console import progress
    from firstsight.errors import DataError
    from firstsight.tasks.pose.bottom_up.estimate import coco_results
    from firstsight.tasks.pose.boxes import read_boxes, select_boxes
    from firstsight.tasks.pose.top_down.estimate import TopDownEstimator

    boxes = read_boxes(arguments.boxes) if arguments.boxes is not None else None
    for source, files in progress(targets, "images"):
        try:
            image = source.path if source.tree is None else source.open()
            if boxes is not None and isinstance(estimator, TopDownEstimator):
                result: PoseResult = estimator.infer(image, name=source.name, boxes=select_boxes(boxes, source.name))
            else:
                result = estimator.infer(image, name=source.name)
        except DataError as error:
            results.refused.append(str(error))
            continue
        results.entries.append({"image": source.name, **result.to_dict()})
        if arguments.coco is not None:
            results.coco.append(coco_results(result, estimator.skeleton, image_id=0))
        draw(Path(source.name), result, files)
        results.files += [file for file in files if file is not None]
