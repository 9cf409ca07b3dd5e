"""The command palette: the same commands as behind a slash."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from . import keys
from .commands import COMMANDS, Command

if TYPE_CHECKING:
    from .app import ChatApp


class Palette(Provider):
    """Offers every command; one that needs an argument is put into the prompt."""

    async def discover(self) -> Hits:
        for command in COMMANDS:
            yield DiscoveryHit(_title(command), partial(self._run, command), help=command.summary)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in COMMANDS:
            score = max(matcher.match(command.name), 0.9 * matcher.match(command.summary))
            if score > 0:
                yield Hit(score, matcher.highlight(_title(command)), partial(self._run, command), help=command.summary)

    async def _run(self, command: Command) -> None:
        await cast("ChatApp", self.app).actions.choose(command)


def _title(command: Command) -> str:
    return f"{command.name}  ({keys.name(command.key)})" if command.key else command.name
