"""Export of bottom-up pose networks."""

from firstsight.models.pose import create_bottom_up, default_skeleton
from firstsight.pose.letterbox import STRIDE
from firstsight.tasks.export_plan import POSE_SCALING, ExportPlan, LastOutputs, describe_scaling, sample_pose_inputs
from firstsight.tasks.pose.bottom_up.estimate import PoseEstimator
from firstsight.tasks.pose.bottom_up.network import BottomUpNetwork

HEIGHT = 256
"""Height of images for a network with random weights."""


def plan_export(estimator: PoseEstimator) -> ExportPlan:
    """Return the plan of a bottom-up network: images (N, 3, H, W) to the maps of the last stage."""
    skeleton, height = estimator.skeleton, estimator.network.height
    width = -(-height * 4 // 3 // STRIDE) * STRIDE
    shape = (3, -(-height // STRIDE) * STRIDE, width)
    return ExportPlan(
        net=LastOutputs(estimator.network.model, 2).eval(),
        input_name="images",
        output_names=("heatmaps", "pafs"),
        shape=shape,
        draw_inputs=lambda n: sample_pose_inputs(n, height=shape[1], width=shape[2]),
        side_multiple=STRIDE,
        map_stride=STRIDE,
        metadata={
            "preprocess": {
                "height": height,
                "resize": "bilinear with antialiasing to `height` pixels, keeping the aspect ratio; then padding with 0"
                " after normalization, equal on both sides, to multiples of `multiple` pixels",
                "multiple": STRIDE,
                **describe_scaling(*POSE_SCALING),
            },
            "skeleton": skeleton.to_category() | {"paf_channels": list(skeleton.paf_channels)},
            "outputs": {
                "stride": STRIDE,
                "heatmaps": "(N, joints + 1, H/8, W/8), the last one is the background; the center of cell i is at"
                " pixel stride * i + (stride - 1) / 2",
                "pafs": "(N, 2 * limbs, H/8, W/8); the x component of limb l is channel skeleton.paf_channels[l]",
            },
        },
    )


def make_untrained(name: str) -> PoseEstimator:
    """Return an estimator with random weights: a network of the registry with its default options."""
    skeleton = default_skeleton(name)
    net = create_bottom_up(name, skeleton=skeleton).eval()
    card = {"kind": "pose", "model": name, "about": {"data": "none (random weights)"}}
    return PoseEstimator(BottomUpNetwork(net, skeleton, HEIGHT, card, "", name))
