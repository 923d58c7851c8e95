"""Generative adversarial networks: settings, training, generation, evaluation."""
