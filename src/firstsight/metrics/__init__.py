"""Metrics: COCO average precision, PCK, Frechet distance, precision and recall of generators, clustering of codes."""
