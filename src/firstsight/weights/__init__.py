"""Trained weights: those shipped in the package, those of runs, and the cards that make them usable."""
