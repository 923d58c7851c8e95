"""Kinds of tasks: settings, training, inference and evaluation of each."""
