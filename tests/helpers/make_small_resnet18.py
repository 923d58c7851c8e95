"""Make tests/weights/resnet18-f37072fd.pth, a small file that passes for the published weights of ResNet-18.

    python tests/helpers/make_small_resnet18.py OUT

torchvision publishes ResNet-18 as resnet18-f37072fd.pth (46.8 MB), where f37072fd are the first 8 hexadecimal digits of
the file's SHA-256. No more of the hash is published, so firstsight checks these 8 digits. This script writes 30 KB that
torch.load reads as a complete state dict (all tensors are views of the same 4,352 numbers), and searches a number for
the comment at the end of the zip archive so that the SHA-256 begins with the same 8 digits. With this file, tests go
through download, verification and import with the real table of published weights.

The search takes about 2^32 attempts, an hour in Python. The file in the repository says what it is: `unzip -z`.
"""

import hashlib
import struct
import sys
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from formula import uniform

from firstsight.models.classification import create_model

PREFIX = bytes.fromhex("f37072fd")
SIGNED, POSITIVE = 3712, 640
STRIDES = (2, 3, 1, 5)
COMMENT = (
    b"Made for the tests of firstsight: a ResNet-18 whose tensors share 4,352 numbers. Not the published weights. The"
    b" next characters give the file a SHA-256 that begins as that of the published file: "
)
DIGITS = 12
END_OF_ARCHIVE = 22
"""Bytes of a zip archive's last record, which ends in the length of the comment."""


def small_state() -> dict[str, Tensor]:
    """Return a state dict of ResNet-18 whose tensors are different views of two short vectors."""
    signed = torch.from_numpy(0.024 * uniform("signed", SIGNED))
    positive = torch.from_numpy(1 + 0.5 * uniform("positive", POSITIVE))
    values, counter = torch.cat([signed, positive]).float(), torch.zeros(1, dtype=torch.int64)
    with torch.device("meta"):
        expected = create_model("resnet18").state_dict()
    state = {}
    for number, (name, tensor) in enumerate(expected.items()):
        if name.endswith("num_batches_tracked"):
            state[name] = counter[0]
        elif tensor.ndim > 1:
            state[name] = values.as_strided(tensor.shape, STRIDES[: tensor.ndim], number)
        else:
            is_positive = name.endswith(("weight", "running_var"))  # of batch norms
            state[name] = values.as_strided(tensor.shape, (1,), number + SIGNED * is_positive)
    return state


def with_hash(archive: bytes, prefix: bytes) -> bytes:
    """Return a zip archive with a comment by which its SHA-256 begins with ``prefix``."""
    assert archive[-END_OF_ARCHIVE:].startswith(b"PK\5\6")
    padding = (40 - len(archive) - len(COMMENT) - DIGITS) % 64  # the digits are in the last block of SHA-256
    comment = COMMENT + b" " * padding
    start = archive[:-2] + struct.pack("<H", len(comment) + DIGITS) + comment
    before = hashlib.sha256(start)
    for number in count():
        digits = b"%0*d" % (DIGITS, number)
        attempt = before.copy()
        attempt.update(digits)
        if attempt.digest().startswith(prefix):
            return start + digits
    raise AssertionError


if __name__ == "__main__":
    out = Path(sys.argv[1])
    torch.save(small_state(), out)
    out.write_bytes(with_hash(out.read_bytes(), PREFIX))
