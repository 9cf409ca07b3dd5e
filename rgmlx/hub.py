"""From a name to a directory: `demo`, a path, or a Hugging Face repository."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from .config import PRESETS
from .errors import ModelNotFoundError, RgmlxError

DEMO = "demo"
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = ["config.json", "generation_config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer*"]


def demo_directory() -> Path:
    """Where the embedded model lies."""
    return Path(__file__).parent / "demo"


def resolve(name: str | Path) -> Path:
    """The directory of a model, downloaded into Hugging Face's cache when it is not there yet.

    Args:
        name: `demo`, a directory, or a repository such as `google/recurrentgemma-2b-it`.

    Raises:
        ModelNotFoundError: nothing by that name can be had; the sentence says why and what to do.
    """
    text = str(name)
    if text == DEMO:
        return demo_directory()
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ModelNotFoundError(f"{path} is a file: name the directory that holds config.json")
    if isinstance(name, Path) or not _REPOSITORY.fullmatch(text) or text.startswith((".", "~")):
        hint = (
            f"'{text}' is a shape without weights (see `rgmlx info {text}`)"
            if text in PRESETS
            else f"there is no model '{text}'"
        )
        raise ModelNotFoundError(
            f"{hint}: name a directory, a Hugging Face repository such as google/recurrentgemma-2b-it, or '{DEMO}'"
        )
    return _download(text)


def _download(repository: str) -> Path:
    # Imported here: it pulls in an HTTP stack that a local model never needs.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    page = f"https://huggingface.co/{repository}"
    try:
        return Path(snapshot_download(repository, allow_patterns=_FILES))
    except GatedRepoError:
        raise ModelNotFoundError(
            f"{repository} is gated: accept its licence at {page}, then run `hf auth login` with a token of your account"
        ) from None
    except RepositoryNotFoundError:
        raise ModelNotFoundError(
            f"Hugging Face has no repository '{repository}' that you may read: check the name, "
            "or run `hf auth login` if it is private"
        ) from None
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        raise ModelNotFoundError(
            f"{repository} is not in the local cache and Hugging Face can't be reached: "
            "connect to the network (or unset HF_HUB_OFFLINE) and try again"
        ) from None
    except HfHubHTTPError as e:
        raise ModelNotFoundError(f"Hugging Face answered with an error for {repository}: {_line(e)}") from None
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RgmlxError(
                f"the disk is full: free some space and run the same command again, {repository} resumes where it stopped"
            ) from None
        raise ModelNotFoundError(f"{repository} could not be downloaded ({_line(e)}): try again") from None
    except Exception as e:  # the HTTP library's own connection errors have no common base with ours
        raise ModelNotFoundError(f"{repository} could not be downloaded ({_line(e)}): try again") from None


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
