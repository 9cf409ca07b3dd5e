"""The network: what a checkpoint is, its layers, positions, and the state of fixed size. Knows token ids; no text."""
