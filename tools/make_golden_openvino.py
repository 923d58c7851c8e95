"""Write golden values of human-pose-estimation-0001, computed by OpenVINO, to tests/parity/golden-openvino.safetensors.

    python -m venv /tmp/openvino && /tmp/openvino/bin/pip install openvino pillow safetensors scikit-image
    /tmp/openvino/bin/python tools/make_golden_openvino.py human-pose-estimation-0001.xml

The input is scikit-image's photograph of an astronaut, 128 x 128 pixels. FakeQuantize layers are removed first, so that
the activations are not quantized, as in the converted network; the maps of the quantized model are stored too.
"""

import sys
from pathlib import Path

import numpy as np
import openvino as ov
import skimage
from PIL import Image
from safetensors.numpy import save_file

TARGET = Path(__file__).parents[1] / "tests/parity/golden-openvino.safetensors"
SIDE = 128


def make_image() -> np.ndarray:
    """Return scikit-image's photograph of Eileen Collins (NASA, public domain), reduced: (1, 3, H, W), BGR."""
    image = Image.fromarray(skimage.data.astronaut()).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(image)[None, :, :, ::-1].transpose(0, 3, 1, 2).copy()


def run(model: ov.Model, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return heatmaps and fields of an image."""
    model.reshape([1, 3, SIDE, SIDE])
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    outputs = list(
        compiled([image.astype(np.float16 if "f16" in str(model.input().element_type) else np.float32)]).values()
    )
    fields, heatmaps = sorted(outputs, key=lambda maps: -maps.shape[1])
    return heatmaps.astype(np.float32), fields.astype(np.float32)


def main() -> None:
    """Run the model with and without quantized activations, and write the maps."""
    file = sys.argv[1]
    image = make_image()
    quantized = run(ov.Core().read_model(file), image)
    model = ov.Core().read_model(file)
    for layer in model.get_ops():
        if layer.get_type_name() == "FakeQuantize":
            layer.output(0).replace(layer.input_value(0))
    model.validate_nodes_and_infer_types()
    plain = run(model, image)
    tensors = {
        "image": image,
        "heatmaps": plain[0],
        "pafs": plain[1],
        "quantized_heatmaps": quantized[0],
        "quantized_pafs": quantized[1],
    }
    save_file(tensors, str(TARGET), {"openvino": ov.__version__, "file": Path(file).name})
    print({name: value.shape for name, value in tensors.items()})


if __name__ == "__main__":
    main()
