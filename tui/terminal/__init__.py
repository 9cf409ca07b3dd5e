"""The terminal: what its keys send and which reach a program, its clipboard, its attention, signals, the log of a crash."""
