"""Bottom-up pose estimation with a network that detects blobs: joints are where they were drawn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from firstsight import TopDownEstimator, estimate_pose
from firstsight.data.sample_image import sample_photo
from firstsight.errors import DataError, UsageError, WeightsError
from firstsight.pose.decode import decode_steps
from firstsight.pose.parts import Pose
from firstsight.pose.score import UNCALIBRATED
from firstsight.pose.skeleton import COCO_17, LSP_14, OPENPOSE_18, Skeleton
from firstsight.recipes.train import train
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator, coco_results
from firstsight.tasks.pose.result import PoseResult
from helpers.blob_people import BlobNetwork, blob_network, scene, stick

SIZE = (640, 470)
PEOPLE = [stick(180, 240, size=300), stick(440, 220, size=240)]


def joint_errors(poses: list[Pose], people: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the error of every joint in pixels (P, K, 2), from each person to the nearest pose; all are detected."""
    assert len(poses) == len(people)
    errors = []
    for person in people:
        pose = min(poses, key=lambda pose: float(np.abs(pose.keypoints[:, :2] - person).sum()))
        assert (pose.keypoints[:, 2] > 0).all()
        errors.append(pose.keypoints[:, :2] - person)
    return np.array(errors)


def rounded(people: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [np.rint(person) for person in people]


@pytest.mark.parametrize("size", [SIZE, (637, 471), (803, 399), (601, 1000)])
@pytest.mark.parametrize("height", [256, 247, 368])
def test_joints_are_detected_without_shift_at_any_size_and_height(size: tuple[int, int], height: int) -> None:
    """All remainders modulo 8 occur in both directions; images are enlarged and reduced, with any padding."""
    scale = min(size[0] / 640, size[1] / 470)
    people = [stick(180 * scale, 240 * scale, size=290 * scale), stick(440 * scale, 220 * scale, size=240 * scale)]
    poses = PoseEstimator(blob_network(), height=height)(scene(people, size=size, radius=round(7 * scale)))
    errors = joint_errors(poses, rounded(people))
    stride = size[1] / height
    assert np.abs(errors).max() < 0.12 * stride + 0.1  # pixels of the network's input
    assert np.abs(errors.mean((0, 1))).max() < 0.05 * stride


def test_exact_places_joints_by_the_published_formula() -> None:
    """(2 p - pad) / scale: whole pixels of the enlarged maps, a little left of and above the joint."""
    image = scene(PEOPLE, size=SIZE)
    result = PoseEstimator(blob_network(), method="exact").infer(image)
    errors = joint_errors(result.poses, rounded(PEOPLE))
    ratio = SIZE[1] / 256
    assert np.abs(errors + ratio - 0.5).max() < 1.5 * ratio
    assert np.abs(errors.mean((0, 1)) + ratio - 0.5).max() < 0.5
    peaks = result.decoded.peaks.xy
    assert result.letterbox.input_size == (256, 352) and (result.letterbox.pad_left, result.letterbox.pad_top) == (1, 0)
    assert peaks.max() > 60  # of maps four times as fine
    first = result.poses[0].keypoints[0, :2]
    peak = peaks[result.decoded.people.joints[0, 0]]
    np.testing.assert_allclose(first, [(2 * peak[0] - 1) * 640 / 349, 2 * peak[1] * 470 / 256])


@pytest.mark.parametrize("skeleton", [LSP_14, OPENPOSE_18, COCO_17], ids=lambda skeleton: skeleton.name)
def test_flip_gives_the_same_maps_and_joints(skeleton: Skeleton) -> None:
    """Maps of the flipped image are flipped back; the border of the input is odd."""
    person = [stick(300, 240, skeleton=skeleton, size=330)]
    image = scene(person, size=(611, 470))
    plain, flipped = (PoseEstimator(blob_network(skeleton), flip=flip).infer(image) for flip in (False, True))
    assert plain.letterbox.pad_left * 2 + plain.letterbox.resized_width < plain.letterbox.input_size[1]  # an odd border
    np.testing.assert_allclose(flipped.heatmaps, plain.heatmaps, atol=0.05)
    np.testing.assert_allclose(flipped.poses[0].keypoints[:, :2], plain.poses[0].keypoints[:, :2], atol=0.4)
    assert np.abs(joint_errors(flipped.poses, rounded(person))).max() < 0.5


def test_maps_of_several_scales_are_aligned_and_averaged() -> None:
    """Each input has its own border and rounding; averaged maps still peak at the joints."""
    image = scene(PEOPLE, size=(637, 471))
    network = blob_network()
    result = PoseEstimator(network, scales=(0.7, 1, 1.45), flip=True).infer(image)
    assert isinstance(network.model, BlobNetwork)
    assert network.model.input_shapes == [(2, 3, 184, 248), (2, 3, 256, 352), (2, 3, 376, 504)]
    assert result.heatmaps.shape == (15, 32, 44) and result.pafs.shape == (26, 32, 44)
    errors = joint_errors(result.poses, rounded(PEOPLE))
    assert np.abs(errors.mean((0, 1))).max() < 0.15
    assert np.abs(errors).max() < 1
    alone = PoseEstimator(blob_network(), scales=(1.45,)).infer(image)
    assert alone.heatmaps.shape[1:] == (47, 63)


def test_the_result_has_timings_extent_and_boxes_around_the_joints() -> None:
    result = PoseEstimator(blob_network()).infer(scene(PEOPLE, size=SIZE))
    assert list(result.timings) == ["read", "network", "decode"] and min(result.timings.values()) > 0
    for pose in result.poses:
        x, y, wide, high = pose.box
        low, far = pose.keypoints[:, :2].min(0), pose.keypoints[:, :2].max(0)
        np.testing.assert_allclose([x, y, x + wide, y + high], [*low, *far])
    left, right, bottom, top = result.letterbox.extent
    assert left < 0 < 639 < right and top == -0.5 and bottom == pytest.approx(469.5)


def test_scores_of_the_result_are_at_most_one_although_those_of_the_maps_are_not() -> None:
    network = blob_network()
    network.model.register_forward_hook(lambda module, inputs, maps: [2 * each for each in maps])
    result = PoseEstimator(network).infer(scene(PEOPLE, size=SIZE))
    plain = PoseEstimator(blob_network()).infer(scene(PEOPLE, size=SIZE))
    assert result.decoded.peaks.scores.max() > 1.2 and len(result) == len(PEOPLE)
    assert max(pose.keypoints[:, 2].max() for pose in result.poses) == 1
    document = result.to_dict()["people"]
    assert all(-1 <= joint[2] <= 1 for person in document for joint in person["keypoints"])
    results = coco_results(result, LSP_14, image_id=1)
    assert max(max(each["keypoints"][2::3]) for each in results) == 1
    np.testing.assert_allclose([p.keypoints[:, :2] for p in result.poses], [p.keypoints[:, :2] for p in plain.poses])


def test_a_missing_joint_is_minus_one() -> None:
    person = stick(300, 240, size=300)
    image = scene([person], size=SIZE)
    pixels = np.array(image)
    x, y = np.rint(person[LSP_14.joints.index("left_wrist")]).astype(int)
    pixels[y - 8 : y + 9, x - 8 : x + 9, :2] = 0
    (pose,) = PoseEstimator(blob_network())(Image.fromarray(pixels))
    assert pose.keypoints[LSP_14.joints.index("left_wrist")].tolist() == [-1, -1, -1]
    assert (pose.keypoints[:, 2] > 0).sum() == 13
    assert min(pose.box) > 20


def test_min_joints_leaves_out_people_with_fewer_joints() -> None:
    """The second person shows the left arm, neck and head only: five joints."""
    whole, part = PEOPLE[0], PEOPLE[1]
    image = np.array(scene([whole, part], size=SIZE))
    arm = ("left_wrist", "left_elbow", "left_shoulder", "neck", "head_top")
    for joint, (x, y) in zip(LSP_14.joints, np.rint(part).astype(int), strict=True):
        if joint not in arm:
            image[y - 8 : y + 9, x - 8 : x + 9] = 0
    results = {n: PoseEstimator(blob_network(), min_joints=n).infer(Image.fromarray(image)) for n in (None, 5, 6)}
    counts = {n: [(pose.keypoints[:, 2] > 0).sum() for pose in result.poses] for n, result in results.items()}
    assert counts == {None: [14, 5], 5: [14, 5], 6: [14]}
    assert len(results[6].scores) == 1 and results[6].scores[0] == results[None].scores[0]
    assert len(results[6].decoded.poses) == 2


def test_coco_results_have_the_order_offset_and_score_of_coco() -> None:
    """Without the neck; coordinates count from the corner of a pixel, so they are half a pixel larger."""
    estimator = PoseEstimator(blob_network(OPENPOSE_18))
    result = estimator.infer(scene([stick(300, 240, skeleton=OPENPOSE_18, size=330)], size=SIZE))
    (entry,) = coco_results(result, OPENPOSE_18, image_id=139)
    assert (entry["image_id"], entry["category_id"], len(entry["keypoints"])) == (139, 1, 51)
    expected = stick(300, 240, skeleton=COCO_17, size=330)
    flat = np.array(entry["keypoints"]).reshape(17, 3)
    np.testing.assert_allclose(flat[:, :2], np.rint(expected) + 0.5, atol=0.5)
    assert (flat[:, 2] == 1).all()
    raw = decode_steps(result.heatmaps[:18], result.pafs, OPENPOSE_18).people.scores[0] * 17
    assert entry["score"] == pytest.approx(float(UNCALIBRATED(raw))) and 0.9 < entry["score"] < 1
    own = PoseEstimator(blob_network()).infer(scene([stick(300, 240, size=330)], size=SIZE))
    assert len(coco_results(own, LSP_14, image_id=1)[0]["keypoints"]) == 42


@pytest.mark.parametrize("name", ["gray.png", "cmyk.jpg", "alpha.png", "rotated.png", "16bit.png", "palette.gif"])
def test_images_of_any_mode_and_orientation_are_read(name: str) -> None:
    """Rotated ones are turned upright by their EXIF tag, and coordinates are those of the upright image."""
    image = scene(PEOPLE, size=SIZE)
    path = Path(name)
    if name == "rotated.png":
        exif = Image.Exif()
        exif[0x0112] = 6
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    elif name == "16bit.png":
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)
    else:
        modes = {"gray.png": "L", "cmyk.jpg": "CMYK", "alpha.png": "RGBA", "palette.gif": "P"}
        image.convert(modes[name]).save(path)
    estimator = PoseEstimator(blob_network())
    result = estimator.infer(path)
    assert result.image.size == SIZE
    if name in ("rotated.png", "alpha.png"):
        assert np.abs(joint_errors(result.poses, rounded(PEOPLE))).max() < 1


def test_tiny_images_have_no_people_and_unusable_files_are_refused() -> None:
    estimator = PoseEstimator(blob_network())
    assert estimator(Image.new("RGB", (1, 1), "red")) == []
    assert estimator(Image.new("L", (3, 900))) == []
    with pytest.raises(
        DataError, match=r"20000x20 pixels would be 256000x256 in the network.*choose a smaller `height`"
    ):
        estimator(Image.new("RGB", (20_000, 20)))
    Image.new("RGB", (20_000, 20)).save("long.png")
    Image.new("RGB", (1, 1)).save("tiny.png")
    scene(PEOPLE, size=SIZE).save("whole.jpg")
    Path("cut.jpg").write_bytes(Path("whole.jpg").read_bytes()[:3000])
    for name, message in (
        ("long.png", "too narrow"),
        ("tiny.png", "too small"),
        ("cut.jpg", "damaged"),
        ("none.jpg", "No such file"),
    ):
        with pytest.raises(DataError, match=f"{name}: .*{message}"):
            estimator(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"height": 8}, "`height` must be between 32 and 2,000 pixels; got 8"),
        ({"method": "slow"}, "`method` must be one of fast, exact; got slow"),
        ({"scales": ()}, "`scales` must be between 0.1 and 4; got none"),
        ({"scales": (1, 9)}, "`scales` must be between 0.1 and 4; got 1, 9"),
        ({"scales": (float("nan"),)}, "`scales` must be a list, each value a number; got the tuple"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        PoseEstimator(blob_network(), **options)


def test_flip_is_refused_for_an_asymmetric_skeleton() -> None:
    asymmetric = Skeleton(
        name="asymmetric",
        joints=("left_foot", "right_foot", "head"),
        limbs=((2, 0), (0, 1)),
        flip_pairs=((0, 1),),
        sigmas=(0.1,) * 3,
    )
    with pytest.raises(DataError, match=r"the limb from head to left_foot has no counterpart from head to right_foot"):
        PoseEstimator(blob_network(asymmetric), flip=True)
    assert PoseEstimator(blob_network(asymmetric)).flip is False


def test_the_image_is_not_changed_and_maps_have_no_gradient() -> None:
    image = scene(PEOPLE, size=SIZE)
    before = image.tobytes()
    result = PoseEstimator(blob_network(), flip=True).infer(image)
    assert image.tobytes() == before
    assert not result.heatmaps.requires_grad and torch.isfinite(result.heatmaps).all()


def test_min_joints_counts_joints_on_a_photograph() -> None:
    """Joints from limbs and joints from completion count."""
    counts = [int((pose.keypoints[:, 2] >= 0).sum()) for pose in PoseEstimator("openpose-tiny-lsp")(sample_photo())]
    assert len(counts) > 1
    for least in (7, max(counts)):
        poses = PoseEstimator("openpose-tiny-lsp", min_joints=least)(sample_photo())
        assert [int((pose.keypoints[:, 2] >= 0).sum()) for pose in poses] == [n for n in counts if n >= least]


def test_estimate_pose_passes_its_options_on() -> None:
    image, network = scene(PEOPLE, size=SIZE), blob_network()
    options: dict[str, Any] = {"flip": True, "height": 300, "scales": (0.8, 1), "method": "exact", "min_joints": 14}
    result = estimate_pose(image, network, **options)
    expected = PoseEstimator(network, **options).infer(image)
    assert [pose.keypoints.tolist() for pose in result.poses] == [pose.keypoints.tolist() for pose in expected.poses]
    assert type(result) is PoseResult
    assert repr(result).startswith("PoseResult(2 people in 640x470 pixels")
    assert repr(expected).startswith("PoseIntermediates(2 people in 640x470 pixels")
    assert result.scores == expected.scores and set(result.timings) == set(expected.timings)
    for name, words in (("no/people.png", "`path=no/people.png` cannot be written"), ("people.x", "must end in .png")):
        with pytest.raises(UsageError, match=words):
            result.save(name)


def test_options_of_the_other_kind_are_refused() -> None:
    image = scene(PEOPLE, size=SIZE)
    with pytest.raises(UsageError, match="`boxes` needs a top-down network; blob_network is bottom-up"):
        estimate_pose(image, blob_network(), boxes=[[0, 0, 50, 50]])
    for name, value in (("height", 200), ("method", "exact"), ("min_joints", 5), ("scales", (0.5, 1))):
        with pytest.raises(UsageError, match=f"`{name}` needs a bottom-up network; pose-tiny-lsp is top-down"):
            estimate_pose(image, "pose-tiny-lsp", **{name: value})
    with pytest.raises(WeightsError, match="holds a classifier, not a pose network"):
        estimate_pose(image, "lenet-digits")
    box = [140.0, 100.0, 90.0, 300.0]
    (pose,) = estimate_pose(image, "pose-tiny-lsp", boxes=[box]).poses
    np.testing.assert_allclose(pose.keypoints, TopDownEstimator("pose-tiny-lsp")(image, [box])[0].keypoints)


@pytest.mark.parametrize(("model", "data"), [("openpose-small", "photos"), ("pose-tiny", "lspet")])
def test_a_recipe_without_its_data_set_says_what_it_needs_and_how_to_name_another(model: str, data: str) -> None:
    with pytest.raises(DataError) as error:
        train(model)
    assert f"needs the data set '{data}'" in str(error.value) and "name your own with `data`" in str(error.value)
    with pytest.raises(DataError, match=r"^mine: no such file or folder; pass a JSON file"):
        train(model, data="mine")
    Path(data).mkdir()
    with pytest.raises(DataError, match=r"person_keypoints"):  # the folder is used
        train(model)
