"""A text without an end, read in constant memory; questions about it; what was read outlives the program."""
