"""`firstsight.train` with its settings written out one by one, for editors: see the stub file next to this one."""

from firstsight.recipes.train import train

__all__ = ["train"]
