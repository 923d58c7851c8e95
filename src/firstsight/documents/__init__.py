"""Schemas of the documents that firstsight reads: cards, run configurations, metrics, poses and boxes."""
