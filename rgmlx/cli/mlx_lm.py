"""`rgmlx mlx-lm`: mlx-lm's own commands, running on our network."""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import RgmlxError, warnings_told
from ..shell import typed
from ..system import device
from ..system.printable import printable
from . import streams
from .common import Parser, add_command, say

_MODEL_OPTIONS = ("model", "hf_path", "draft_model", "quantized_model")
"""Where mlx-lm's commands keep the name of a model that they load."""
_FROM_DENSE = ("dwq", "dynamic_quant", "gptq", "full fine-tuning")
_OUTPUT = (errno.EBADF, errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of the output, of which every command says the same."""
_LAZY = ("convert",)
"""Commands that read the weights piece by piece: rgmlx's own can convert a model larger than the memory too."""
_MAX_PORT = 65535
_EXTRAS = {"lm_eval": "evaluate", "datasets": "train", "PIL": "vision"}
"""Packages that commands want and mlx-lm installs on demand: the extra that has each."""


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "mlx-lm",
        "run an mlx-lm command (server, generate, cache_prompt, ...) on rgmlx's network",
        "Runs one of mlx-lm's commands on rgmlx's network. The arguments are mlx-lm's own; a model may be demo too.",
        (
            "rgmlx mlx-lm server --model PATH",
            "rgmlx mlx-lm generate --model PATH --prompt Hello",
            "rgmlx mlx-lm generate --help",
        ),
    )
    p.add_argument(
        "arguments", metavar="COMMAND ...", nargs=argparse.REMAINDER, help="mlx-lm's command and its arguments"
    )
    p.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Hands over to mlx-lm. Raises RgmlxError for whatever it ends with, in one sentence."""
    import mlx.core as mx

    commands = names()
    if not options.arguments:
        raise RgmlxError(
            f"name one of mlx-lm's commands ({', '.join(commands)}):  {typed('rgmlx mlx-lm')} server --model PATH"
        )
    command, *rest = options.arguments
    name = command.replace("-", "_")
    if name not in commands:
        raise RgmlxError(f"mlx-lm has no command '{command}': it has {', '.join(commands)}")
    if mx.default_device() != mx.gpu:
        mx.disable_compile()  # on a CPU it would load code from a directory that all users share: kernels.elementwise
    threads = set(threading.enumerate())
    try:
        _hand_over(name, rest)
    except RgmlxError:
        raise
    except EOFError:  # the end of what `chat` reads
        print()
    except ModuleNotFoundError as e:
        extra = _EXTRAS.get(e.name or "")
        package = f"'mlx-lm[{extra}]'" if extra else e.name
        advice = f"{typed('pip install')} {package}"
        raise RgmlxError(f"mlx-lm's {name} needs the Python package {e.name}, which is not here: {advice}") from e
    except Exception as e:  # mlx-lm reports by exceptions of every kind
        if isinstance(e, OSError) and e.filename is None and e.errno in _OUTPUT:
            raise
        error = RgmlxError(f"mlx-lm's {name} stopped: {_sentence(device.explained(e) or e)}")
        # A thread that mlx-lm left waiting for work: Python would wait for it, for ever.
        if any(not t.daemon for t in set(threading.enumerate()) - threads):
            _end(error)
        raise error from e


def _end(error: Exception) -> None:
    """Ends the process with an error, whatever its threads are at."""
    streams.tell(f"rgmlx: {printable(str(error))}")
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(1)


def names() -> list[str]:
    """mlx-lm's commands, as it installs them."""
    from importlib.metadata import distribution

    scripts = distribution("mlx-lm").entry_points.select(group="console_scripts")
    return sorted(s.name.removeprefix("mlx_lm.") for s in scripts if s.name.startswith("mlx_lm."))


def _hand_over(name: str, arguments: Sequence[str]) -> None:
    from importlib.metadata import distribution

    from ..mlx_lm import register

    register()
    [script] = distribution("mlx-lm").entry_points.select(group="console_scripts", name=f"mlx_lm.{name}")
    before = sys.argv
    sys.argv = [f"rgmlx mlx-lm {name}", *arguments]
    try:
        # `share` copies a cached repository to other machines and loads no model.
        with warnings_told(say), _awake(name), contextlib.nullcontext() if name == "share" else _models_resolved(name):
            script.load()()
    finally:
        sys.argv = before


@contextlib.contextmanager
def _awake(command: str) -> Iterator[None]:
    """While it is open, a Mac stays awake for what the command does, and not for one that waits for somebody."""
    from ..system.macos import power

    if command == "server":
        from mlx_lm.server import APIHandler as place

        name, during = "handle_completion", _during_call
    elif command == "chat":
        from mlx_lm import chat as place

        name, during = "stream_generate", _during_steps
    else:
        with power.awake():
            yield
        return
    before = getattr(place, name)
    setattr(place, name, during(before))
    try:
        yield
    finally:
        setattr(place, name, before)


def _during_call(function: Callable[..., Any]) -> Callable[..., Any]:
    from ..system.macos import power

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with power.awake():
            return function(*args, **kwargs)

    return call


def _during_steps(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    from ..system.macos import power

    @functools.wraps(function)
    def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with power.awake():
            yield from function(*args, **kwargs)

    return steps


@contextlib.contextmanager
def _models_resolved(command: str) -> Iterator[None]:
    """While it is open, models named on a command line that argparse has read are directories that were checked.

    So every spelling works that mlx-lm's own parsers take: `--model=demo`, `-m demo`, a prefix of an option. Where none is
    named and mlx-lm would download a Qwen or a Llama, it is `demo`, as for our own commands.
    """
    parse, print_message = argparse.ArgumentParser.parse_args, argparse.ArgumentParser._print_message

    def parse_args(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        options = parse(self, *args, **kwargs)
        _check_port(getattr(options, "port", None))
        if command == "lora":
            _configure(options)
        for option in _MODEL_OPTIONS:
            model = getattr(options, option, None)
            if option == "model" and model == self.get_default(option) and _is_theirs(command, model, options):
                model = "demo"
            if model is not None:
                full = getattr(options, "fine_tune_type", None) == "full"
                setattr(options, option, _checked(model, "full fine-tuning" if full else command, option))
        if command == "lora" and options.num_layers is None:
            options.num_layers = _layers_to_train(Path(options.model))
        return options

    argparse.ArgumentParser.parse_args = parse_args  # type: ignore[method-assign]
    argparse.ArgumentParser._print_message = Parser._print_message  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_args = parse  # type: ignore[method-assign]
        argparse.ArgumentParser._print_message = print_message  # type: ignore[method-assign]


def _configure(options: argparse.Namespace) -> None:
    """Takes what is looked at here from the configuration file of mlx-lm's lora, where the command line does not say it.

    A file that can't be read says nothing: mlx-lm tells of it.
    """
    found = None
    if options.config is not None:
        import yaml  # which mlx-lm reads it with

        from ..system.reading import MAX_SETTINGS, read_text

        with contextlib.suppress(OSError, ValueError, yaml.YAMLError):
            found = yaml.safe_load(read_text(Path(options.config), MAX_SETTINGS))
    given = found if isinstance(found, dict) else {}
    for name, otherwise in (("model", "demo"), ("fine_tune_type", None), ("num_layers", None)):
        if getattr(options, name) is None:
            setattr(options, name, given.get(name, otherwise))


def _layers_to_train(directory: Path) -> int | None:
    """All layers (-1) of a model that has fewer than mlx-lm's lora would train, which refuses it; else None."""
    from mlx_lm.lora import CONFIG_DEFAULTS

    from ..griffin.config import ModelConfig

    layers = ModelConfig.from_file(directory / "config.json").num_hidden_layers
    return -1 if layers < CONFIG_DEFAULTS["num_layers"] else None


def _check_port(port: Any) -> None:
    """Raises RgmlxError: a server would listen at another one, which it does not name."""
    if isinstance(port, int) and not 1 <= port <= _MAX_PORT:
        raise RgmlxError(f"--port must be a whole number between 1 and {_MAX_PORT}, not {port}")


def _is_theirs(command: str, default: str | None, options: argparse.Namespace) -> bool:
    """Whether the default of an option makes mlx-lm load a model of its own choice."""
    from ..weights import hub

    if default is not None:
        return hub.is_repository(default)
    # These have their default elsewhere; the file of a prompt cache names its model.
    return command in ("benchmark", "generate") and getattr(options, "prompt_cache_file", None) is None


def _checked(model: str, command: str, option: str) -> str:
    """The directory of a model that our network can load, by its config, its checksums, the names and shapes of its tensors.

    Before mlx-lm has it: its server loads in a thread, whose errors reach nobody.

    Args:
        command: what is to be done with it.
        option: what has named it.

    Raises:
        RgmlxError: there is no such model, or it is refused.
    """
    from ..convert import plan
    from ..convert.huggingface import SafetensorsSource
    from ..mlx_lm import prepare
    from ..weights import hub

    directory = hub.resolve(model)
    source = SafetensorsSource(directory)
    plan.check(source)
    if source.quantized and command in _FROM_DENSE and option == "model":
        raise RgmlxError(
            f"{model} is quantized, and {command} starts from weights that are not: undo it first, with  "
            f"{typed('rgmlx convert')} -d --model {model} --mlx-path DIR"
        )
    prepare(directory, lazy=command in _LAZY)
    return str(directory)


def _sentence(error: Exception) -> str:
    """What an exception says, in one line; its type where it says nothing."""
    text = " ".join(str(error).split())
    return text if " " in text else f"{type(error).__name__} {text}".strip()
