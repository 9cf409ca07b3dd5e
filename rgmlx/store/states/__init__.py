"""The file of states: a cache beside the conversations. `rgmlx.store.snapshots` is its door.

Imports no MLX, except for `delta`.
"""
