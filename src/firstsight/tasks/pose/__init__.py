"""Pose estimation: evaluation, video and boxes; `bottom_up` and `top_down` hold the two approaches."""
