"""Weights files: bundled, cached and published ones, and their cards."""
