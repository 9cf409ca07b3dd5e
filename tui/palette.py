"""The command palette: the same commands as behind a slash."""

from __future__ import annotations

from functools import partial
from typing import Protocol, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from .commands import COMMANDS, Command


class Commanded(Protocol):
    """An app that runs commands."""

    @property
    def actions(self) -> Chooses: ...


class Chooses(Protocol):
    """What runs a command that was chosen from a list."""

    async def choose(self, command: Command) -> None: ...


class Palette(Provider):
    """Offers every command; one that needs an argument is put into the prompt."""

    async def discover(self) -> Hits:
        for command in COMMANDS:
            yield DiscoveryHit(_title(command), partial(self._run, command), help=command.summary)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in COMMANDS:
            score = max(map(matcher.match, (command.name, *command.aliases)))
            score = max(score, 0.9 * matcher.match(command.summary))
            if score > 0:
                yield Hit(score, matcher.highlight(_title(command)), partial(self._run, command), help=command.summary)

    async def _run(self, command: Command) -> None:
        await cast("Commanded", self.app).actions.choose(command)


def _title(command: Command) -> str:
    return f"{command.name}  ({command.pressed})" if command.pressed else command.name
