"""The token of the user's Hugging Face account: found, checked and kept.

On a Mac it is kept in the Keychain, elsewhere in the file where huggingface_hub looks for it. What is in the environment
(HF_TOKEN) comes before both. Knows tokens, and no repositories.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from ..errors import RgmlxError
from ..system import debug_log, macos
from ..system.macos import keychain
from .quiet import quiet

_TOKEN = re.compile(r"[\w.-]{8,500}", re.ASCII)
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


def token() -> str | None:
    """The token for a request; None leaves it to huggingface_hub, which has places of its own."""
    from huggingface_hub import constants

    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN or any(os.environ.get(name) for name in VARIABLES):
        return None
    return keychain.read()


def in_use() -> tuple[str, str | None]:
    """The variable that decides about the token, "" where none does, and the token that requests are made with."""
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return "HF_HUB_DISABLE_IMPLICIT_TOKEN", None
    return next((name for name in VARIABLES if os.environ.get(name)), ""), token() or get_token()


def checked(text: str) -> str:
    """A token as it was pasted, without what is around it. Raises RgmlxError: it can't be one."""
    found = text.strip()
    if not _TOKEN.fullmatch(found):
        raise RgmlxError(
            "this is no token of Hugging Face, which begins with hf_ and has letters and digits: copy it from "
            "https://huggingface.co/settings/tokens"
        )
    return found


def owner(given: str) -> str | None:
    """Who a token belongs to, as Hugging Face says; None where it can't be asked.

    Raises:
        RgmlxError: it does not know the token.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with quiet():
            return str(HfApi().whoami(token=given)["name"])
    except HfHubHTTPError as e:
        if e.response is not None and e.response.status_code == 401:
            raise RgmlxError(
                "Hugging Face does not know this token: copy it again, or make a new one at "
                "https://huggingface.co/settings/tokens"
            ) from None
        debug_log.caught(e, "it is not known whose token this is")
    except Exception as e:  # the network is away, as it may be: the library's errors for that have no common base
        debug_log.caught(e, "it is not known whose token this is")
    return None


def keep(given: str) -> str:
    """Keeps a token in place of the one that is there.

    Returns:
        Where it is, to stand after "is in".

    Raises:
        RgmlxError: it can't be kept.
    """
    from huggingface_hub import constants

    if macos.here() and keychain.write(given):
        return f"your Keychain, as {keychain.SERVICE}"
    place = Path(constants.HF_TOKEN_PATH)
    temporary = None
    try:
        place.parent.mkdir(0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".rgmlx-", dir=place.parent)  # the user's alone
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(given)
        os.replace(temporary, place)
        temporary = None
    except OSError as e:
        raise RgmlxError(f"the token can't be kept in {place}: {e.strerror or e}") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    return str(place)
