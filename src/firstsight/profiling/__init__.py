"""What a network costs and what its layers see: parameters, multiply-accumulates, receptive fields, activations."""

from firstsight.profiling.cost import Layer, Summary, summarize
from firstsight.profiling.receptive_field import Axis
from firstsight.profiling.trace import Step, trace

__all__ = ["Axis", "Layer", "Step", "Summary", "summarize", "trace"]
