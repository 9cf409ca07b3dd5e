"""What `rgmlx desktop show` and `--dry-run` say: each path, each content, each command. Knows words; writes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from . import agent, installation, places, workflow
from .installation import Plan
from .recipes import Kind, Recipe

_SHORTCUTS = """\
Shortcuts that ask rgmlx are made in the Shortcuts app: a .shortcut file is signed by Apple or by its maker's account, so no
program can write one for you.

1. In Shortcuts > Settings > Advanced, allow running scripts.
2. Make a new shortcut, and add the action "Run Shell Script".
3. Shell: zsh. Input: Shortcut Input. Pass Input: to stdin. The script is this line; the question in it is yours:

     {program} ask 'Summarize this text'

4. Add "Show Result", or "Copy to Clipboard", after it.
5. In the details of the shortcut, tick "Use as Quick Action" or "Pin in Menu Bar", and give it a key.

What the shortcut is given comes by standard input only. Don't put Shortcut Input into the script itself: the shell would obey
it.

The other way round, a script runs a shortcut by its name:

     shortcuts run "My Shortcut" --input-path notes.txt
     python -c 'from rgmlx import desktop; print(desktop.run_shortcut("My Shortcut", "some text"))'"""


def described(recipe: Recipe, settings: Mapping[str, Any]) -> Iterator[str]:
    """All there is to know of a recipe, line by line. Raises DesktopError: a setting is wrong."""
    yield f"{recipe.name}: {recipe.about}"
    yield f"It is {recipe.kind.value}."
    yield ""
    if recipe.kind is Kind.GUIDE:
        program = shlex.quote(str(installation.own_program()))
        yield from _SHORTCUTS.format(program=program).split("\n")
        return
    if recipe.use:
        yield recipe.use.format(recipe.title)
    if recipe.question:
        yield f"The model is asked: {recipe.question.format(language=settings.get('language', 'English'))}"
    if recipe.settings:
        yield f"Options of install: {', '.join(f'--{name}' for name in recipe.settings)}"
    if recipe.name == "watch-folder" and "folder" not in settings:
        yield "Its file names the folder that you give: --folder DIRECTORY."
        return
    planned = installation.plan(recipe, settings)
    if recipe.kind is not Kind.AGENT:
        yield f"It runs: {workflow.shell_line(recipe, planned.program)}"
    for name, data in planned.files.items():
        yield ""
        yield f"{places.library() / name}:"
        yield from data.decode().splitlines()


def would(planned: Plan) -> Iterator[str]:
    """What installing would do, line by line. Raises DesktopError: something is in its place."""
    recipe = planned.recipe
    known = places.read_manifest().get(recipe.name)
    current = installation.current(planned.files, known)
    for name, data in planned.files.items():
        same = current[name] == places.digest(data)
        yield f"{'unchanged' if same else 'would write'} {places.library() / name}"
        if not same:
            yield from (f"    {line}" for line in data.decode().splitlines())
        if recipe.kind is Kind.AGENT:
            yield f"would run {' '.join(agent.load_command(places.library() / name))}"
    yield f"would write {places.ours() / places.MANIFEST}"
    if recipe.kind is not Kind.AGENT:
        yield "would run pbs -flush and pbs -update, which read the Services menu again"
