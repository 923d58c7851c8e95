"""Export of top-down pose networks."""

from torch import Tensor

from firstsight.models.pose import create_top_down, default_size, default_skeleton
from firstsight.models.pose.heads import HeatmapHead
from firstsight.tasks.export_plan import POSE_SCALING, ExportPlan, LastOutputs, describe_scaling, sample_pose_inputs
from firstsight.tasks.pose.top_down.estimate import PADDING, TopDownEstimator
from firstsight.tasks.pose.top_down.network import TopDownNetwork
from firstsight.tasks.pose.top_down.published import MEAN, STD


def plan_export(estimator: TopDownEstimator) -> ExportPlan:
    """Return the plan of a top-down network: crops (N, 3, H, W) to heatmaps, or to the logits of a SimCC head."""
    network, head = estimator.network, estimator.network.model.head
    height, width = network.size

    def draw(n: int) -> Tensor:
        return sample_pose_inputs(n, height=height, width=width)

    if isinstance(head, HeatmapHead):
        name, multiple = "heatmaps", 64 if network.card["model"] == "hourglass" else 32
        output = (
            f"(N, joints, H/{head.stride}, W/{head.stride}); the center of cell i is at pixel"
            f" {head.stride} * i{' + ' + format((head.stride - 1) / 2, 'g') if head.align == 'center' else ''}"
        )
    else:
        name, multiple = "logits", 0
        output = (
            f"(N, joints, {head.split} * (W + H)): classes of x, then those of y; class c is at pixel"
            f" (c + 0.5) / {head.split} - 0.5"
        )
    return ExportPlan(
        net=LastOutputs(network.model, 1).eval(),
        input_name="images",
        output_names=(name,),
        shape=(3, height, width),
        draw_inputs=draw,
        side_multiple=multiple,
        map_stride=head.stride if isinstance(head, HeatmapHead) else 0,
        metadata={
            "preprocess": {
                "size": [height, width],
                "resize": "bilinear crop of a person's box, enlarged by `padding` and extended to the aspect ratio of"
                " `size`, on `fill`",
                "padding": PADDING,
                "fill": 0 if network.is_published else 128,
                **(describe_scaling(MEAN, STD, "RGB") if network.is_published else describe_scaling(*POSE_SCALING)),
            },
            "skeleton": network.skeleton.to_category(),
            "outputs": {name: output},
        },
    )


def make_untrained(name: str) -> TopDownEstimator:
    """Return an estimator with random weights: a network of the registry with its default options."""
    skeleton, size = default_skeleton(name), default_size(name)
    net = create_top_down(name, skeleton=skeleton, size=size)
    card = {"kind": "top-down", "model": name, "about": {"data": "none (random weights)"}}
    return TopDownEstimator(TopDownNetwork(net.eval(), skeleton, size, card, "", name))
