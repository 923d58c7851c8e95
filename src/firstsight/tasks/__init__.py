"""What a training step is for each kind of learning."""
