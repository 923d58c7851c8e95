"""Image sets: where files are found or fetched, how pictures are read, batches and augmentation."""

from firstsight.data.augment import Augmentation
from firstsight.data.batches import Batch, Batches
from firstsight.data.imageset import ImageSet, Skipped
from firstsight.data.load import load
from firstsight.data.picture import Preprocess, open_picture

__all__ = ["Augmentation", "Batch", "Batches", "ImageSet", "Preprocess", "Skipped", "load", "open_picture"]
