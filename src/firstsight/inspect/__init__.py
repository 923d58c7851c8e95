"""What a network costs and what its layers see: parameters, multiply-accumulates, receptive fields, activations."""

from firstsight.inspect.cost import Layer, Summary, summarise
from firstsight.inspect.receptive_field import Axis
from firstsight.inspect.trace import Step, trace

__all__ = ["Axis", "Layer", "Step", "Summary", "summarise", "trace"]
