"""The one training loop, checkpoints, run directories, the report."""
