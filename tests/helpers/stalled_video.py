"""A source of video that sends some frames and then nothing more, as a camera that was unplugged."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image


@contextmanager
def stalled_video(path: Path, images: list[Image.Image]) -> Iterator[str]:
    """Write images to a named pipe, and keep it open; yield the value of ``FIRSTSIGHT_CAMERA``."""
    os.mkfifo(path)
    end = threading.Event()

    def write() -> None:
        width, height = images[0].size
        with path.open("wb", buffering=0) as pipe:
            pipe.write(b"YUV4MPEG2 W%d H%d F25:1 C444\n" % (width, height))
            for image in images:
                pipe.write(b"FRAME\n" + np.asarray(image.convert("YCbCr")).transpose(2, 0, 1).tobytes())
            end.wait(60)

    threading.Thread(target=write, daemon=True).start()
    try:
        yield f"yuv4mpegpipe:{path}"
    finally:
        end.set()
