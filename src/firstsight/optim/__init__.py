"""Optimizers and what belongs to them: Muon, learning-rate schedules, exponential moving average."""
