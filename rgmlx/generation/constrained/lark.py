"""Whether a Lark grammar has a text that ends. Knows how its rules are written; llguidance knows all else, and parses it.

A rule that always asks for itself again, as in `start: "a" start`, is no error to llguidance, which would follow it for
ever. What is not understood here is taken for a rule that ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|\#[^\n]*)
    |(?P<text>"(?:\\.|[^"\\])*"i?|/(?:\\.|[^/\\\n])+/[a-z]*|<[^<>\s]*>)
    |(?P<json>%(?:json|regex)\s*(?=\{))
    |(?P<directive>%[a-z]+[^\n]*)
    |(?P<name>[?!]?[A-Za-z_][A-Za-z0-9_-]*)
    |(?P<range>~\s*\d+(?:\s*\.\.\s*\d+)?|\{\s*\d*\s*(?:,\s*\d*\s*)?\})
    |(?P<sign>[:|()\[\]?*+])""",
    re.VERBOSE,
)
_LEAST = re.compile(r"\d+")


class _Unknown(Exception):
    """Something that is not understood."""


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    first: bool  # on its line


@dataclass(frozen=True)
class _Rule:
    name: str
    body: tuple[_Token, ...]


def ends(grammar: str) -> bool:
    """Whether the rule `start` has a text that ends, as far as can be told."""
    try:
        rules = _rules(_tokens(grammar))
        names, ending, before = {rule.name for rule in rules}, set[str](), -1
        while len(ending) > before:
            before = len(ending)
            for rule in (*reversed(rules), *rules):  # what is used is mostly below
                if rule.name not in ending and _Body(rule.body, ending, names).ends():
                    ending.add(rule.name)
        return "start" in ending or "start" not in names
    except (_Unknown, RecursionError, ValueError):
        return True


def _tokens(grammar: str) -> list[_Token]:
    out, place, first = list[_Token](), 0, True
    while place < len(grammar):
        found = _TOKEN.match(grammar, place)
        if found is None or found.lastgroup is None:
            raise _Unknown
        kind, text, place = found.lastgroup, found.group(), found.end()
        if kind == "space":
            first = first or "\n" in text
            continue
        if kind == "json":
            _, place = json.JSONDecoder().raw_decode(grammar, place)
            kind = "text"
        if kind == "directive" and not text.startswith(("%llguidance", "%ignore", "%import", "%declare")):
            raise _Unknown
        if kind != "directive":
            out.append(_Token(kind, text.lstrip("?!") if kind == "name" else text, first))
        first = False
    return out


def _rules(tokens: list[_Token]) -> list[_Rule]:
    """Each begins with a name and a colon at the beginning of a line; between them may be options in brackets."""
    heads = list[tuple[int, int]]()
    for at, token in enumerate(tokens):
        if token.kind == "name" and token.first:
            colon = at + 1
            if colon < len(tokens) and tokens[colon].text == "[":
                raise _Unknown  # options, such as `lazy`
            if colon < len(tokens) and tokens[colon].text == ":":
                heads.append((at, colon))
    if heads and heads[0][0] != 0:
        raise _Unknown
    after = [at for at, _ in heads[1:]] + [len(tokens)]
    return [
        _Rule(tokens[at].text, tuple(tokens[colon + 1 : end])) for (at, colon), end in zip(heads, after, strict=True)
    ]


class _Body:
    """What a rule is made of, read from left to right."""

    def __init__(self, tokens: tuple[_Token, ...], ending: Collection[str], names: Collection[str]) -> None:
        self._tokens, self._at, self._ending, self._names = tokens, 0, ending, names

    def ends(self) -> bool:
        """Whether there is a text of it that ends, if the rules `ending` have one."""
        found = self._alternatives()
        if self._at < len(self._tokens):
            raise _Unknown
        return found

    def _next(self) -> str:
        return self._tokens[self._at].text if self._at < len(self._tokens) else ""

    def _alternatives(self) -> bool:
        found = self._sequence()
        while self._next() == "|":
            self._at += 1
            found |= self._sequence()
        return found

    def _sequence(self) -> bool:
        found = True
        while self._next() not in ("", "|", ")", "]"):
            found &= self._item()
        return found

    def _item(self) -> bool:
        token = self._tokens[self._at]
        self._at += 1
        if token.kind == "text":
            found = True
        elif token.kind == "name":
            found = token.text in self._ending or token.text not in self._names
        elif token.text in ("(", "["):
            inner = self._alternatives()
            if self._next() != {"(": ")", "[": "]"}[token.text]:
                raise _Unknown
            self._at += 1
            found = inner or token.text == "["
        else:
            raise _Unknown
        while self._at < len(self._tokens) and (
            self._next() in ("?", "*", "+") or self._tokens[self._at].kind == "range"
        ):
            times = self._next()
            least = int(number[0]) if (number := _LEAST.search(times.partition(",")[0])) else 0
            found = found or (times != "+" and least == 0)
            self._at += 1
        return found
