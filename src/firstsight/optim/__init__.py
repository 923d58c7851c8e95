"""Optimizers and training utilities: Muon, learning-rate schedules, exponential moving average of weights."""
