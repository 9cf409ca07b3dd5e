"""`python -m rgmlx` is the `rgmlx` command."""

from .cli import main

main()
