"""Training loop, checkpoints, run directories and the HTML report, shared by all kinds of tasks."""
