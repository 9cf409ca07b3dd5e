"""`rgmlx login`: keeps the token of a Hugging Face account, for models that are gated or private."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from ..errors import RgmlxError
from ..system.decoding import read_all, standard_input
from .common import add_command
from .signals import handled
from .streams import tell

_MAX_CHARS = 10_000
"""Of what comes through a pipe; a token has about forty."""


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "login",
        "log in to Hugging Face, for Google's models",
        "Asks for a token of your Hugging Face account (https://huggingface.co/settings/tokens; one that may read will do),\n"
        "without showing it, and keeps it: on a Mac in the Keychain, elsewhere where huggingface_hub keeps it. Hugging Face\n"
        "is asked whether it is right, where it can be reached.",
        ("rgmlx login", "rgmlx login < token.txt"),
    )
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Asks, checks and keeps; says where."""
    from ..system.printable import printable
    from ..weights import account

    token = account.checked(asked())
    owner = account.owner(token)
    place = account.keep(token)
    if owner is None:
        print(f"The token is in {printable(place)}. Hugging Face could not be reached to check it.")
    else:
        print(f"Logged in to Hugging Face as {printable(owner)}. The token is in {printable(place)}.")
    if named := next((name for name in account.VARIABLES if os.environ.get(name)), None):
        tell(f"{named} is set, and is used in its place: unset it.")


def asked(question: str = "Token (it is not shown): ") -> str:
    """What is typed, without showing it, or what comes through a pipe. Raises RgmlxError: nothing was."""
    if not sys.stdin.isatty():
        return read_all(standard_input(), _MAX_CHARS, "standard input")
    from getpass import getpass

    tell("Make a token that may read at https://huggingface.co/settings/tokens, and paste it here.")
    try:
        with handled():  # a signal must not end the program while the terminal shows nothing that is typed
            return getpass(question)
    except EOFError:
        raise RgmlxError("no token was given, and nothing was changed") from None
