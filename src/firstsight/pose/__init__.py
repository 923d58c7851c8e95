"""Pose estimation on arrays and tensors: skeletons, training targets, decoding and tracking."""
