"""A model from Hugging Face, ready to be talked to: access, download, 4 bits made as it comes, a comparison, room again.

One call does all of it, and the same call goes on where it was stopped: what is done is seen by what is on the disk. Who
calls it shows lines and answers two questions (`Talk`). Knows no terminal and no screen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import CheckpointError, ModelNotFoundError, RgmlxError, warnings_told
from ..griffin.config import PRESETS, ModelConfig
from ..system.formatting import sentence
from ..system.formatting import size as amount
from ..system.paths import expanded
from ..system.reading import read_json
from ..weights import account, checksums, fitting, removal
from ..weights.arriving import Arriving
from ..weights.catalog import examine, list_models
from ..weights.download import Download
from ..weights.hub import PUBLISHED, cached, is_repository
from ..weights.parts import Cancelled
from ..weights.refusals import NoAccess, page
from . import pipeline
from . import plan as planning
from .documents import is_made_from
from .huggingface import SafetensorsSource
from .recipe import Recipe
from .writer import ConversionError, partial

_MEMORY = 0.35e9
"""Bytes that a conversion takes, as measured for 2B and 9B (docs/quantization.md); a comparison has a block besides."""


@dataclass(frozen=True)
class Access:
    """What is missing before a repository can be had.

    Attributes:
        page: where its terms are.
        owner: whose token was refused; None: nobody's, or one that is not known.
        variable: the environment variable that the token is in, before which none that is kept counts; "".
        problem: what is wrong with the last token, a sentence; "".
    """

    repository: str
    page: str
    owner: str | None
    variable: str
    problem: str


class Talk(Protocol):
    """Who the user is talked to by."""

    def say(self, line: str) -> None:
        """Shows a line."""
        ...

    def progress(self, what: str, done: int, total: int) -> None:
        """Shows how far it is; bytes where `total` is large."""
        ...

    def access(self, missing: Access) -> str | None:
        """Shows the terms' page, and asks for a token: that, "" to try again with the one there is, None to give up."""
        ...

    def delete(self, repository: str, size: int) -> bool:
        """Whether the 16-bit files, of so many bytes, are to be deleted, which the new model does not need."""
        ...


def _never() -> bool:
    return False


def obtain(
    name: str,
    talk: Talk,
    *,
    bits: int | None = None,
    target: str | Path | None = None,
    cancelled: Callable[[], bool] = _never,
) -> str:
    """Makes a model of Hugging Face ready.

    Args:
        name: 2b, 9b, or owner/name.
        bits: of a weight, 16 for a model as it is published; None: 4, or what it has where it is quantized already.
        target: the directory to be; None: `default_target`.
        cancelled: asked ten times a second.

    Returns:
        What `rgmlx.load` and `rgchat --model` take.

    Raises:
        Cancelled: `cancelled` said so; what is here is kept.
        RgmlxError: one sentence; what is here is kept.
    """
    repository = PUBLISHED.get(name, name)
    if not is_repository(repository):
        raise ModelNotFoundError(
            f"'{name}' is no model of Hugging Face: write {', '.join(PUBLISHED)}, or owner/name as {PUBLISHED['2b']}"
        )
    place = default_target(repository, bits or 4) if target is None else expanded(target)
    place = Path(os.path.abspath(place))
    job = _Obtaining(repository, bits, place, talk, cancelled)
    if job.is_made():
        return job.made()
    if name in PUBLISHED:
        talk.say(_estimate(name, repository, bits or 4))
    while True:
        try:
            return job.make()
        except NoAccess as refusal:
            _ask_for_access(repository, refusal, talk)


def default_target(repository: str, bits: int) -> Path:
    """Where a model goes: a directory that the list of models looks into."""
    return expanded("~/models") / f"{repository.rpartition('/')[2]}-{bits}bit"


class _Obtaining:
    """One model being made ready; as many calls as it takes, each of which goes on from what is on the disk."""

    def __init__(
        self, repository: str, bits: int | None, target: Path, talk: Talk, cancelled: Callable[[], bool]
    ) -> None:
        self._repository, self._bits, self._target = repository, bits, target
        self._talk, self._cancelled = talk, cancelled
        self._doing = ""

    # --- what was made before -------------------------------------------------------------

    def is_made(self) -> bool:
        """Whether an earlier call has come to the end, but for what is to be deleted."""
        if self._bits == 16 or not self._target.is_dir() or not is_made_from(self._target, self._repository):
            return False
        try:
            model = examine(self._target)
        except ModelNotFoundError:
            return False
        return model.complete and not model.problem and model.bits == f"{self._bits or 4}-bit"

    def made(self) -> str:
        """The converted model, its checksums compared; offers to delete what it was made from."""
        try:
            checksums.verify(self._target)
        except CheckpointError as e:
            raise RgmlxError(
                f"{str(e).partition(': ')[0]}: delete {self._target} and run the same command again, which makes it anew"
            ) from None
        size = removal.held(self._repository)
        if size and self._talk.delete(self._repository, size):
            removal.remove(self._repository)
            self._talk.say(f"Deleted the 16-bit files: {amount(size)} are free again.")
        return str(self._target)

    # --- making ---------------------------------------------------------------------------

    def make(self) -> str:
        """Downloads and converts what is not there yet. Raises NoAccess: that is missing."""
        here = next((m for m in list_models() if m.name == self._repository and m.cached), None)
        if here is not None and here.complete and not here.problem:
            directory, total, missing = here.path, here.size, 0
        else:
            plan = Download(self._repository).plan(self._cancelled)
            directory, total, missing, here = plan.directory, plan.total, plan.missing, None
        config = read_json(directory / "config.json")
        if self._is_as_published(ModelConfig.from_dict(config)):
            self._say_sizes(ModelConfig.from_dict(config), total, missing, None)
            if here is None:
                with Download(self._repository).begun(lambda: self._look(coming)) as coming:
                    coming.finish()
            checksums.verify(directory)
            return self._repository
        if self._target.exists():
            raise ConversionError(
                f"{self._target} is there, and is not {self._repository} in {self._bits or 4} bits: move it away, or name "
                "another place with --to"
            )
        made = planning.from_config(config, _recipe(self._bits or 4))
        self._say_sizes(ModelConfig.from_dict(made.config), total, missing, made)
        if here is not None:
            source = SafetensorsSource(directory)
            self._convert(source, [[p.name, p.stat().st_size, p.resolve().name] for p in source.files], None)
        else:
            with Download(self._repository).begun(lambda: self._look(coming)) as coming:
                files = {f.name: f for f in coming.plan().files}
                source = _source(coming)
                self._convert(source, [[p.name, files[p.name].size, files[p.name].blob] for p in source.files], coming)
                coming.finish()
        return self.made()

    def _is_as_published(self, config: ModelConfig) -> bool:
        """Whether nothing is to be converted. Raises RgmlxError: it can't be what was asked for."""
        if config.quantization is None:
            return self._bits == 16
        there = config.quantization["bits"]
        if self._bits not in (None, there):
            raise RgmlxError(
                f"{self._repository} has {there} bits already, which can't become {self._bits}: leave --bits out"
            )
        return True

    def _convert(self, source: SafetensorsSource, identity: Sequence[Any], coming: Arriving | None) -> None:
        job = pipeline.Job(self._repository, self._target, _recipe(self._bits or 4))

        def progress(what: str, done: int, total: int) -> None:
            self._doing = what
            if coming is None or coming.over:
                self._check()
                self._talk.progress(what, done, total)
            else:
                self._look(coming)

        for line in pipeline.run(job, progress, source, identity):
            self._talk.say(line)

    def _look(self, coming: Arriving) -> None:
        """Between two pieces, and while a file is waited for."""
        self._check()
        if coming.done < coming.total:
            what = f"downloading, and converting {self._doing}" if self._doing else "downloading"
            self._talk.progress(what, coming.done, coming.total)

    def _check(self) -> None:
        if self._cancelled():
            raise Cancelled(
                f"{self._repository} was stopped: what is here is kept, and it goes on from there when you start it again"
            )

    # --- what is said before --------------------------------------------------------------

    def _say_sizes(self, config: ModelConfig, total: int, missing: int, made: planning.Plan | None) -> None:
        """Says what it takes of the disk and of the memory. Raises RgmlxError: the disk has too little room."""
        say = self._talk.say
        left = amount(missing) if amount(missing) == amount(total) else f"{amount(missing)} of {amount(total)}"
        say(f"{self._repository}: {f'{left} to download' if missing else f'{amount(total)}, all here'}.")
        places = [(cached(self._repository), missing)]
        if made is not None:
            places.append((self._target, max(0, made.nbytes - _nbytes(partial(self._target)))))
        free = _check_room(self._repository, places)
        if made is None:
            say(f"{amount(free[0])} are free on the disk.")
        else:
            peak = sum(count for _, count in places)
            disks = " and ".join(dict.fromkeys(amount(n) for n in free))
            say(
                f"In {self._bits or 4} bits it is {amount(made.nbytes)}, in {self._target}. Until then it takes "
                f"{amount(peak)} more of the disk, where {disks} are free, and about {amount(_memory(config))} of memory."
            )
        with warnings_told(lambda told: say(sentence(told))):
            try:
                fitting.check(config, config.dtype, total if made is None else made.nbytes)
            except RgmlxError as e:  # somebody may fetch it for another machine
                say(sentence(str(e)))


def _source(coming: Arriving) -> SafetensorsSource:
    """The weights, of which no more than the headers need be here."""
    directory = coming.plan().directory
    try:
        source = SafetensorsSource(directory, coming)
        planning.check(source)
        return source
    except CheckpointError:  # a header that came damaged, or was made so: the checksum of the whole file says which
        coming.finish()
        return SafetensorsSource(directory)


def _estimate(shape: str, repository: str, bits: int) -> str:
    """What a published model takes, as far as that can be said before anybody is let in."""
    count = PRESETS[shape].parameter_counts()["total"]
    free = shutil.disk_usage(_existing(cached(repository))).free
    made = "" if bits == 16 else f", {count * (bits + 0.6) / 8e9:.1f} GB in {bits} bits"
    return f"{repository} is about {2 * count / 1e9:.1f} GB{made}. {amount(free)} are free on the disk."


def _recipe(bits: int) -> Recipe:
    return pipeline.choose_recipe(None, False, bits, None, None, False)


def _memory(config: ModelConfig) -> int:
    """Bytes that a conversion and its comparison take at the most, about."""
    blocks = config.parameter_counts()["total"] - config.vocab_size * config.hidden_size
    return int(_MEMORY + 4 * blocks / config.num_hidden_layers)


def _check_room(repository: str, places: Sequence[tuple[Path, int]]) -> list[int]:
    """What is free on the disk of each place. Raises RgmlxError: that is less than is needed there, all together."""
    disks = [_existing(place) for place, _ in places]
    free = [shutil.disk_usage(disk).free for disk in disks]
    for disk, available in zip(disks, free, strict=True):
        device = os.stat(disk).st_dev
        need = sum(count for (_, count), other in zip(places, disks, strict=True) if os.stat(other).st_dev == device)
        if need > available:
            raise RgmlxError(
                f"{repository} does not fit on the disk: {amount(need)} are needed and {amount(available)} are free in {disk}: "
                f"free {amount(need - available)} there, or use another disk (HF_HUB_CACHE names the place of downloads"
                f"{', --to that of the result' if len(places) > 1 else ''}), and run the same command again"
            )
    return free


def _existing(path: Path) -> Path:
    """The directory that a path is in, or will be made in."""
    return next(p for p in (path, *path.parents) if p.is_dir())


def _nbytes(directory: Path) -> int:
    """Bytes of the weights in a directory, which need not be there."""
    return sum(p.stat().st_size for p in directory.glob("*.safetensors"))


def _ask_for_access(repository: str, refusal: NoAccess, talk: Talk) -> None:
    """Asks for a token until there is one that Hugging Face knows. Raises RgmlxError: nobody gives one."""
    variable, token = account.in_use()
    if variable and not token:
        raise RgmlxError(f"no token is sent, as {variable} is set: unset it, then run the same command again")
    problem, owner = "", None
    if token:
        try:
            owner = account.owner(token)
        except RgmlxError as e:
            problem = str(e)
    if problem and variable:
        raise RgmlxError(
            f"Hugging Face does not know the token in {variable}: correct or unset it, then run the same command again"
        )
    if not refusal.gated and not problem:
        raise refusal
    while True:
        given = talk.access(Access(repository, page(repository), owner, variable, problem))
        if given is None:
            raise RgmlxError(problem) if problem else _not_let_in(repository, owner) if owner else refusal
        if not given:
            return
        try:
            given = account.checked(given)
            owner, problem = account.owner(given), ""
        except RgmlxError as e:
            problem = str(e)
            continue
        where = account.keep(given)
        talk.say(f"Logged in to Hugging Face{f' as {owner}' if owner else ''}. The token is in {where}.")
        return


def _not_let_in(repository: str, owner: str) -> RgmlxError:
    return NoAccess(
        f"{repository} is gated, and {owner} has not been let in yet: accept its terms at {page(repository)} as {owner}, let "
        "the token read gated repositories at https://huggingface.co/settings/tokens, and run the same command again",
        gated=True,
    )
