"""Image sets: where files are found or fetched, how pictures are read, batches and augmentation."""

from typing import TYPE_CHECKING

from firstsight.lazy import lazy_names

if TYPE_CHECKING:
    from firstsight.data.augment import Augmentation
    from firstsight.data.batches import Batch, Batches
    from firstsight.data.imageset import ImageSet, Skipped
    from firstsight.data.loading import load
    from firstsight.data.picture import Preprocess, open_picture

__all__ = ["Augmentation", "Batch", "Batches", "ImageSet", "Preprocess", "Skipped", "load", "open_picture"]

__getattr__ = lazy_names(
    "firstsight.data",
    {
        "Augmentation": "augment:Augmentation",
        "Batch": "batches:Batch",
        "Batches": "batches:Batches",
        "ImageSet": "imageset:ImageSet",
        "Preprocess": "picture:Preprocess",
        "Skipped": "imageset:Skipped",
        "load": "loading:load",
        "open_picture": "picture:open_picture",
    },
)
