"""A repository of Hugging Face into its cache: counted in bytes, stopped at any time, gone on with later.

Knows the cache's layout and nothing of screens. huggingface_hub throws the half of a file away when a download breaks
off, so files are fetched here, to `blobs/<hash>.incomplete`, which its tools know; it links them once they are whole.

    download = Download("google/recurrentgemma-2b-it")
    directory = download.run(lambda done, total: print(f"{done:,} of {total:,} bytes"))
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TypeVar

from ..errors import ConfigError, ModelNotFoundError, RgmlxError
from ..griffin.config import ModelConfig
from ..system import debug_log
from ..system.macos import power
from . import account
from .arriving import Arriving
from .catalog import list_models
from .hub import FILES, cached, is_repository, made_here
from .parts import Cancelled, Part, Parts, header
from .plan import WEIGHTS, File, Plan
from .quiet import quiet
from .refusals import explained, unreachable

_LOOK = 0.1  # seconds between two looks at whether the user has had enough
_FAILURES = 5  # of the network, one after the other without a byte between them

T = TypeVar("T")


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

    @contextlib.contextmanager
    def begun(self, look: Callable[[], None]) -> Iterator[Arriving]:
        """Fetches as `run` does, in a thread for as long as the `with` statement takes; what is here can be used meanwhile.

        Args:
            look: called ten times a second while one waits for a file; what it raises is raised there.
        """
        parts, arriving = Parts(), Arriving(look)

        def body() -> None:
            try:
                with quiet(), made_here(self.repository):
                    self._fetch_all(parts, arriving.count, arriving)
                arriving.end()
            except RgmlxError as e:
                arriving.end(e)
            except Exception as e:
                arriving.end(explained(e, self.repository))

        threading.Thread(target=body, name=f"download {self.repository}", daemon=True).start()
        try:
            with power.awake():
                yield arriving
        finally:
            parts.close()

    def _interruptible(self, job: Callable[[Parts], T], cancelled: Callable[[], bool]) -> T:
        """Runs a job in a thread that is left behind when the user stops: a silent server can't be woken up."""
        parts, future = Parts(), Future[T]()

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
        if not any(f.has_weights for f in files):
            raise ModelNotFoundError(f"{self.repository} holds no .safetensors weights: look for another copy of it")
        return Plan(self.repository, commit, tuple(sorted(files, key=lambda f: f.size)))

    def _fetch_all(self, parts: Parts, progress: Callable[[int, int], None], arriving: Arriving | None = None) -> Path:
        from huggingface_hub import snapshot_download

        plan = self._look()
        self._check_room(plan)
        done = plan.here

        def count(change: int) -> None:
            nonlocal done
            done += change
            progress(done, plan.total)

        def fetch(file: File, begin: bool = False) -> None:
            if not self._whole(plan.commit, file.name, file.blob):
                part = parts.open(self._part(file.blob), file.size, self.repository, count)
                self._fetch(plan, file, part, part.has_header if begin else lambda: False)
                if part.size == file.size:
                    part.finish(self._blobs / file.blob)
                else:
                    part.close()

        count(0)
        files = plan.files
        if arriving is not None:
            files = tuple(sorted(files, key=lambda f: (f.has_weights, f.name)))  # as a network goes through them
            for file in files:
                fetch(file, begin=file.has_weights)
            snapshot_download(
                self.repository,
                revision=plan.commit,
                allow_patterns=FILES,
                ignore_patterns=[f"*{WEIGHTS}"],
                token=self._token,
            )
            arriving.begin(plan, {f.name: (header(self._place(plan, f)), f.size) for f in files if f.has_weights})
        for file in files:
            fetch(file)
            if arriving is not None:
                arriving.put(file.name, self._place(plan, file))
        progress(plan.total, plan.total)  # another program may have brought a file in the meantime
        return Path(snapshot_download(self.repository, allow_patterns=FILES, token=self._token))

    def _fetch(self, plan: Plan, file: File, part: Part, enough: Callable[[], bool]) -> None:
        """Fetches a file until it is whole, and then as its checksum says, or until there is enough of it."""
        from huggingface_hub import constants, hf_hub_url
        from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
            build_hf_headers,
            hf_raise_for_status,
            http_stream_backoff,
        )

        url = hf_hub_url(self.repository, file.name, revision=plan.commit)
        failures = 0
        while part.size < file.size and not enough():
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
                    if before and response.status_code == 416:
                        part.clear()  # the server gives whole files only
                        continue
                    hf_raise_for_status(response)
                    if before and response.status_code != 206:
                        part.clear()  # the server begins at the beginning
                    for chunk in response.iter_bytes():  # as they come: half a file is kept to the byte
                        part.write(chunk)
                        if enough():
                            break
            except Exception as e:
                failures = 1 if part.size > before else failures + 1
                if not unreachable(e) or failures >= _FAILURES:
                    raise
                debug_log.caught(e, f"{file.name} is asked for again, from byte {part.size:,} of {file.size:,}")
                time.sleep(1)
            else:
                if part.size <= before:
                    break  # an answer without a byte: asking again would go on for ever
        if part.size < file.size and enough():
            return
        if part.size != file.size or (len(file.blob) == 64 and part.sha256() != file.blob):
            part.clear()
            raise ModelNotFoundError(
                f"{file.name} of {self.repository} arrived damaged and was thrown away: download it again"
            )

    # --- the cache ------------------------------------------------------------------------

    @property
    def _blobs(self) -> Path:
        return cached(self.repository) / "blobs"

    def _part(self, blob: str) -> Path:
        return self._blobs / f"{blob}.incomplete"

    def _place(self, plan: Plan, file: File) -> Path:
        """Where a file is, or what there is of it."""
        places = (self._blobs / file.blob, plan.directory / file.name, self._part(file.blob))
        return next(place for place in places if place.exists())

    def _whole(self, commit: str, name: str, blob: str) -> bool:
        # Where there are no links, the snapshot has the file itself.
        return (self._blobs / blob).exists() or (self._blobs.parent / "snapshots" / commit / name).exists()

    def _here(self, commit: str, name: str, blob: str, size: int) -> int:
        if self._whole(commit, name, blob):
            return size
        part = self._part(blob)
        have = part.stat().st_size if part.is_file() else 0
        return have if have <= size else 0

    def _check_room(self, plan: Plan) -> None:
        free = shutil.disk_usage(self._blobs).free  # the config is there, so the directory is
        if plan.missing > free:
            raise RgmlxError(
                f"{self.repository} does not fit on the disk: {plan.missing / 1e9:.2f} GB are missing and "
                f"{free / 1e9:.2f} GB are free in {self._blobs.parent.parent}: free some space there and start again"
            )
