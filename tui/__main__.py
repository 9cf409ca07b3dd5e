"""`python -m tui` is the `rgchat` command."""

from .cli import main

main()
