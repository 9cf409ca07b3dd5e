"""The command palette: the same commands as behind a slash, the prompts that the user keeps among them."""

from __future__ import annotations

from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from .commands import COMMANDS, Command
from .prompt.kept import KeptPrompts


class Commanded(Protocol):
    """An app that runs commands."""

    @property
    def actions(self) -> Chooses: ...
    @property
    def prompts(self) -> KeptPrompts: ...


class Chooses(Protocol):
    """What runs a command that was chosen from a list."""

    async def choose(self, command: Command) -> None: ...


class Palette(Provider):
    """Offers every command; one that needs an argument is put into the prompt."""

    @property
    def _commands(self) -> list[Command]:
        return [*COMMANDS, *cast("Commanded", self.app).prompts.commands]

    async def discover(self) -> Hits:
        for command in self._commands:
            yield DiscoveryHit(_title(command), partial(self._run, command), help=_literal(command.summary))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self._commands:
            score = max(map(matcher.match, (command.name, *command.aliases)))
            score = max(score, 0.9 * matcher.match(command.summary))
            if score > 0:
                title, about = matcher.highlight(_title(command)), _literal(command.summary)
                yield Hit(score, title, partial(self._run, command), help=about)

    async def _run(self, command: Command) -> None:
        await cast("Commanded", self.app).actions.choose(command)


def _title(command: Command) -> str:
    return f"{command.name}  ({command.pressed})" if command.pressed else command.name


def _literal(text: str) -> str:
    """A text as markup that is shown as it is; Textual's own `escape` leaves some brackets."""
    return text.replace("[", "\\[")
