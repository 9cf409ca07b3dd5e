"""Any RecurrentGemma checkpoint to MLX weights: sources, recipes, plan, writer; `rgmlx convert` is its command."""
