"""What an answer may be, on the command line: `--choice`, `--schema`, `--regex`, `--grammar`.

Knows options and files; what a form does is in `generation.constrained`.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import RgmlxError
from ..system.decoding import NotText, argument
from ..system.paths import expanded
from ..system.reading import MAX_SETTINGS, parse_json, read_text
from ..system.textfiles import reason

FORMS = ("choices", "regex", "schema", "grammar")
"""The names of forms, as `Chat.send` takes them."""


def add_forms(p: argparse.ArgumentParser) -> None:
    """The options; one of them at most."""
    form = p.add_mutually_exclusive_group()
    form.add_argument(
        "--choice", dest="choices", metavar="WORD", nargs="+", action="extend", help="the answer is one of these"
    )
    form.add_argument(
        "--schema",
        metavar="FILE",
        help="the answer is JSON of the JSON schema in this file; --json has it as result too",
    )
    form.add_argument("--regex", metavar="PATTERN", help="the whole answer matches this, in the syntax of Rust's regex")
    form.add_argument("--grammar", metavar="FILE", help="the answer is one of the Lark grammar in this file")


def form(options: argparse.Namespace) -> dict[str, Any]:
    """The form that was asked for, as `Chat.send` takes it; nothing for none. Raises RgmlxError: a file can't be read."""
    if options.choices is not None:
        return {"choices": [argument(word, "--choice") for word in options.choices]}
    if options.regex is not None:
        return {"regex": argument(options.regex, "--regex")}
    if options.grammar is not None:
        return {"grammar": _text(options.grammar, "--grammar")}
    if options.schema is not None:
        try:
            return {"schema": parse_json(_text(options.schema, "--schema"))}
        except ValueError as e:
            raise RgmlxError(f"{options.schema} is not JSON ({e}): --schema takes a file with a JSON schema") from None
    return {}


def _text(name: str, option: str) -> str:
    try:
        return read_text(expanded(name), MAX_SETTINGS)
    except FileNotFoundError:
        raise RgmlxError(f"there is no file {name}: {option} takes the name of one") from None
    except NotText as e:
        raise RgmlxError(f"{name} is {e}") from None
    except (OSError, ValueError) as e:
        raise RgmlxError(f"{name} can't be read ({reason(e)}): name another file") from None
