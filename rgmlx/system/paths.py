"""Names of files and directories: as people write them (`~` is expanded here and nowhere else), new ones, where data and
settings are."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ..errors import PathError


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with a leading `~` or `~user` replaced by that home directory, as a shell does it.

    Raises:
        PathError: there is no such user, or no home. Kept as it is, the name would make a directory called `~`.
    """
    text = os.fspath(path)
    full = os.path.expanduser(text)
    if full == text and text.startswith("~"):
        user = text.partition("/")[0]
        what = f"user '{user[1:]}' whose home" if user[1:] else "home directory (HOME is not set) that"
        raise PathError(
            f"there is no {what} '{text}' could be in: write ./{text} for a file of that name", quotes=(text, user[1:])
        )
    return Path(full)


def data() -> Path:
    """Where conversations and logs are, unless another directory is named."""
    from platformdirs import user_data_path

    return user_data_path("rgmlx", appauthor=False) / "rgchat"


def config() -> Path:
    """Where what people write for rgchat themselves is: its settings and their prompts."""
    from platformdirs import user_config_path

    return user_config_path("rgmlx", appauthor=False)


def is_utf8(path: str | Path) -> bool:
    """Whether the name is UTF-8. Another one has lone surrogates in Python, and no form in most other libraries."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def dated_name(path: Path, what: str) -> Path:
    """A name that is free beside a file: `chats.damaged-20260131-175901.db` for `chats.db` that is "damaged"."""
    stem = f"{path.stem}.{what}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(1, 1000):
        found = path.with_name(f"{stem}{f'-{number}' if number > 1 else ''}{path.suffix}")
        if not os.path.lexists(found):  # false where the directory may not be entered
            break
    return found
