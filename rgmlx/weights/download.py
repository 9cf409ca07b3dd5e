"""A repository of Hugging Face into its cache: counted in bytes, stopped at any time, gone on with later.

Knows the cache's layout and nothing of screens. huggingface_hub throws the half of a file away when a download breaks
off, so files are fetched here, to `blobs/<hash>.incomplete`, which its tools know; it links them once they are whole.

    download = Download("google/recurrentgemma-2b-it")
    directory = download.run(lambda done, total: print(f"{done:,} of {total:,} bytes"))
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..errors import ConfigError, ModelNotFoundError, RgmlxError
from ..griffin.config import ModelConfig
from ..system import debug_log
from ..system.macos import power
from . import account
from .catalog import list_models
from .hub import FILES, cached, explained, is_repository, made_here, unreachable
from .quiet import quiet

_LOOK = 0.1  # seconds between two looks at whether the user has had enough
_FAILURES = 5  # of the network, one after the other without a byte between them

T = TypeVar("T")


class Cancelled(RgmlxError):
    """The user stopped a download; what was fetched is kept."""


@dataclass(frozen=True)
class File:
    """A file of a repository: its name there, the hash it is kept under, its bytes and how many are here."""

    name: str
    blob: str
    size: int
    here: int


@dataclass(frozen=True)
class Plan:
    """What a download comes to."""

    repository: str
    commit: str
    files: tuple[File, ...]

    @property
    def total(self) -> int:
        """Bytes of the whole model."""
        return sum(f.size for f in self.files)

    @property
    def here(self) -> int:
        """Bytes that are on the disk already."""
        return sum(f.here for f in self.files)

    @property
    def missing(self) -> int:
        """Bytes to fetch."""
        return self.total - self.here


def _never() -> bool:
    return False


def fetch(name: str, progress: Callable[[int, int], None], cancelled: Callable[[], bool] = _never) -> None:
    """Downloads a model if its name is a repository's that is not here as a whole. Raises RgmlxError: as `Download.run`."""
    if is_repository(name) and not any(m.name == name and m.complete for m in list_models()):
        Download(name).run(progress, cancelled)


class Download:
    """A download of one repository. Nothing is fetched before `plan` or `run`."""

    def __init__(self, repository: str) -> None:
        """Raises ModelNotFoundError: no repository can have this name."""
        if not is_repository(repository):
            raise ModelNotFoundError(
                f"'{repository}' is no repository of Hugging Face: write owner/name, as google/recurrentgemma-2b-it"
            )
        self.repository = repository
        self._token: str | None = None

    def plan(self, cancelled: Callable[[], bool] = _never) -> Plan:
        """Asks what there is to fetch. Reads the config, and no weights.

        Raises:
            ConfigError: it is not a model that rgmlx runs.
            ModelNotFoundError: it can't be had; the sentence says why and what to do.
            Cancelled: `cancelled` said so.
        """
        return self._interruptible(lambda _: self._look(), cancelled)

    def run(self, progress: Callable[[int, int], None], cancelled: Callable[[], bool] = _never) -> Path:
        """Fetches what is missing; a file that is half here is gone on with.

        Args:
            progress: called with bytes done and bytes in all, from another thread, for every piece that arrives.
            cancelled: asked ten times a second, in this thread; nothing is written after it has said yes.

        Returns:
            The model's directory in the cache.

        Raises:
            RgmlxError: as `plan`, or the disk is full, or another process fetches the same file.
        """
        return self._interruptible(lambda parts: self._fetch_all(parts, progress), cancelled)

    def _interruptible(self, job: Callable[[_Parts], T], cancelled: Callable[[], bool]) -> T:
        """Runs a job in a thread that is left behind when the user stops: a silent server can't be woken up."""
        parts, future = _Parts(), Future[T]()

        def body() -> None:
            try:
                with quiet(), made_here(self.repository):
                    result = job(parts)
                future.set_result(result)
            except BaseException as e:
                future.set_exception(e)

        threading.Thread(target=body, name=f"download {self.repository}", daemon=True).start()
        try:
            with power.awake():
                while not wait([future], _LOOK).done:
                    if cancelled():
                        raise Cancelled(
                            f"The download of {self.repository} was stopped: what was fetched is kept, and it goes on "
                            "from there when you start it again"
                        )
        finally:
            parts.close()
        try:
            return future.result()
        except RgmlxError:
            raise
        except Exception as e:  # the HTTP library's own connection errors have no common base with the others
            raise explained(e, self.repository) from None

    # --- in the thread --------------------------------------------------------------------

    def _look(self) -> Plan:
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.hf_api import RepoFile
        from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # exported lazily

        self._token = account.token()
        # Also notes which commit "main" is, so that a model that is here in part can be found again.
        here = snapshot_download(self.repository, allow_patterns=["config.json"], token=self._token)
        path = Path(here) / "config.json"
        if not path.is_file():
            raise ModelNotFoundError(
                f"{self.repository} holds no config.json: it is not a model in Hugging Face's layout"
            )
        try:
            ModelConfig.from_file(path)
        except ConfigError as e:
            raise ConfigError(str(e).replace(str(path), f"{self.repository}: config.json")) from None
        commit = path.parent.name
        listed = HfApi(token=self._token).list_repo_tree(self.repository, revision=commit, recursive=True)
        entries = {f.path: f for f in listed if isinstance(f, RepoFile)}
        files = []
        for name in filter_repo_objects(entries, allow_patterns=FILES):
            entry = entries[name]
            blob, size = (entry.lfs.sha256, entry.lfs.size) if entry.lfs else (entry.blob_id, entry.size)
            if not blob.isalnum():  # it becomes a file's name
                raise ModelNotFoundError(f"Hugging Face gave {self.repository}/{name} an impossible hash: try again")
            files.append(File(name, blob, size, self._here(commit, name, blob, size)))
        if not any(f.name.endswith(".safetensors") for f in files):
            raise ModelNotFoundError(f"{self.repository} holds no .safetensors weights: look for another copy of it")
        return Plan(self.repository, commit, tuple(sorted(files, key=lambda f: f.size)))

    def _fetch_all(self, parts: _Parts, progress: Callable[[int, int], None]) -> Path:
        from huggingface_hub import snapshot_download

        plan = self._look()
        self._check_room(plan)
        done = plan.here

        def count(change: int) -> None:
            nonlocal done
            done += change
            progress(done, plan.total)

        count(0)
        for file in plan.files:
            if not self._whole(plan.commit, file.name, file.blob):
                target = self._blobs / file.blob
                part = parts.open(target.with_name(f"{file.blob}.incomplete"), file.size, self.repository, count)
                self._fetch(plan, file, part)
                part.finish(target)
        progress(plan.total, plan.total)  # another program may have brought a file in the meantime
        return Path(snapshot_download(self.repository, allow_patterns=FILES, token=self._token))

    def _fetch(self, plan: Plan, file: File, part: _Part) -> None:
        from huggingface_hub import constants, hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
            build_hf_headers,
            hf_raise_for_status,
            http_stream_backoff,
        )

        url = hf_hub_url(self.repository, file.name, revision=plan.commit)
        failures = 0
        while part.size < file.size:
            before = part.size
            headers = build_hf_headers(token=self._token) | {
                "Accept-Encoding": "identity"
            }  # bytes of the file, countable
            if before:
                headers["Range"] = f"bytes={before}-"
            try:
                with http_stream_backoff(
                    "GET",
                    url,
                    headers=headers,
                    timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
                    retry_on_exceptions=(),
                    retry_on_status_codes=(408, 429),
                ) as response:
                    hf_raise_for_status(response)
                    if before and response.status_code != 206:
                        part.clear()  # the server begins at the beginning
                    for chunk in response.iter_bytes():  # as they come: half a file is kept to the byte
                        part.write(chunk)
            except Exception as e:
                failures = 1 if part.size > before else failures + 1
                if not unreachable(e) or failures >= _FAILURES:
                    raise
                debug_log.caught(e, f"{file.name} is asked for again, from byte {part.size:,} of {file.size:,}")
                time.sleep(1)
            else:
                if part.size <= before:
                    break  # an answer without a byte: asking again would go on for ever
        if part.size != file.size or (len(file.blob) == 64 and part.sha256() != file.blob):
            part.clear()
            raise ModelNotFoundError(
                f"{file.name} of {self.repository} arrived damaged and was thrown away: download it again"
            )

    # --- the cache ------------------------------------------------------------------------

    @property
    def _blobs(self) -> Path:
        return cached(self.repository) / "blobs"

    def _whole(self, commit: str, name: str, blob: str) -> bool:
        # Where there are no links, the snapshot has the file itself.
        return (self._blobs / blob).exists() or (self._blobs.parent / "snapshots" / commit / name).exists()

    def _here(self, commit: str, name: str, blob: str, size: int) -> int:
        if self._whole(commit, name, blob):
            return size
        part = self._blobs / f"{blob}.incomplete"
        have = part.stat().st_size if part.is_file() else 0
        return have if have <= size else 0

    def _check_room(self, plan: Plan) -> None:
        free = shutil.disk_usage(self._blobs).free  # the config is there, so the directory is
        if plan.missing > free:
            raise RgmlxError(
                f"{self.repository} does not fit on the disk: {plan.missing / 1e9:.2f} GB are missing and "
                f"{free / 1e9:.2f} GB are free in {self._blobs.parent.parent}: free some space there and start again"
            )


class _Parts:
    """The part that is being written, if any: closed from another thread, after which nothing is written."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._part: _Part | None = None

    def open(self, path: Path, limit: int, repository: str, count: Callable[[int], None]) -> _Part:
        with self._lock:
            if self._closed:
                raise Cancelled("stopped")
            self._part = _Part(path, limit, repository, count)
            return self._part

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._part is not None:
                self._part.close()


class _Part:
    """As much of a file as is here. One process writes to it at a time."""

    def __init__(self, path: Path, limit: int, repository: str, count: Callable[[int], None]) -> None:
        self._path, self._count = path, count
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)  # unbuffered: what was counted is kept, whatever happens
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise RgmlxError(f"another program is downloading {repository}: wait until it is done") from None
        except OSError:
            pass  # a file system without locks
        self.size = self._file.seek(0, os.SEEK_END)
        if self.size > limit:  # of something else; it was not counted as here
            self.size = self._file.truncate(0)

    def write(self, chunk: bytes) -> None:
        with self._lock:
            self._check()
            left = memoryview(chunk)
            while left:  # unbuffered writes may take a piece only, as the last one before a full disk does
                n = self._file.write(left)
                self.size += n
                left = left[n:]
        self._count(len(chunk))

    def clear(self) -> None:
        """Begins again at the first byte."""
        with self._lock:
            self._check()
            lost, self.size = self.size, 0
            self._file.truncate(0)
        self._count(-lost)

    def sha256(self) -> str:
        digest = hashlib.sha256()
        with self._path.open("rb") as f:
            while block := f.read(1 << 20):
                self._check()
                digest.update(block)
        return digest.hexdigest()

    def finish(self, target: Path) -> None:
        """The file is whole: from now on it has its own name."""
        with self._lock:
            self._check()
            os.fsync(self._file.fileno())
            self._path.replace(target)
            self._file.close()

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _check(self) -> None:
        if self._file.closed:
            raise Cancelled("stopped")
