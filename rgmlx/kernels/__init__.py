"""The operations that deserve a GPU kernel, one a file: Metal body, launch code, reference in plain MLX operations.

Each function runs its kernel where there is a GPU (`launch.backend`) and its reference elsewhere; both give the
same numbers. Those of a whole chunk are differentiable; those of a decode step are where training needs it.
"""

from .add_norm import add_norm
from .attend_step import attend_step
from .conv import conv
from .dequantize import dequantize
from .gelu_product import gelu_product
from .quantized_step import quantized_step
from .recurrent_step import Inputs as StepInputs
from .recurrent_step import recurrent_step
from .rg_lru import Inputs as Recurrence
from .rg_lru import gated, rg_lru
from .rotary import rotary
from .rotary_step import rotary_step

__all__ = [
    "Recurrence",
    "StepInputs",
    "add_norm",
    "attend_step",
    "conv",
    "dequantize",
    "gated",
    "gelu_product",
    "quantized_step",
    "recurrent_step",
    "rg_lru",
    "rotary",
    "rotary_step",
]
