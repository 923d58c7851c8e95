"""Bottom-up pose estimation (OpenPose): settings, training, inference, evaluation."""
