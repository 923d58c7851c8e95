"""Cost of a network and its layers: parameters, multiply-accumulates, activation memory, receptive fields."""

from firstsight.profiling.cost import Layer, Summary, summarize
from firstsight.profiling.receptive_field import Axis
from firstsight.profiling.trace import Step, trace

__all__ = ["Axis", "Layer", "Step", "Summary", "summarize", "trace"]
