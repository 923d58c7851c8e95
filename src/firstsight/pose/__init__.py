"""Pose estimation: skeletons, training targets, decoding and tracking; functions on tensors."""
