"""Why a repository could not be had, in one sentence that says what to do: a server's refusal, no network, a proxy, a mirror.

Knows the errors of huggingface_hub and of its HTTP client, and the variables that say whom they ask; fetches nothing.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ..errors import ModelNotFoundError, RgmlxError
from ..shell import typed
from ..system.disk import is_out_of_space
from ..system.printable import first_line

_KEPT = "run the same command again, what was fetched is kept"
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


class NoAccess(ModelNotFoundError):
    """A repository that this user may not read, or that does not exist: for a private one Hugging Face does not say which.

    Attributes:
        gated: whether it exists, and its terms are to be accepted first.
    """

    def __init__(self, sentence: str, gated: bool) -> None:
        super().__init__(sentence)
        self.gated = gated


def unreachable(error: BaseException) -> bool:
    """Whether an error says that the network failed, and not that a server refused."""
    # By name: the library has changed its HTTP client twice, and a version of it may bring any of them.
    names = {c.__name__ for c in type(error).__mro__}
    return bool(names & {"TransportError", "OfflineModeIsEnabled"})


def explained(error: Exception, repository: str) -> RgmlxError:
    """A failed download in one sentence."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, HfHubHTTPError):
        error = error.__cause__  # the library looked into its cache after the server had refused
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError):
        return NoAccess(
            f"{repository} is gated: accept its licence at {page(repository)}, "
            f"then run `{typed('rgmlx login')}` with a token of your account",
            gated=True,
        )
    if isinstance(error, RepositoryNotFoundError) or status == 401:
        return NoAccess(
            f"Hugging Face has no repository '{repository}' that you may read: check the name, "
            f"or run `{typed('rgmlx login')}` if it is private",
            gated=False,
        )
    if isinstance(error, HfHubHTTPError):
        return ModelNotFoundError(_refused(status, repository))
    if isinstance(error, LocalEntryNotFoundError):
        cause = error.__cause__ or error
        return ModelNotFoundError(
            f"{repository} is not in the local cache and {_asked(cause)} can't be reached{_why(cause)}: {_remedy(cause)} and "
            "try again"
        )
    if unreachable(error):
        return ModelNotFoundError(
            f"{_asked(error)} can't be reached for {repository}{_why(error)}: {_remedy(error)} and try again, what was "
            "fetched is kept"
        )
    if isinstance(error, HFValidationError):
        return ModelNotFoundError(f"'{repository}' is not a name that a Hugging Face repository can have: check it")
    if isinstance(error, OSError) and is_out_of_space(error):
        return RgmlxError(
            f"{repository} does not fit on the disk ({error.strerror}): free some space there and run the same command "
            "again, the files that are complete are kept"
        )
    return ModelNotFoundError(f"{repository} could not be downloaded ({first_line(error)}): try again")


def not_searched(error: Exception | None, status: int | None = None) -> ModelNotFoundError:
    """Why models could not be searched for.

    Args:
        error: what went wrong; None: there was an answer, of no use.
        status: its number.
    """
    what = "models can't be searched for"
    if status == 407 and (proxy := _proxy()):
        return ModelNotFoundError(f"{what}: {_credentials(*proxy)}")
    if status in (401, 403):
        return ModelNotFoundError(
            f"{what}: {_asked()} does not take the token that is used here (error {status}), make a new one and run "
            f"`{typed('rgmlx login')}`"
        )
    if status == 429:
        return ModelNotFoundError(
            f"{what}: {_asked()} takes no more requests from here for now (error 429), wait some minutes and try again"
        )
    if status is not None:
        return ModelNotFoundError(f"{what}: {_asked()} answered with error {status}, try again later")
    if error is None:
        return ModelNotFoundError(f"{what}: {_asked()} gave an answer that is no list of models, try again later")
    if unreachable(error):
        return ModelNotFoundError(
            f"{what}: {_asked(error)} can't be reached{_why(error)}, {_remedy(error)} and try again"
        )
    return ModelNotFoundError(f"{what} ({first_line(error)}): try again")


def page(repository: str) -> str:
    """Where the terms of a repository are read and accepted: on Hugging Face itself, whatever mirror is asked for files."""
    return f"https://huggingface.co/{repository}"


def _refused(status: int | None, repository: str) -> str:
    """A status that is no question of access."""
    if status == 407 and (proxy := _proxy()):
        return _credentials(*proxy)
    if status == 429:
        return (
            f"Hugging Face takes no more requests from here for now (error 429 for {repository}): wait some minutes and {_KEPT}; "
            f"it takes more from who has logged in (`{typed('rgmlx login')}`)"
        )
    if status == 403:
        return (
            f"Hugging Face does not give {repository} to this account (error 403): accept its terms at {page(repository)}, "
            "and let the token read gated repositories at https://huggingface.co/settings/tokens"
        )
    return f"{_asked()} answered with error {status} for {repository}: try again later"


def _asked(cause: BaseException | None = None) -> str:
    """Who was asked: Hugging Face, or a mirror of it."""
    mirror = os.environ.get("HF_ENDPOINT", "")
    return f"the mirror {_shown(mirror)}" if mirror and not _is_offline(cause) else "Hugging Face"


def _why(cause: BaseException) -> str:
    if _is_offline(cause):
        return ""
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return ", as its certificate is by nobody that is known here"
    proxy = _proxy()
    return f" through the proxy {proxy[1]}" if proxy else ""


def _remedy(cause: BaseException) -> str:
    """What to do about a network that fails: what was set by hand comes first."""
    if _is_offline(cause):
        named = next((name for name in _OFFLINE if _is_on(name)), _OFFLINE[0])
        return f"connect to the network, unset {named}"
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return "set SSL_CERT_FILE to the file with your network's certificates"
    proxy = _proxy()
    if proxy and "407" in str(cause):
        return _credentials(*proxy).partition(": ")[2].removesuffix(" and try again")
    if proxy:
        return f"connect to the network, correct or unset {proxy[0]}"
    if os.environ.get("HF_ENDPOINT"):
        return "connect to the network, correct or unset HF_ENDPOINT"
    return f"connect to the network (or unset {_OFFLINE[0]})"


def _credentials(name: str, proxy: str) -> str:
    parts = urlsplit(proxy)
    return (
        f"the proxy {proxy} wants a name and a password: set {name} to {parts.scheme}://NAME:PASSWORD@{parts.netloc} and "
        "try again"
    )


def _is_offline(cause: BaseException | None) -> bool:
    return any(_is_on(name) for name in _OFFLINE) or type(cause).__name__ == "OfflineModeIsEnabled"


def _is_on(name: str) -> bool:
    """Whether a variable switches something on, as the library reads it."""
    return os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")


def _proxy() -> tuple[str, str] | None:
    """The proxy that requests go through: the variable that names it, and its address without a password."""
    from huggingface_hub import constants

    target = urlsplit(constants.ENDPOINT)
    proxies = getproxies()
    found = proxies.get(target.scheme) or proxies.get("all")
    if not found or proxy_bypass(target.hostname or ""):
        return None
    names = [n for scheme in (target.scheme, "all") for n in (f"{scheme}_proxy", f"{scheme}_proxy".upper())]
    name = next((n for n in names if os.environ.get(n) == found), "the proxy in the system's settings")
    return name, _shown(found)


def _shown(address: str) -> str:
    """An address without what it says of a user."""
    parts = urlsplit(address if "//" in address else f"http://{address}")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
