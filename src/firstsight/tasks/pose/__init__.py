"""Pose estimation: training, inference and evaluation; `bottom_up` and `top_down` are the two approaches."""
