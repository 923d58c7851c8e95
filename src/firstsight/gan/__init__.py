"""Generative adversarial networks, one file each, and their losses: modules and functions on tensors."""
