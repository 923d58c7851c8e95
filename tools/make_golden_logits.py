"""Write what torchvision's networks answer, for the tests to hold ours against.

Run in an environment of its own that has torchvision (which the project never depends on)::

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torchvision safetensors numpy
    /tmp/golden/bin/python tools/make_golden_logits.py

Every network gets the weights of ``tools/formula.py`` and one picture; its 1000 logits are stored in double
precision (in single, processors differ in the fifth digit), with the versions, in
``tests/parity/golden-logits.safetensors``.
"""

from pathlib import Path

import torch
import torchvision
from formula import picture, tensor
from safetensors.torch import save_file

PARITY = Path(__file__).parents[1] / "tests" / "parity"

NAMES = (
    "alexnet",
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    "googlenet",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
)


def main() -> None:
    """Build, fill, ask, store."""
    golden: dict[str, torch.Tensor] = {}
    for name in NAMES:
        options = {"aux_logits": True, "transform_input": False, "init_weights": False} if name == "googlenet" else {}
        net = getattr(torchvision.models, name)(weights=None, **options).eval()
        state = {key: torch.from_numpy(tensor(key, tuple(v.shape))).to(v.dtype) for key, v in net.state_dict().items()}
        net.load_state_dict(state)
        with torch.inference_mode():
            golden[name] = net.double()(torch.from_numpy(picture(224)).double())[0].clone()
        print(f"{name:12} {len(state):4} tensors, logits {golden[name].mean():+.4f} +- {golden[name].std():.4f}")
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    save_file(golden, PARITY / "golden-logits.safetensors", {"versions": str(versions)})


if __name__ == "__main__":
    main()
