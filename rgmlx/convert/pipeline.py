"""A whole conversion as the command runs it: plan, write, verify, publish, upload."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, RgmlxError
from ..shell import typed
from ..system import macos
from ..system.macos import time_machine
from ..system.paths import expanded
from ..tokenizer import Tokenizer
from ..weights import account, checksums
from ..weights.hub import is_repository
from . import compare, documents, recipe, text
from . import run as conversion
from .huggingface import SafetensorsSource
from .open import open_source
from .plan import Plan
from .recipe import Recipe
from .source import Progress, Source
from .writer import Writer, check_target

CALIBRATION_TOKENS = 16_384
_CALIBRATION_ROW = 512
_FEWEST = 64


@dataclass(frozen=True)
class Job:
    """What to convert, and how; the fields are the options of `rgmlx convert`."""

    model: str
    target: Path
    recipe: Recipe
    dequantize: bool = False
    dtype: str | None = None
    force: bool = False
    calibrate: str | conversion.Calibration | None = None
    calibrate_tokens: int | None = None
    verify: bool = True
    text: str | None = None
    tokenizer: str | None = None
    upload: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", expanded(self.target))


def choose_recipe(
    name: str | None, quantize: bool, bits: int | None, group_size: int | None, mode: str | None, dequantize: bool
) -> Recipe:
    """The recipe that the options ask for. Raises RgmlxError where they contradict each other: none is ignored."""
    quantizing = (("--q-bits", bits), ("--q-group-size", group_size), ("--q-mode", mode))
    given = [flag for flag, value in quantizing if value is not None]
    given += ["-q"] if quantize else []
    if dequantize and (given or name is not None):
        raise RgmlxError(
            f"-d undoes a quantization, and {(given or ['--recipe'])[0]} asks for one: leave one of them out"
        )
    if dequantize:
        return Recipe("dequantized", None)
    chosen = recipe.load(name) if name is not None else recipe.RECIPES["4bit"]
    if name is not None and given and (given != ["-q"] or chosen.default is None):
        raise RgmlxError(f"--recipe {name} says how to quantize, and so does {given[0]}: leave one of them out")
    if name is not None or given in ([], ["-q"]):
        return chosen
    own = recipe.settings(bits, group_size, "affine" if mode is None else mode)
    usual = recipe.settings(mode=own["mode"])
    label = f"{own['bits']}bit" if own["mode"] == "affine" else own["mode"]
    return Recipe(label if own["group_size"] == usual["group_size"] else f"{label}-g{own['group_size']}", own)


def plan(job: Job) -> Plan:
    """The plan of a job, without writing anything. Raises RgmlxError."""
    return _plan(job, open_source(job.model))


def _plan(job: Job, source: Source) -> Plan:
    quantized = isinstance(source, SafetensorsSource) and source.quantized
    if job.dequantize and not quantized:
        raise RgmlxError(f"{job.model} is not quantized, so there is nothing for -d to undo: leave it out")
    return conversion.plan(source, job.recipe, job.dtype)


def run(
    job: Job, progress: Progress, source: Source | None = None, identity: Sequence[Any] | None = None
) -> Iterator[str]:
    """Converts. Yields lines for the user as things become known.

    Args:
        source: the weights, where they are open already.
        identity: what says which files it has, where their places and times don't.

    Raises:
        RgmlxError: one sentence; the target is as it was before.
    """
    if not job.model or str(job.target) in ("", ".", ".."):
        raise RgmlxError("--model and --mlx-path each name something: an empty name and the current folder won't do")
    if job.upload is not None and not is_repository(job.upload):
        raise RgmlxError(f"'{job.upload}' is no name for a repository: give USER/NAME after --upload-repo")
    check_target(job.target, job.force)
    if job.text is not None and not job.verify:
        raise RgmlxError("--text is what the result is verified on, and --no-verify leaves that out: drop one of them")
    if job.calibrate_tokens is not None and (job.calibrate is None or job.calibrate_tokens < 2):
        raise RgmlxError("--calibrate-tokens goes with --calibrate, and is 2 or more")
    source = open_source(job.model) if source is None else source
    check_target(job.target, job.force, source.directory)
    made = _plan(job, source)
    if isinstance(source, SafetensorsSource):
        checksums.verify(source.directory)  # or the result would have a checksum that says that it is right
    tokenizer = expanded(job.tokenizer) if job.tokenizer else source.directory
    if job.tokenizer and Tokenizer.from_directory(tokenizer) is None:
        raise RgmlxError(f"{tokenizer} holds no tokenizer.model or tokenizer.json: name the folder that does")
    calibration = _calibration(job, source, tokenizer)
    measured = measuring_rows(source, job.text, None, tokenizer) if job.verify else None
    yield f"{job.model}: {source.kind}, {made.parameters:,} parameters, {text.size(_nbytes(source))}"
    for reason in dict.fromkeys(step.kept for step in made.steps if step.kept):
        names = [step.name for step in made.steps if step.kept == reason]
        yield f"not quantized, because {reason}: {names[0]}" + (f" and {len(names) - 1} more" if names[1:] else "")
    if tokenizer == source.directory and Tokenizer.from_directory(tokenizer) is None:
        yield f"{tokenizer} has no tokenizer, so neither has the result (--tokenizer names a folder with one)"
    label = calibration.name if calibration else ""
    beside = documents.documents(source, job.model, made, tokenizer, "", label)
    writer = conversion.begin(source, made, job.target, force=job.force, calibration=calibration, identity=identity)
    if writer.finished:
        yield f"going on: {writer.finished} of {len(writer.files)} files are there from an earlier run"
    conversion.fill(source, made, writer, calibration=calibration, progress=progress)
    try:
        writer.finish(beside, made.parameters)
        cost = ""
        if measured is not None:
            cost = verify(source, made, writer, *measured, progress)
            writer.finish(documents.documents(source, job.model, made, tokenizer, cost, label), made.parameters)
        target = writer.publish()
    finally:
        writer.close()
    time_machine.leave_out(target)  # all in it was written here
    yield f"{made.recipe.name}: {text.size(made.nbytes)}, {8 * made.nbytes / made.parameters:.2f} bits a parameter, in {target}"
    if cost:
        yield cost
    if job.upload:
        yield from upload(target, job.upload)


def _nbytes(source: Source) -> int:
    """Bytes of its files."""
    return source.nbytes if isinstance(source, SafetensorsSource) else sum(p.stat().st_size for p in source.files)


def verify(source: Source, made: Plan, writer: Writer, rows: list[list[int]], what: str, progress: Progress) -> str:
    """Reloads the hidden result and compares it with the source; returns what it cost, in two sentences.

    Raises:
        CheckpointError: a tensor that was to stay what it is did not.
    """
    result = SafetensorsSource(writer.folder)
    errors = compare.tensor_errors(source, result, progress)
    quantized = source.quantized if isinstance(source, SafetensorsSource) else {}
    for step in made.steps:
        same = step.outputs[0][1].dtype == step.source.dtype and step.name not in quantized
        allowed = 1.0 if step.settings else 0.0 if same else 1e-2  # rounded to 16 bits
        if not errors.get(step.name, 0.0) <= allowed:
            raise CheckpointError(
                f"the tensor {step.name} came out wrong (relative error {errors[step.name]:.2g}): nothing was put in place; "
                "please report this"
            )
    found = compare.outputs(source, result, rows, progress)
    name, error = max(errors.items(), key=lambda item: item[1])
    largest = (
        f"Largest relative error of a tensor: {error:.4f} ({name})." if error else "All tensors are as in the source."
    )
    return f"On {found.tokens:,} tokens of {what}: {found.sentence()}. {largest}"


def measuring_rows(
    source: Source, file: str | None, limit: int | None, tokenizer: Path | None = None
) -> tuple[list[list[int]], str]:
    """Token ids to compare on, and what they are. Raises RgmlxError: the file can't be read or used."""
    from ..griffin.config import ModelConfig

    config = ModelConfig.from_dict(source.config)
    found = Tokenizer.from_directory(tokenizer or source.directory)
    count = limit or text.budget(config)
    if found is None:
        if file is not None:
            raise RgmlxError(
                f"{tokenizer or source.directory} has no tokenizer, so --text can't be used: add --tokenizer DIR"
            )
        return text.random_rows(config, count), "random ids (there is no tokenizer)"
    if file is not None:
        return text.rows(text.from_file(file), found, count), Path(file).name
    return text.rows(text.built_in(), found, count), "the built-in text"


def _calibration(job: Job, source: Source, tokenizer: Path) -> conversion.Calibration | None:
    if job.calibrate is None or isinstance(job.calibrate, conversion.Calibration):
        return job.calibrate
    found = Tokenizer.from_directory(tokenizer)
    if found is None:
        raise RgmlxError(f"{tokenizer} has no tokenizer, which --calibrate needs: name one with --tokenizer DIR")
    if job.recipe.default is None and not any(s for _, s in job.recipe.patterns):
        raise RgmlxError("--calibrate compensates quantization, and nothing is quantized: leave it out")
    content = text.built_in() if job.calibrate == "builtin" else text.from_file(job.calibrate)
    rows = text.rows(content, found, job.calibrate_tokens or CALIBRATION_TOKENS, _CALIBRATION_ROW)
    if (count := sum(map(len, rows))) < _FEWEST:
        raise RgmlxError(f"{count} tokens are too few to calibrate with: give --calibrate a text of some pages")
    name = "the built-in text" if job.calibrate == "builtin" else Path(job.calibrate).name
    return conversion.Calibration(rows, f"{count:,} tokens of {name}")


def upload(directory: Path, repository: str) -> Iterator[str]:
    """Uploads a converted model. Raises RgmlxError; the directory stays."""
    from huggingface_hub import HfApi

    api = HfApi(token=account.token())
    try:
        api.create_repo(repository, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=directory, commit_message="Converted with rgmlx")
    except Exception as e:  # connection errors have no common base
        raise RgmlxError(
            f"{directory} is complete, but could not be uploaded to {repository} ({str(e).strip().splitlines()[0]}): "
            f"check the name, `{typed('rgmlx login')}` with a token that may write, then run  "
            f"{typed('hf upload')} {repository} {directory}{' --token TOKEN' if macos.here() else ''}"
        ) from None
    yield f"uploaded: https://huggingface.co/{repository}"
