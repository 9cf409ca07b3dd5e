"""`rgmlx get`: a real model, from its terms to the line that starts the chat with it. The same command goes on."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from typing import TYPE_CHECKING, Any

from ..shell import typed
from .common import add_command, number
from .completions.table import PUBLISHED, completes
from .login import asked
from .progress import Bar
from .streams import tell

if TYPE_CHECKING:
    from ..convert.obtain import Access
    from ..weights.search import Published

_BITS = (4, 6, 8, 16)


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "get",
        "get a real model: access, download, 4 bits, all in one",
        "Makes a model of Hugging Face ready for the chat. Says what it takes of the disk and of the memory; for Google's,\n"
        "shows the page of the terms and asks for a token; downloads, converts to 4 bits as the files come, compares the\n"
        "result with them, and offers to delete them. Ctrl-C stops it anywhere, and the same command goes on from there,\n"
        "after a crash too. A model that is quantized already is downloaded and used as it is.",
        (
            "rgmlx get 2b",
            "rgmlx get 9b --to /Volumes/Models/9b",
            "rgmlx get --search",
            "rgmlx get mlx-community/recurrentgemma-2b-it-4bit",
        ),
        "Other recipes, calibration, and DeepMind's files: rgmlx convert. Behind a proxy set HTTPS_PROXY; HF_ENDPOINT names a\n"
        "mirror, HF_HUB_CACHE another place for what is downloaded.",
    )
    name = p.add_argument(
        "name", metavar="NAME", nargs="?", help="2b, 9b (Google's instruction-tuned models), or owner/name"
    )
    completes(name, PUBLISHED)
    p.add_argument(
        "--search",
        metavar="WORDS",
        nargs="?",
        const="",
        help="list what Hugging Face has of this kind instead, the most downloaded first; WORDS are a part of the name",
    )
    p.add_argument("--json", action="store_true", help="with --search: an object a line: name, bytes, bits, ...")
    p.add_argument(
        "--bits",
        type=number(int),
        choices=_BITS,
        metavar="N",
        help="bits a weight: 4, 6, 8, or 16 for a model as it is published (default: 4)",
    )
    p.add_argument("--to", metavar="DIR", help="the directory of the result (default: ~/models/NAME-4bit)")
    p.add_argument(
        "--delete-original", action="store_true", help="delete the 16-bit files afterwards, without a question"
    )
    p.set_defaults(run=lambda options: run(options, p))


def run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Gets it, and prints how to talk to it."""
    if options.search is not None:
        if options.name is not None:
            parser.error("--search lists models and gets none: leave out NAME, or quote the words")
        _search(options.search, options.json)
        return
    if options.name is None:
        parser.error("name a model to get, or add --search for a list")
    if options.json:
        parser.error("--json is for --search")
    from ..convert.obtain import obtain
    from ..system.macos import power

    with power.awake(), Bar() as bar:
        try:
            model = obtain(options.name, _Terminal(bar, options.delete_original), bits=options.bits, target=options.to)
        except KeyboardInterrupt:
            tell("\nstopped: what is here is kept, and the same command goes on from there")
            raise
        bar.print(f"Ready. Talk to it:  {typed('rgchat')} --model {shlex.quote(model)}")


def _search(words: str, as_json: bool) -> None:
    """Prints what can be got."""
    from ..errors import ModelNotFoundError
    from ..system.decoding import argument
    from ..system.formatting import size as amount
    from ..weights.search import search

    words = argument(words, "--search")
    found = search(words)
    if as_json:
        for one in found:
            print(json.dumps({"name": one.name, "bytes": one.size or None, **_facts(one)}))
        return
    if not found:
        raise ModelNotFoundError(
            f"Hugging Face has no RecurrentGemma model that can be loaded here with '{words}' in its name: search without words"
            if words
            else "Hugging Face has no RecurrentGemma model that can be loaded here: get 2b or 9b by name",
        )
    width = max(len(one.name) for one in found)
    for one in found:
        size = amount(one.size) if one.size else "?"
        gated = "  gated" if one.gated else ""
        print(f"{one.name:<{width}}  {size:>9}  {one.bits:<6}  {one.downloads:>9,} downloads{gated}")
    tell(f"Get one:  {typed('rgmlx get NAME')}")


def _facts(one: Published) -> dict[str, object]:
    return {"bits": one.bits, "quantized": one.quantized, "downloads": one.downloads, "gated": one.gated}


class _Terminal:
    """Talks to the user on a terminal; elsewhere nobody is asked."""

    def __init__(self, bar: Bar, delete: bool) -> None:
        self._bar, self._delete = bar, delete
        self._is_asked = sys.stdin.isatty() and sys.stderr.isatty()
        self._was_shown = False

    def say(self, line: str) -> None:
        self._bar.print(line)

    def progress(self, what: str, done: int, total: int) -> None:
        self._bar(what, done, total)

    def access(self, missing: Access) -> str | None:
        from ..system.formatting import sentence

        if not self._is_asked:
            return None
        self._bar.pause()
        if missing.problem:
            tell(sentence(missing.problem))
        elif missing.owner:
            tell(
                f"{missing.owner} has not been let in yet: accept the terms as {missing.owner}, and let the token read gated "
                "repositories (https://huggingface.co/settings/tokens)."
            )
        self._show(missing)
        if missing.variable:
            return self._until_done(f"Press Enter when that is done ({missing.variable} has the token): ")
        done = "Press Enter when that is done, or paste another token (it is not shown): "
        return asked(done if missing.owner and not missing.problem else "Token (it is not shown): ").strip()

    def delete(self, repository: str, size: int) -> bool:
        from ..system.formatting import size as amount

        if self._delete:
            return True
        if not self._is_asked:
            self.say(f"The 16-bit files ({amount(size)}) are kept: --delete-original deletes them.")
            return False
        self._bar.pause()
        return self._yes(
            f"Delete the 16-bit files of {repository}, {amount(size)}? The chat does not need them. [y/N] "
        )

    def _show(self, missing: Access) -> None:
        """The page of the terms, once."""
        from ..system import browser

        if self._was_shown:
            return
        self._was_shown = True
        tell(f"The terms of {missing.repository} are accepted once, with an account of Hugging Face, on its page:")
        tell(f"  {missing.page}")
        if browser.can_open() and self._yes("Open it in the browser? [Y/n] ", otherwise=True):
            browser.open_page(missing.page)

    def _yes(self, question: str, otherwise: bool = False) -> bool:
        tell(question, end="")
        answer = sys.stdin.readline()
        return answer.strip().lower() in ("y", "yes") or (otherwise and answer == "\n")

    def _until_done(self, question: str) -> str | None:
        """Waits for Enter; None where the input has ended."""
        tell(question, end="")
        return "" if sys.stdin.readline() else None
