"""Image sets: where files are found or fetched, how pictures are read, batches and augmentation."""

from typing import TYPE_CHECKING

from firstsight.lazy import lazy_names

if TYPE_CHECKING:
    from firstsight.data.augment import Augmentation
    from firstsight.data.batches import Batch, Batches
    from firstsight.data.image_io import Preprocess, open_image
    from firstsight.data.images.image_set import ImageSet, SkippedImage
    from firstsight.data.images.loading import load

__all__ = ["Augmentation", "Batch", "Batches", "ImageSet", "Preprocess", "SkippedImage", "load", "open_image"]

__getattr__ = lazy_names(
    "firstsight.data",
    {
        "Augmentation": "augment:Augmentation",
        "Batch": "batches:Batch",
        "Batches": "batches:Batches",
        "ImageSet": "images.image_set:ImageSet",
        "Preprocess": "image_io:Preprocess",
        "SkippedImage": "images.image_set:SkippedImage",
        "load": "images.loading:load",
        "open_image": "image_io:open_image",
    },
)
