"""Pose estimation: skeletons, labels, networks and decoding; modules and functions on tensors."""
