"""`rgmlx desktop`: recipes for the desktop of a Mac: shown, installed, taken out, and what runs when macOS starts one."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..errors import DesktopError
from ..shell import typed
from .common import Parser, add_command, add_model, number, say
from .completions.table import RECIPES, completes


class _Mixed(Parser):
    """A parser whose last positionals may also come after options that follow the first, which argparse leaves over."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, left = super().parse_known_args(args, namespace)
        if left and (several := next((name for name in ("files", "names") if hasattr(found, name)), None)):
            at = left.index("--") if "--" in left else len(left)
            more = [*(one for one in left[:at] if not one.startswith("-")), *left[at + 1 :]]
            setattr(found, several, [*getattr(found, several), *more])
            left = [one for one in left[:at] if one.startswith("-")]
        return found, left


def add(commands: Any) -> None:
    """Adds the subcommand."""
    p = add_command(
        commands,
        "desktop",
        "recipes for the desktop of a Mac: Services, Quick Actions, launch agents",
        "Recipes for the desktop of a Mac: summarize or correct what is selected, ask about a file in the Finder, name\n"
        "screenshots, a digest of logs. They are files in your ~/Library (Services, LaunchAgents), which are shown before\n"
        "anything is written (--dry-run), and taken out again as they were put in. No Mac has run them yet.",
        (
            "rgmlx desktop list",
            "rgmlx desktop show summarize",
            "rgmlx desktop install summarize fix-grammar --dry-run",
            "rgmlx desktop install name-files --folder ~/Downloads --model google/recurrentgemma-2b-it",
            "rgmlx desktop uninstall --all",
        ),
    )
    actions = p.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=_Mixed)

    one = actions.add_parser("list", help="the recipes, and how they stand here")
    one.set_defaults(run=_list)

    one = actions.add_parser("show", help="what a recipe does, and the files that it is made of")
    completes(one.add_argument("name", metavar="NAME", help="a recipe, by its name in the list"), RECIPES)
    _add_settings(one)
    one.set_defaults(run=_show)

    one = actions.add_parser("install", help="write the files of recipes into your Library, and have macOS know them")
    about = "a recipe, by its name in the list"
    completes(one.add_argument("names", metavar="NAME", nargs="+", help=about), RECIPES)
    _add_settings(one)
    one.add_argument("--dry-run", action="store_true", help="show what would be written and run, and do nothing")
    one.set_defaults(run=_install)

    one = actions.add_parser("uninstall", help="remove what was written of recipes, and nothing else")
    completes(one.add_argument("names", metavar="NAME", nargs="*", help="a recipe that is installed"), RECIPES)
    one.add_argument("--all", action="store_true", help="all that are installed")
    one.add_argument("--dry-run", action="store_true", help="show what would be removed, and do nothing")
    one.set_defaults(run=_uninstall)

    one = actions.add_parser("run", help="what macOS runs: a recipe on standard input, files or folders")
    completes(one.add_argument("name", metavar="NAME", help="a recipe, by its name in the list"), RECIPES)
    one.add_argument("files", metavar="FILE", nargs="*", help="files or folders that it is about")
    _add_settings(one, ("model", "language", "question"))
    one.add_argument(
        "--minutes", type=number(float), default=None, metavar="N", help="name-files: how new a file is (default: 60)"
    )
    one.add_argument("--dry-run", action="store_true", help="of a recipe for folders: change nothing")
    one.add_argument("--print", action="store_true", help="print the answer instead of showing it")
    one.set_defaults(run=_run)


def _add_settings(p: argparse.ArgumentParser, names: tuple[str, ...] = ()) -> None:
    known: dict[str, dict[str, Any]] = {
        "folder": {"action": "append", "metavar": "DIR", "help": "a folder to watch; may be given more than once"},
        "log": {
            "action": "append",
            "metavar": "FILE",
            "help": "log-digest: a log file (default: those in ~/Library/Logs)",
        },
        "at": {"metavar": "HH:MM", "help": "log-digest: when (default: 18:00)"},
        "language": {"metavar": "NAME", "help": "translate: to which language (default: English)"},
        "question": {"metavar": "TEXT", "help": "watch-folder: what to ask about each file"},
    }
    if not names or "model" in names:
        add_model(p)
        p.set_defaults(model=None)
    for name, about in known.items():
        if not names or name in names:
            p.add_argument(f"--{name}", default=None, **about)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    from ..system.decoding import argument

    given = {name: getattr(options, name, None) for name in ("model", "folder", "log", "at", "language", "question")}
    return {
        name: argument(value, f"--{name}") if isinstance(value, str) else value
        for name, value in given.items()
        if value is not None
    }


def _list(options: argparse.Namespace) -> None:
    from ..desktop import installation, places
    from ..desktop.recipes import RECIPES
    from ..system.printable import printable

    known = places.read_manifest()
    width = max(len(recipe.name) for recipe in RECIPES)
    for recipe in RECIPES:
        state = installation.state(recipe, known)
        print(f"{recipe.name:<{width}}  {recipe.about}")
        if state:
            print(f"{'':<{width}}  {printable(state)}")


def _show(options: argparse.Namespace) -> None:
    from ..desktop import describing, installation
    from ..desktop.recipes import named
    from ..system.printable import printable

    recipe = named(options.name)
    settings = installation.settings_of(recipe.name) | _settings(options)
    for line in describing.described(recipe, settings):
        print(printable(line))


def _install(options: argparse.Namespace) -> None:
    from ..desktop import describing, installation
    from ..desktop.recipes import Kind, named
    from ..system.printable import printable

    def tell(sentence: str) -> None:
        print(printable(sentence), flush=True)

    recipes = [named(name) for name in dict.fromkeys(options.names)]
    settings = _settings(options)
    for name in settings:
        if not any(name in recipe.settings for recipe in recipes):
            raise DesktopError(
                f"--{name} is of no recipe that is named here: `{typed('rgmlx desktop')} show NAME` says what one takes"
            )
    for recipe in recipes:
        if recipe.kind is Kind.GUIDE:
            raise DesktopError(
                f"{recipe.name} is a guide, and installs nothing: `{typed('rgmlx desktop')} show {recipe.name}`"
            )
    planned = [
        installation.plan(recipe, {name: value for name, value in settings.items() if name in recipe.settings})
        for recipe in recipes
    ]  # all of them, before any is written
    if options.dry_run:
        for one in planned:
            for line in describing.would(one):
                tell(line)
        return
    installation.require_mac()
    for one in planned:
        installation.install(one, tell)
        if one.recipe.use:
            tell(one.recipe.use.format(one.recipe.title))


def _uninstall(options: argparse.Namespace) -> None:
    from ..desktop import installation, places
    from ..desktop.recipes import RECIPES, named
    from ..system.printable import printable

    if options.all == bool(options.names):
        raise DesktopError("name the recipes to uninstall, or all of them with --all")
    if options.all:
        known = places.read_manifest()
        recipes = [recipe for recipe in RECIPES if recipe.name in known]
        if not recipes:
            say("nothing is installed")
    else:
        recipes = [named(name) for name in dict.fromkeys(options.names)]
    for recipe in recipes:
        installation.uninstall(recipe, lambda sentence: print(printable(sentence), flush=True), dry_run=options.dry_run)


def _run(options: argparse.Namespace) -> None:
    from ..desktop import applescript, running
    from ..desktop.recipes import named
    from ..errors import RgmlxError

    recipe = named(options.name)
    try:
        _act(options, recipe)
    except applescript.Canceled:
        return
    except RgmlxError as e:
        if not sys.stderr.isatty():
            running.announce(e, recipe)
        raise


def _act(options: argparse.Namespace, recipe: Any) -> None:
    from ..desktop import asking, calls, installation, running
    from ..desktop.recipes import Kind
    from ..system.decoding import read_all, standard_input
    from ..system.macos import here

    settings = installation.settings_of(recipe.name) | _settings(options)
    if options.files and recipe.kind in (Kind.TEXT, Kind.NO_INPUT, Kind.GUIDE):
        raise DesktopError(f"{recipe.name} takes no files: give it a text on standard input")
    if recipe.kind is Kind.GUIDE:
        raise DesktopError(f"{recipe.name} is a guide, and runs nothing: `{typed('rgmlx desktop')} show {recipe.name}`")
    if recipe.kind is Kind.NO_INPUT:
        sentence = running.clean_clipboard()
        if options.print or not here():
            _print(sentence)
        else:
            calls.notify(sentence, recipe.title)
        return
    ask = asking.asker(settings.get("model"))
    files = running.paths(options.files)
    if recipe.kind is Kind.TEXT:
        if sys.stdin.isatty():
            raise DesktopError(
                f"give the text on standard input, as in  pbpaste | {typed('rgmlx desktop')} run {recipe.name}"
            )
        text = read_all(standard_input(), asking.MAX_TEXT, "the selected text")
        answer = running.on_text(recipe, text, ask, settings.get("language", "English"))
        if recipe.replaces or options.print:
            _print(answer, end="" if recipe.replaces else "\n")
        else:
            running.show(recipe.title, answer)
    elif recipe.kind is Kind.FILES:
        answer = running.on_files(recipe, files, ask)
        if options.print:
            _print(answer)
        else:
            running.show(recipe.title, answer)
    else:
        _agent(options, recipe, settings, ask, files)


def _agent(options: argparse.Namespace, recipe: Any, settings: dict[str, Any], ask: Any, files: list[Any]) -> None:
    from ..desktop import calls, running
    from ..desktop.folders import MINUTES
    from ..system.macos import here

    def tell(sentence: str) -> None:
        _print(sentence)

    told = tell if options.dry_run else running.noted(recipe, tell)
    question = settings.get("question") or recipe.question
    if recipe.name == "log-digest":
        if options.dry_run:
            raise DesktopError("log-digest changes nothing but a file of its own: leave --dry-run out")
        answer = running.digest_of(files, ask, question)
        _print(answer)
        if here() and not options.print:
            calls.notify(answer, recipe.title)
        return
    minutes = MINUTES if options.minutes is None else options.minutes
    if not 0 < minutes <= 1_000_000:
        raise DesktopError("--minutes takes a number above 0")
    count = running.on_folders(recipe, files, ask, question, told, minutes=minutes, dry_run=options.dry_run)
    if count and here() and not options.print:
        calls.notify(f"{count} file{'s' * (count > 1)} done", recipe.title)


def _print(text: str, end: str = "\n") -> None:
    """An answer, in UTF-8 whatever the locale says: a Service has none."""
    from ..system.printable import printable

    shown = printable(text) if sys.stdout.isatty() else text
    sys.stdout.flush()
    sys.stdout.buffer.write(f"{shown}{end}".encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
