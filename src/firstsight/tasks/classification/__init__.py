"""Image classification: settings, training, prediction, evaluation."""
