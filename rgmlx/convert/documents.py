"""What stands beside the weights: config.json, tokenizer, generation settings, model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import ConfigError, RgmlxError
from ..generation.sampling import recommended
from ..griffin.config import ModelConfig
from ..system.printable import printable
from ..system.reading import MAX_SETTINGS, MAX_TOKENIZER, present, read_bytes, read_json, read_text
from ..tokenizer import Tokenizer
from ..weights.hub import is_repository
from .plan import Plan
from .recipe import is_gate
from .source import Source
from .text import size

_TOKENIZER_FILES = (
    "tokenizer.model",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
_TURNS = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n'"
    " + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
_TOKENIZER_CONFIG = {  # for mlx-lm, which reads tokenizers through transformers
    "tokenizer_class": "GemmaTokenizer",
    "add_bos_token": True,
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
    "chat_template": _TURNS,
}
_GEMMA = """\
## Terms

RecurrentGemma's weights are Google's. Gemma is provided under and subject to the Gemma Terms of Use found at
[ai.google.dev/gemma/terms](https://ai.google.dev/gemma/terms); whoever passes these files on passes on those terms, and
the [prohibited uses](https://ai.google.dev/gemma/prohibited_use_policy), with them. The weights here were modified: see
above how they were quantized.
"""


def documents(
    source: Source, name: str, plan: Plan, tokenizer: Path, cost: str = "", calibration: str = ""
) -> dict[str, bytes]:
    """File names and contents.

    Args:
        name: what the user called the source.
        tokenizer: the folder with the tokenizer's files.
        cost: a measured comparison with the source, for the card.
        calibration: the text that errors were compensated for.

    Raises:
        RgmlxError: the tokenizer's files are damaged or are another model's.
    """
    try:
        out = {f: read_bytes(tokenizer / f, MAX_TOKENIZER) for f in _TOKENIZER_FILES if present(tokenizer / f)}
    except OSError as e:
        raise RgmlxError(f"{e.filename} can't be read: {e.strerror or e}") from None
    found = Tokenizer.from_directory(tokenizer)
    if found is not None and len(found) > plan.model.vocab_size:
        raise RgmlxError(
            f"{found.path} has {len(found):,} pieces and the model {plan.model.vocab_size:,}: they don't belong together"
        )
    if found is not None and "tokenizer_config.json" not in out:
        out["tokenizer_config.json"] = _json(_TOKENIZER_CONFIG)
    stop = set(plan.model.eos_token_ids) | (found.stop_ids if found else set()) | recommended(tokenizer)[1]
    config = dict(sorted(plan.config.items())) | {"eos_token_id": sorted(stop)}
    out["config.json"] = _json(config)
    out["generation_config.json"] = _json(_generation(tokenizer, plan.model, sorted(stop)))
    out["README.md"] = card(source, printable(name), plan, cost, printable(calibration)).encode()
    return out


def _generation(tokenizer: Path, model: ModelConfig, stop: list[int]) -> dict[str, Any]:
    path = tokenizer / "generation_config.json"
    try:
        settings = read_json(path) if present(path) else {}
    except OSError as e:
        raise ConfigError(f"{path} can't be read: {e.strerror or e}") from None
    return {"bos_token_id": model.bos_token_id, **settings, "eos_token_id": stop}


def card(source: Source, name: str, plan: Plan, cost: str, calibration: str) -> str:
    """The model card: where the weights come from, what was done to them, what it cost, the terms."""
    repository = is_repository(name)
    google = "recurrentgemma" in name.lower() or source.kind.startswith("DeepMind")
    front: dict[str, Any] = {"library_name": "mlx", "pipeline_tag": "text-generation", "tags": ["mlx", "rgmlx"]}
    if repository:
        front["base_model"] = name
    if google:
        front["license"] = "gemma"
    yaml = "".join(f"{k}: {json.dumps(v)}\n" for k, v in front.items())
    origin = f"[{name}](https://huggingface.co/{name})" if repository else Path(name).name or name
    lines = [
        f"---\n{yaml}---\n",
        f"# {origin} for MLX, {plan.recipe.name}\n",
        f"Converted from {origin} ({source.kind}) with rgmlx {__version__}: "
        f"{plan.parameters:,} parameters in {size(plan.nbytes)}, {8 * plan.nbytes / plan.parameters:.2f} bits each.\n",
        "## Recipe\n",
        _table(plan),
    ]
    if calibration:
        lines.append(f"Rounding errors were compensated (GPTQ, arXiv:2210.17323) for {calibration}.\n")
    lines += ["## Cost\n", f"{cost or 'Not measured.'}\n"]
    gates = any(s.settings and is_gate(s.name.removesuffix("_weight")) for s in plan.steps)
    lines += [
        "## Use\n",
        "```\nrgchat --model PATH\n```\n"
        if gates
        else '```\nrgchat --model PATH\nmlx_lm.generate --model PATH --prompt "Hello"\n```\n',
    ]
    if gates:
        lines.append("The gates of the recurrence are quantized, which stock mlx-lm does not read.\n")
    if google:
        lines.append(_GEMMA)
    return "\n".join(lines)


def is_made_from(directory: Path, repository: str) -> bool:
    """Whether a converted model's card says that it was made from this repository."""
    try:
        front = read_text(directory / "README.md", MAX_SETTINGS).split("\n---\n")[0]
    except (OSError, ValueError):
        return False
    return f"base_model: {json.dumps(repository)}" in front.splitlines()


def _table(plan: Plan) -> str:
    """Bytes by how they are stored."""
    kinds: dict[str, tuple[int, int, int]] = {}
    for step in plan.steps:
        s = step.settings
        if s is None:
            key = str(step.outputs[0][1].dtype).removeprefix("mlx.core.")
        else:
            key = f"{s['bits']} bits, group size {s['group_size']}, {s['mode']}"
        count, numbers, nbytes = kinds.get(key, (0, 0, 0))
        kinds[key] = (count + 1, numbers + step.source.nbytes // step.source.dtype.size, nbytes + step.nbytes)
    rows = [f"| {k} | {c:,} | {n:,} | {b:,} |" for k, (c, n, b) in sorted(kinds.items(), key=lambda i: -i[1][2])]
    return "\n".join(["| stored as | tensors | numbers | bytes |", "| --- | ---: | ---: | ---: |", *rows, ""])


def _json(data: Mapping[str, Any]) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()
