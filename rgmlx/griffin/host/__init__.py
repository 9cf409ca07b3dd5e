"""The network in NumPy, for CPUs on which MLX has no fast matrix product (`launch.backend()` is "numpy").

MLX's Linux wheel carries the reference BLAS; NumPy's carries OpenBLAS, which is fifty times as fast. Inference in
float32 therefore runs here from the tokens to the logits. Training keeps MLX's operations but for products with weights that
are not trained (`frozen`), 16-bit arithmetic all of them.
"""
