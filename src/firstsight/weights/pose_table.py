"""Table of published weights of pose networks, trained on COCO: files, URLs, hashes, average precision and terms."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from firstsight.data.datasets import RemoteFile
from firstsight.weights.bundled import cache_dir

MODEL = "openpose-mobilenet"
HEIGHT = 368
"""Height of the images that the networks were trained with."""
ELU_BRIDGE = "cpm.trunk.3.0.weight"
"""Tensor that only the bridge of human-pose-estimation-0001 has."""
ZOO_URL = (
    "https://storage.openvinotoolkit.org/repositories/open_model_zoo/2021.4/models_bin/3/human-pose-estimation-0001/"
)
"""Folder of human-pose-estimation-0001 in Open Model Zoo, with a folder for each precision."""
COCO_TERMS = "trained on COCO 2017, whose annotations are CC BY 4.0"


@dataclass(frozen=True)
class PublishedPose:
    """Published weights of lightweight OpenPose.

    Parameters
    ----------
    name : str
        Name of the cached weights.
    files : tuple[RemoteFile, ...]
        Files to download; the first one is imported. An empty hash means that the publisher states none.
    base_url : str
        Folder of the files, as a URL.
    bridge : {"relu", "elu"}
        Variant of the network.
    ap : float
        Average precision on COCO val2017 as published.
    ap_source : str
        Where it is published.
    terms : str
        License.
    measured : str
        Result of ``firstsight evaluate``; empty if it was not measured.
    calibration : Mapping[str, float] | None
        Calibration of the scores of people, see `firstsight.pose.score`; None if it was not measured.
    precisions : Mapping[tuple[str, ...], str]
        Precision by the SHA-256 of the files, for each in which they are published; empty if no hashes are published.
    """

    name: str
    files: tuple[RemoteFile, ...]
    base_url: str
    bridge: Literal["relu", "elu"]
    ap: float
    ap_source: str
    terms: str
    measured: str = ""
    calibration: Mapping[str, float] | None = None
    precisions: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    @property
    def target(self) -> Path:
        """File in the cache."""
        return cache_dir() / f"{self.name}.safetensors"

    @property
    def url(self) -> str:
        """Folder to download from: the mirror ``$FIRSTSIGHT_WEIGHTS_URL`` if it is set, else ``base_url``."""
        mirror = os.environ.get("FIRSTSIGHT_WEIGHTS_URL", "")
        return f"{mirror.rstrip('/')}/" if mirror else self.base_url

    def has_hashes(self, digests: tuple[str, ...]) -> bool:
        """Return whether files have the SHA-256 of a published precision; True if no hashes are published."""
        return not self.precisions or digests in self.precisions

    def about(self, digests: tuple[str, ...]) -> dict[str, Any]:
        """Return what a card says of files with these SHA-256: source, terms, average precision."""
        url = f"{ZOO_URL}{self.precisions[digests]}/" if self.precisions else self.base_url
        facts = {
            "data": "coco",
            "source": url + self.files[0].name,
            "terms": self.terms,
            "published_ap": self.ap,
            "ap_source": self.ap_source,
        }
        return facts | {"measured": self.measured} if self.measured else facts

    @property
    def megabytes(self) -> float:
        """Size of the download."""
        return sum(file.size for file in self.files) / 1e6


OPEN_MODEL_ZOO = PublishedPose(
    name=f"{MODEL}-coco",
    files=(
        RemoteFile(
            "human-pose-estimation-0001.xml",
            "a4312443bb77b8528080c75fff2e5b99ad46d660d5c4cc753ee218dd3deb01f5",
            153_774,
        ),
        RemoteFile(
            "human-pose-estimation-0001.bin",
            "746bddef69d602945f7db09401d0567176f805fa0ea2086d2b857b459e316254",
            16_394_712,
        ),
    ),
    base_url=f"{ZOO_URL}FP32/",
    bridge="elu",
    ap=0.428,
    ap_source="Open Model Zoo, documentation of human-pose-estimation-0001: AP on COCO",
    terms=f"Apache-2.0 (Open Model Zoo); {COCO_TERMS}",
    measured="AP 0.335, PCK@0.2 0.657 on 80 photographs of COCO train2017, height 368, no flip, files in FP16-INT8",
    calibration={"coefficient": 2.168, "intercept": -7.552, "min_score": 0.44},
    precisions={
        (
            "a4312443bb77b8528080c75fff2e5b99ad46d660d5c4cc753ee218dd3deb01f5",
            "746bddef69d602945f7db09401d0567176f805fa0ea2086d2b857b459e316254",
        ): "FP32",
        (
            "560880b45f2e58f1f4d5388000e0364c30199ef656a1b2fd07cd4cdb7b53561c",
            "40dfef77d8216f23b83d86d8915659e3ade89abadbb9173bc9b946cffb6c1c9e",
        ): "FP16",
        (
            "581b082e749848fdfc6d4b4b70e8189c3c2bae1c2d59c6b2c1a026a5471754e3",
            "df2a9f41f15c3a0c8a0c5a704650338a3cc5c7bb588f2bfc14ea7093fa37b446",
        ): "FP16-INT8",
    },
)
"""human-pose-estimation-0001; the precision FP32 is downloaded.

The calibration is from 399 photographs of people and 398 without people, with the files in FP16-INT8
(``python tools/calibrate_pose.py``): 598 people at the minimum score, 92 % of them right, 97 % of the right ones.
"""
CHECKPOINT = PublishedPose(
    name=f"{MODEL}-iter370000",
    files=(RemoteFile("checkpoint_iter_370000.pth", "", 0),),
    base_url="https://download.01.org/opencv/openvino_training_extensions/models/human_pose_estimation/",
    bridge="relu",
    ap=0.40,
    ap_source="github.com/Daniil-Osokin/lightweight-human-pose-estimation.pytorch: AP on COCO val2017",
    terms=f"Apache-2.0 (lightweight-human-pose-estimation.pytorch); {COCO_TERMS}",
)
"""Checkpoint of the paper's repository."""
PUBLISHED_POSE = {source.name: source for source in (OPEN_MODEL_ZOO, CHECKPOINT)}


def find_published_pose(name: str) -> PublishedPose | None:
    """Return published weights by their name, or those that are the default of a network; None if there are none.

    >>> find_published_pose("openpose-mobilenet").name
    'openpose-mobilenet-coco'
    """
    return OPEN_MODEL_ZOO if name == MODEL else PUBLISHED_POSE.get(name)
