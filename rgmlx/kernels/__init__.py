"""The operations that deserve a GPU kernel, one a file: Metal body, launch code, twin in plain MLX operations.

Each function runs its kernel where there is a GPU (`launch.backend`) and its twin elsewhere; both
give the same numbers, and both are differentiable.
"""

from .add_norm import add_norm
from .conv import conv
from .gelu_product import gelu_product
from .recurrent_step import gate_products, recurrent_step
from .rg_lru import gated, rg_lru
from .rotary import rotary

__all__ = ["add_norm", "conv", "gate_products", "gated", "gelu_product", "recurrent_step", "rg_lru", "rotary"]
