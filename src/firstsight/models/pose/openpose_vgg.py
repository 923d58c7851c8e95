"""OpenPose (Cao, Simon, Wei and Sheikh 2017, "Realtime multi-person 2D pose estimation using part affinity fields").

The paper that brought part affinity fields: a heatmap for each joint, a field for each limb. The first ten layers of
VGG-19, two that narrow it, then stages of two branches each, one for the heatmaps and one for the fields. Every stage
after the first sees the features and both kinds of maps of the stage before; its 7x7 convolutions, five in each branch,
see 240 pixels further, and do two thirds of the work (`openpose_mobilenet` does without).

Differs from the paper: initialised by Kaiming's rule, where the paper begins with the VGG-19 of ImageNet (`features`
has torchvision's names, so those weights can be put in). Odd sizes are rounded up by the pooling, as by that of Caffe,
in which the paper's network was written. Its input is blue, green, red, (pixel - 128) / 256.

Size for 18 joints and 19 limbs, five refinement stages: 52,311,446 parameters, 135.9 G multiply-accumulates at
3x368x368.
"""

from torch import Tensor, cat, nn

STRIDE = 8
GROUPS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512))
"""Output channels of VGG-19's convolutions conv1_1 to conv4_2; a maximum pooling between the groups."""


def convs(channels_in: int, widths: tuple[int, ...], kernel_size: int) -> list[nn.Module]:
    """Convolutions that keep the size, each with ReLU."""
    layers: list[nn.Module] = []
    for channels in widths:
        layers += [nn.Conv2d(channels_in, channels, kernel_size, padding=kernel_size // 2), nn.ReLU(inplace=True)]
        channels_in = channels
    return layers


def branch(channels_in: int, widths: tuple[int, ...], kernel_size: int, *, hidden: int, maps: int) -> nn.Sequential:
    """Convolutions of one size, then two 1x1 ones, over ``hidden`` channels to the maps; no ReLU after the last."""
    layers = convs(channels_in, widths, kernel_size) + convs(widths[-1], (hidden,), 1)
    return nn.Sequential(*layers, nn.Conv2d(hidden, maps, 1))


class SceneComposer(nn.Module):
    """Two branches of the same form, for heatmaps and for fields."""

    def __init__(self, heatmaps: nn.Sequential, pafs: nn.Sequential) -> None:
        super().__init__()
        self.heatmaps, self.pafs = heatmaps, pafs

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features to (N, joints + 1, H, W) heatmaps and (N, 2 limbs, H, W) fields."""
        return self.heatmaps(x), self.pafs(x)


class OpenPoseVGG(nn.Module):
    """Ten layers of VGG-19, two that narrow it, an initial stage, and stages that see features and maps.

    Parameters
    ----------
    joints, limbs : int
        Of the skeleton; there is one heatmap more, for the background.
    stages : int
        Refinement stages.
    """

    def __init__(self, *, joints: int, limbs: int, stages: int) -> None:
        super().__init__()
        layers, channels_in = convs(3, GROUPS[0], 3), GROUPS[0][-1]
        for group in GROUPS[1:]:
            layers += [nn.MaxPool2d(2, ceil_mode=True), *convs(channels_in, group, 3)]
            channels_in = group[-1]
        self.features = nn.Sequential(*layers)
        self.cpm = nn.Sequential(*convs(channels_in, (256, 128), 3))
        maps = joints + 1, 2 * limbs
        self.initial_stage = SceneComposer(*(branch(128, (128,) * 3, 3, hidden=512, maps=m) for m in maps))
        self.refinement_stages = nn.ModuleList()
        for _ in range(stages):
            seen = sum(maps) + 128
            self.refinement_stages.append(
                SceneComposer(*(branch(seen, (128,) * 5, 7, hidden=128, maps=m) for m in maps))
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """(N, 3, H, W) normalised images to heatmaps and fields of every stage, each (N, ..., H/8, W/8)."""
        x = self.features(images)  # (N, 512, H/8, W/8)
        x = self.cpm(x)  # (N, 128, H/8, W/8)
        maps = [self.initial_stage(x)]
        for stage in self.refinement_stages:
            heatmaps, pafs = maps[-1]
            maps.append(stage(cat([pafs, heatmaps, x], dim=1)))
        return maps


def openpose_vgg19(*, joints: int = 18, limbs: int = 19, stages: int = 5) -> OpenPoseVGG:
    """OpenPose as in the paper."""
    return OpenPoseVGG(joints=joints, limbs=limbs, stages=stages)
