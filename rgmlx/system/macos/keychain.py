"""A secret of ours in the user's Keychain, through `security`.

Knows one item, by its service; nothing of what the secret is for. A secret never is an argument, which every program can
read: `security -i` reads its commands from standard input. That says nothing by its exit code, so the item is read back.
By man 1 security: -i is the interactive mode, find-generic-password -w shows the password and nothing else,
add-generic-password -U changes an item that is there.
"""

from __future__ import annotations

import re

from .. import macos

SERVICE = "rgmlx"
ACCOUNT = "huggingface"
_PLAIN = re.compile(r"[\w.-]+", re.ASCII)  # what needs no quotes
_SECONDS = 120.0
"""The system may ask the user for the password of the Keychain first."""


def read() -> str | None:
    """The secret; None where there is none, the user says no, or this is no Mac."""
    if not macos.here():
        return None
    found = macos.run("security", "find-generic-password", "-s", SERVICE, "-w", seconds=_SECONDS)
    return (found or "").strip() or None


def write(secret: str) -> bool:
    """Keeps the secret in place of the one that is there; whether that was done."""
    if not macos.here() or not _PLAIN.fullmatch(secret):
        return False
    command = f"add-generic-password -U -s {SERVICE} -a {ACCOUNT} -w {secret}\n"
    macos.run("security", "-i", said=command, seconds=_SECONDS)
    return read() == secret
