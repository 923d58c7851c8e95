"""Top-down pose estimation: settings, training, inference, evaluation."""
