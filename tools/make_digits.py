"""Write scikit-learn's digits as gzipped IDX files: 1,797 images of 8x8 pixels, with values 0..16 scaled to 0..255."""

import gzip
import struct
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parents[1] / "src/firstsight/data/embedded"

if __name__ == "__main__":
    digits = load_digits()
    images = np.rint(digits.images * 255 / 16).astype(np.uint8)
    FOLDER.mkdir(exist_ok=True)
    for name, magic, values in (("images-idx3", 0x803, images), ("labels-idx1", 0x801, digits.target.astype(np.uint8))):
        header = struct.pack(f">{1 + values.ndim}I", magic, *values.shape)
        target = FOLDER / f"digits-{name}-ubyte.gz"
        target.write_bytes(gzip.compress(header + values.tobytes(), mtime=0))
        print(target, target.stat().st_size)
