"""Metrics: Fréchet distance, clustering of codes, object keypoint similarity, average precision, PCK."""
