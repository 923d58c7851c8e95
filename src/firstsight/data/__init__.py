"""Data sets: download, image files, labeled images, keypoints, batches and augmentation."""
