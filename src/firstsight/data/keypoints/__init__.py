"""People with labeled keypoints: COCO files, splits, crops, composed scenes."""
