"""Labeled image sets: folders, IDX and CIFAR files."""
