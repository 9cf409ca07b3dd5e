"""Simon Willison's `llm` with our models: `llm -m rgmlx/demo "Who are you?"`. The entry point `llm` of this package.

Each `llm` command imports this module, for whatever model: MLX comes with the first reply. A conversation (`llm -c`) goes on from
the model's state (`llm_chats`); what llm does not log leaves none on the disk. Needs llm, which rgmlx does not install.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import click
import llm
import pydantic

from ..errors import RgmlxError, warnings_told
from ..settings import SETTINGS, checked

if TYPE_CHECKING:  # imported on use, with MLX
    from ..model import Model
    from .llm_chats import Chats, Usage

PREFIX = "rgmlx/"


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Registers the models on this computer under the names that `rgmlx.load` takes; directories under their own name too."""
    from ..weights.catalog import list_models

    found = [model for model in list_models() if model.name.isprintable()]
    short = [model.path.name for model in found if not model.cached]
    for model in found:
        own = model.path.name
        is_alias = not model.cached and own != model.name and short.count(own) == 1
        register(RgmlxModel(model.name), AsyncRgmlxModel(model.name), aliases=(PREFIX + own,) if is_alias else ())


# --- options ------------------------------------------------------------------------------


def _options() -> type[Any]:
    """The options: the settings of a reply, as they are declared."""

    def check(name: str, value: Any) -> Any:
        try:
            return None if value is None else checked(name, value)
        except RgmlxError as e:
            raise ValueError(str(e)) from None  # which pydantic collects

    fields: dict[str, Any] = {}
    for name, setting in SETTINGS.items():
        kind: Any = Annotated[setting.kind | None, pydantic.AfterValidator(functools.partial(check, name))]
        fields[name] = (
            kind,
            pydantic.Field(default=None, description=f"{setting.about} Default: {setting.otherwise}."),
        )
    return pydantic.create_model("Options", __base__=llm.Options, **fields)


Options = _options()

# --- what the models share ------------------------------------------------------------------

_loading = threading.Lock()


@functools.lru_cache(maxsize=1)  # llm makes its models anew each time it looks for one
def _load(name: str) -> Model:
    from ..model import load

    if click.get_current_context(silent=True) is None:
        return load(name)
    with warnings_told(lambda sentence: click.echo(f"rgmlx: {sentence}", err=True)):
        return load(name)


@functools.cache
def _chats() -> Chats:
    from .llm_chats import Chats

    return Chats()


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """The thread of all asynchronous replies: one step at a time, in turn."""
    return ThreadPoolExecutor(1, thread_name_prefix="rgmlx")


def _is_logged() -> bool:
    """Whether llm's command line will keep what is said now, as its own `prompt` decides after the reply. False in a program."""
    context = click.get_current_context(silent=True)
    if context is None or not (context.command.callback or _is_logged).__module__.startswith("llm."):
        return False
    if context.command.name != "prompt":
        return context.command.name == "chat"
    given = context.params
    return not given.get("no_log") and bool(given.get("log") or not (llm.user_dir() / "logs-off").exists())


def _file(conversation: Any) -> Path | None:
    if conversation is None or not _is_logged():
        return None
    from .llm_chats import file_of

    return file_of(conversation.id)


def _answer(name: str, prompt: Any, file: Path | None, usage: list[Usage]) -> Generator[str]:
    """The reply, piece by piece. Raises llm.ModelError, with a sentence."""
    from .llm_chats import Usage, transcript

    try:
        with _loading:
            model = _load(name)
        usage.append(Usage())
        said, settings = transcript(prompt.messages), prompt.options.model_dump()
        yield from _chats().answer(model, said, usage[0], settings, file, prompt.schema)
    except RgmlxError as e:
        raise llm.ModelError(str(e)) from None


def _report(response: Any, usage: Usage) -> None:
    details = {"cached_tokens": usage.remembered} if usage.remembered else None
    response.set_usage(input=usage.read, output=usage.written, details=details)
    response.response_json = {"finish_reason": usage.finish_reason}


class _Named:
    """A model by its name; nothing is loaded before its first reply."""

    can_stream = True
    supports_schema = True

    def __init__(self, name: str) -> None:
        self.name, self.model_id = name, PREFIX + name

    def __str__(self) -> str:
        return f"rgmlx: {self.model_id}"


class RgmlxModel(_Named, llm.Model):
    """A model of ours for llm."""

    Options = Options

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        """Writes a reply, piece by piece. Raises llm.ModelError."""
        usage: list[Usage] = []
        yield from _answer(self.name, prompt, _file(conversation), usage)
        _report(response, usage[0])


class AsyncRgmlxModel(_Named, llm.AsyncModel):
    """The same for `await`: computed in one thread, a piece at a time."""

    Options = Options

    async def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> AsyncGenerator[str, None]:
        """Writes a reply, piece by piece. Raises llm.ModelError."""
        usage: list[Usage] = []
        pieces = _answer(self.name, prompt, _file(conversation), usage)
        loop, thread = asyncio.get_running_loop(), _thread()
        try:
            while (piece := await loop.run_in_executor(thread, next, pieces, None)) is not None:
                yield piece
        finally:
            # After a step that is still under way, where this was cancelled: it is the same thread's.
            with contextlib.suppress(asyncio.CancelledError):
                await loop.run_in_executor(thread, pieces.close)
        _report(response, usage[0])
