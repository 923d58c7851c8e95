"""Write the logits of torchvision's networks as reference values for the tests.

Run it in a separate environment with torchvision, which is not a dependency of the project::

    python -m venv /tmp/golden && /tmp/golden/bin/pip install torchvision safetensors numpy
    /tmp/golden/bin/python tools/make_golden_logits.py

Every network gets the weights and the input image of ``tools/formula.py``. Its 1000 logits are computed in float64,
because float32 results differ between processors in the fifth digit. ``tests/parity/golden-logits.safetensors`` stores
them with the package versions.
"""

from pathlib import Path

import torch
import torchvision
from formula import input_image, tensor
from safetensors.torch import save_file

PARITY = Path(__file__).parents[1] / "tests" / "parity"

NAMES = (
    "alexnet",
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
    "googlenet",
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
)


def main() -> None:
    """Compute and store the logits of all networks."""
    golden: dict[str, torch.Tensor] = {}
    for name in NAMES:
        options = {"aux_logits": True, "transform_input": False, "init_weights": False} if name == "googlenet" else {}
        net = getattr(torchvision.models, name)(weights=None, **options).eval()
        state = {key: torch.from_numpy(tensor(key, tuple(v.shape))).to(v.dtype) for key, v in net.state_dict().items()}
        net.load_state_dict(state)
        with torch.inference_mode():
            golden[name] = net.double()(torch.from_numpy(input_image(224)).double())[0].clone()
        print(f"{name:12} {len(state):4} tensors, logits {golden[name].mean():+.4f} +- {golden[name].std():.4f}")
    versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
    save_file(golden, PARITY / "golden-logits.safetensors", {"versions": str(versions)})


if __name__ == "__main__":
    main()
