"""OpenPose (Cao, Simon, Wei and Sheikh 2017, "Realtime multi-person 2D pose estimation using part affinity fields").

The paper introduced part affinity fields: the network predicts a heatmap for each joint and a vector field for each
limb. The first ten layers of VGG-19 and two layers that reduce the channels are followed by stages of two branches, one
for the heatmaps and one for the fields. Every stage after the first receives the features and both outputs of the
previous stage. Its five 7x7 convolutions per branch extend the receptive field by 240 pixels and need two thirds of the
multiply-accumulates (`openpose_mobilenet` avoids them).

Differs from the paper: Kaiming initialization, where the paper starts from the VGG-19 of ImageNet (`features` has
torchvision's names, so those weights can be loaded). Pooling rounds odd sizes up, as in Caffe, the paper's framework.
The input is BGR, (pixel - 128) / 256.

Size for 18 joints and 19 limbs, five refinement stages: 52,311,446 parameters, 135.9 G multiply-accumulates at
3x368x368.
"""

from torch import Tensor, cat, nn

GROUPS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512))
"""Output channels of VGG-19's convolutions conv1_1 to conv4_2; max pooling separates the groups."""


def conv_layers(channels_in: int, widths: tuple[int, ...], kernel_size: int) -> list[nn.Module]:
    """Return convolutions that keep the size, each followed by ReLU."""
    layers: list[nn.Module] = []
    for channels in widths:
        layers += [nn.Conv2d(channels_in, channels, kernel_size, padding=kernel_size // 2), nn.ReLU(inplace=True)]
        channels_in = channels
    return layers


def branch(channels_in: int, widths: tuple[int, ...], kernel_size: int, *, hidden: int, maps: int) -> nn.Sequential:
    """Return convolutions of one kernel size, then two 1x1 ones with ``hidden`` and ``maps`` channels."""
    layers = conv_layers(channels_in, widths, kernel_size) + conv_layers(widths[-1], (hidden,), 1)
    return nn.Sequential(*layers, nn.Conv2d(hidden, maps, 1))


class Stage(nn.Module):
    """Two branches with the same architecture, for heatmaps and part affinity fields."""

    def __init__(self, heatmaps: nn.Sequential, pafs: nn.Sequential) -> None:
        super().__init__()
        self.heatmaps = heatmaps
        self.pafs = pafs

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return heatmaps (N, joints + 1, H, W) and fields (N, 2 limbs, H, W) for features (N, C, H, W)."""
        return self.heatmaps(x), self.pafs(x)


class OpenPoseVGG(nn.Module):
    """Ten layers of VGG-19, two that reduce the channels, an initial stage, and refinement stages.

    Parameters
    ----------
    joints : int
        Number of joints of the skeleton. One more heatmap is for the background.
    limbs : int
        Number of limbs of the skeleton; each has a field of two maps.
    stages : int
        Number of refinement stages.
    """

    def __init__(self, *, joints: int, limbs: int, stages: int) -> None:
        super().__init__()
        layers = conv_layers(3, GROUPS[0], 3)
        channels_in = GROUPS[0][-1]
        for group in GROUPS[1:]:
            layers += [nn.MaxPool2d(2, ceil_mode=True), *conv_layers(channels_in, group, 3)]
            channels_in = group[-1]
        self.features = nn.Sequential(*layers)
        self.cpm = nn.Sequential(*conv_layers(channels_in, (256, 128), 3))
        maps = (joints + 1, 2 * limbs)
        self.initial_stage = Stage(*(branch(128, (128,) * 3, 3, hidden=512, maps=m) for m in maps))
        self.refinement_stages = nn.ModuleList()
        for _ in range(stages):
            channels_in = sum(maps) + 128
            self.refinement_stages.append(
                Stage(*(branch(channels_in, (128,) * 5, 7, hidden=128, maps=m) for m in maps))
            )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return heatmaps (N, joints + 1, H/8, W/8) and fields (N, 2 limbs, H/8, W/8), in turn, of every stage.

        The input is (N, 3, H, W), BGR, (pixel - 128) / 256.
        """
        x = self.features(images)  # (N, 512, H/8, W/8)
        x = self.cpm(x)  # (N, 128, H/8, W/8)
        heatmaps, pafs = self.initial_stage(x)
        outputs = [heatmaps, pafs]
        for stage in self.refinement_stages:
            heatmaps, pafs = stage(cat([pafs, heatmaps, x], dim=1))
            outputs += [heatmaps, pafs]
        return outputs


def openpose_vgg19(*, joints: int = 18, limbs: int = 19, stages: int = 5) -> OpenPoseVGG:
    """Return OpenPose as in the paper."""
    return OpenPoseVGG(joints=joints, limbs=limbs, stages=stages)
