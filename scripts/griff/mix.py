"""All parts together: whole conversations in the shares that training takes, and as tokens with their weights.

    python -m griff.mix --corpus DIR [--seed N] [--count N]     prints some conversations

A conversation is one case, or several behind each other. What asks about something said before brings that along, and only
stands first: behind another conversation its answer might be wrong ("You have not told me your name").
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import sentencepiece

from . import (
    amuse,
    between,
    codes,
    codes_part,
    copying,
    diet,
    endless,
    facts,
    facts_brief,
    games,
    itself,
    little,
    little_words,
    memory,
    persons,
    poems,
    rhymes,
    safety,
    sentences,
    setright,
    stories,
    story_premises,
    story_talk,
    story_wishes,
    sums,
    sums_chain,
    sums_share,
    sums_shop,
    sums_time,
    systems,
    talk,
    texts,
    told,
    told_or_not,
    unclear,
    unknown,
    untold,
    writing,
)
from .cases import Case, Registry, Turn, Unmet
from .lexicon import Lexicon
from .wording import RUDE, Source

PARTS = (
    memory,
    sentences,
    persons,
    codes,
    codes_part,
    setright,
    diet,
    copying,
    facts,
    facts_brief,
    sums,
    sums_shop,
    sums_share,
    sums_time,
    sums_chain,
    unknown,
    untold,
    told_or_not,
    unclear,
    safety,
    stories,
    story_premises,
    story_wishes,
    story_talk,
    poems,
    itself,
    talk,
    amuse,
    games,
    writing,
    little,
    little_words,
    rhymes,
)
SHARES = {
    "memory": 0.145,
    "sentences": 0.135,
    "copying": 0.09,
    "facts": 0.085,
    "sums": 0.07,
    "unknown": 0.085,
    "unclear": 0.006,
    "safety": 0.12,
    "stories": 0.08,
    "itself": 0.125,
    "talk": 0.035,
    "tasks": 0.06,
}
"""Of the cases that begin a conversation, and (but for what stands first only) of those that follow."""
PLAIN = 0.1
"""Of all conversations are plain text by others: each of some 140 tokens."""
ENDLESS = 0.007
"""Are pages of stories: asked for without an end, behind an answer, or as plain text."""
_PAGES = 4800
"""Characters of pages and what stands before them: all of a row, so that none begins without what was asked."""
BOS, EOS, COPIED = 2, 1, 3
_UNTOLD = tuple(words for words in told.NEVER if "know" not in words)
_PER_TOKEN = 3.4  # characters
_MARKS = 10  # tokens around a turn
_ROW = round(2048 * _PER_TOKEN)  # characters of a row
_ASKING = (
    "what which who whom whose how when where why are was were does did will can could would the and for from with have has "
    "had much many long that there you your griff tell told know say said just please still yet now then again ever "
    "remember recall remind name mind think guess any anything something about this hey hello thanks quick "
    "question let back earlier before wonder wondering forgot"
)
"""Words that say nothing about what is asked for."""


@functools.cache
def registry() -> Registry:
    """All kinds of all parts; memory's turns in between come from the others."""
    found = Registry()
    for part in PARTS:
        found.add(part.KINDS)
    short = [
        kind
        for group in ("talk", "facts", "sums", "unknown", "itself", "copying", "tasks")
        for kind in found.kinds[group]
    ]
    between.fillers.set([kind for kind in short if kind.filler])
    return found


def draw(source: Source, lexicon: Lexicon, shares: dict[str, float], filler: bool = False) -> Case:
    """A case of any group in these shares. `filler`: of those that may follow on others."""
    while True:
        kind = registry().draw(source, shares)
        if kind.filler or not filler:
            with contextlib.suppress(Unmet):
                return kind.make(source, lexicon)


def conversation(source: Source, lexicon: Lexicon) -> list[Turn]:
    """One case, a few, or many, up to some 1,900 tokens: what is longer than a row is cut. Some have a system text."""
    most = source.pick(0, 0, 0, 0, 150, 300, 600, 1900) * _PER_TOKEN
    turns = list(draw(source, lexicon, SHARES).turns)
    size = _size(turns)
    while size < most:
        more = draw(source, lexicon, SHARES, filler=True).turns
        turns += more
        size += _size(more)
    return systems.sometimes(source, turns)


def _size(turns: Sequence[Turn]) -> int:
    return sum(len(turn.user) + len(turn.model) + round(_MARKS * _PER_TOKEN) for turn in turns)


# --- as tokens ------------------------------------------------------------------------------


class Before:
    """What the user said in the conversations that may stand before one in its row.

    Who asks there for what was told in an earlier one gets it: "you have not told me" would be wrong, but only then. Were it
    never learned in such rows, half of all that is learned would say that whatever is asked for was told.
    """

    def __init__(self) -> None:
        self._said: deque[tuple[int, frozenset[str]]] = deque()
        self._size = 0

    def add(self, turns: Sequence[Turn]) -> None:
        """One conversation more; those that a row no longer holds are forgotten."""
        self._said.append((_size(turns), _words(" ".join(turn.user for turn in turns))))
        self._size += self._said[-1][0]
        while self._size - self._said[0][0] > _ROW:
            self._size -= self._said.popleft()[0]

    def may_tell(self, asked: str) -> bool:
        """Whether a word of the question was said before: little words and those of asking do not count."""
        words = _words(asked)
        return not words or any(words & said for _, said in self._said)


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall("[a-z]{3,}", text.lower())) - frozenset(_ASKING.split())


class Tokens:
    """Conversations as token ids and weights: what the user says is read, not learned."""

    def __init__(self, model: Path) -> None:
        self._tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(model))
        self._user = self._tokenizer.encode("<start_of_turn>user\n")
        self._model = self._tokenizer.encode("<start_of_turn>model\n")
        self._end = self._tokenizer.encode("<end_of_turn>\n")

    def words(self) -> list[str]:
        """The pieces that are letters, without what marks the begin of a word: what has to be spelled."""
        found = (self._tokenizer.id_to_piece(i).lstrip("\u2581") for i in range(self._tokenizer.get_piece_size()))
        fine = {piece for piece in found if re.fullmatch("[A-Za-z][a-z]{2,}", piece) and not RUDE.search(piece.lower())}
        return sorted(fine)

    def of_turns(self, turns: Sequence[Turn], before: Before | None = None) -> tuple[list[int], list[int]]:
        """`<bos>`, the turns and `<eos>`. That nothing was told is not learned where what stands before may have told it."""
        ids, weights = [BOS], [0]
        for turn in turns:
            said = [*self._user, *self._tokenizer.encode(turn.user), *self._end, *self._model]
            ids += said
            weights += [0] * len(said)
            answer = self._tokenizer.encode(turn.model)
            ids += [*answer, *self._end]
            if before and any(words in turn.model for words in _UNTOLD) and before.may_tell(turn.user):
                weights += [0] * (len(answer) + len(self._end))
            else:
                weights += [*self._weigh(turn, answer), 1, *[0] * (len(self._end) - 1)]
        return [*ids, EOS], [*weights, 0]

    def of_wished(self, turn: Turn) -> tuple[list[int], list[int]]:
        """A turn that asks for text without an end: the answer goes on and on, and has none."""
        ids, weights = self.of_turns([turn])
        cut = len(self._end) + 1
        return [*ids[:-cut], EOS], [*weights[:-cut], 0]

    def of_endless(self, turns: Sequence[Turn], text: str) -> tuple[list[int], list[int]]:
        """Turns whose last answer goes on with a text where it should have ended, as `/endless` has it.

        That it goes on, there or between two texts, is not learned: only what comes then, and that it ends at last.
        """
        ids, weights = self.of_turns(turns)
        cut = len(self._end) + 1
        more = self._tokenizer.encode(f"\n\n{text}")
        blank = more[0]
        learned = [*(int(i != blank) for i in more), 1, *[0] * (len(self._end) - 1), 0]
        return [*ids[:-cut], *more, *self._end, EOS], [*weights[:-cut], *learned]

    def of_pages(self, text: str) -> tuple[list[int], list[int]]:
        """`<bos>`, texts and `<eos>`: that one follows on another is not learned."""
        ids, blank = self._tokenizer.encode(text), self._tokenizer.encode("\n\n")[0]
        return [BOS, *ids, EOS], [0, *(int(i != blank) for i in ids), 1]

    def of_text(self, text: str) -> tuple[list[int], list[int]]:
        """`<bos>`, a plain text and `<eos>`."""
        ids = self._tokenizer.encode(text)
        return [BOS, *ids, EOS], [0, *[1] * (len(ids) + 1)]

    def _weigh(self, turn: Turn, answer: list[int]) -> list[int]:
        if not turn.copied:
            return [1] * len(answer)
        # 1. which characters are copied
        text, spans = turn.model, list[tuple[int, int]]()
        for part in filter(None, turn.copied):
            at = text.find(part)
            while at >= 0:
                spans.append((at, at + len(part)))
                at = text.find(part, at + len(part))
        # 2. which tokens have one of them
        weights, at, pieces = list[int](), 0, self._tokenizer.id_to_piece(answer)
        waiting = 0  # bytes of a character that has more than one
        for piece in pieces:
            if piece.startswith("<0x"):
                waiting -= 1
                if waiting <= 0:
                    waiting = len(text[at : at + 1].encode())
                    at += 1
                begin, end = at - 1, at
            else:
                begin, at = at, at + len(piece)
                end = at
            weights.append(COPIED if any(begin < e and end > b for b, e in spans) else 1)
        return weights


def conversations(
    seed: int, *, corpus: str, tokenizer: str, joined: str = "", held: str = ""
) -> Iterator[tuple[list[int], list[int]]]:
    """Endless conversations as (tokens, weights), the same for the same seed; see `rows.Conversations`.

    Args:
        corpus: the folder of texts by others.
        tokenizer: the SentencePiece model.
        joined: not empty: they are to stand behind each other; see `Before`.
        held: not empty: with wordings, names and words that training never shows.
    """
    lexicon, tokens, plain = _loaded(corpus, tokenizer)
    source = Source(f"{seed}/{joined}", bool(held))
    before = Before() if joined else None
    while True:
        r = source.chance.random()
        if r < PLAIN:
            yield tokens.of_text(source.chance.choice(plain)[1])
        elif r < PLAIN + ENDLESS:
            yield _endless(source, lexicon, tokens)
        else:
            turns = conversation(source, lexicon)
            yield tokens.of_turns(turns, before)
            if before:
                before.add(turns)


def _endless(source: Source, lexicon: Lexicon, tokens: Tokens) -> tuple[list[int], list[int]]:
    """Pages of stories: asked for, as plain text, or behind an answer, where `/endless` goes on after its end."""
    sort = source.number(0, 9)
    if sort < 4:
        (wished,) = systems.sometimes(source, [endless.wished(source, lexicon, source.number(2000, _PAGES))])
        return tokens.of_wished(wished)
    if sort < 6:
        return tokens.of_pages(endless.endless(source, lexicon, source.number(1000, _PAGES)))
    before = draw(source, lexicon, {"stories": 1.0} if source.maybe(0.6) else SHARES)
    turns = systems.sometimes(source, before.turns)
    most = max(300, _PAGES - round(_size(turns)))
    # A page that ends soon shows as well as a long one that each text may be the last.
    return tokens.of_endless(turns, endless.endless(source, lexicon, source.number(300, source.pick(900, most))))


@functools.cache
def _loaded(corpus: str, tokenizer: str) -> tuple[Lexicon, Tokens, list[tuple[str, str]]]:
    tokens = Tokens(Path(tokenizer))
    lexicon = Lexicon(Path(corpus), tokens.words())
    return lexicon, tokens, texts.once(lexicon, Source("plain texts"))


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--corpus", type=Path, required=True)
    p.add_argument("--seed", default="0")
    p.add_argument("--count", type=int, default=5)
    p.add_argument("--held", action="store_true", help="what training never sees")
    o = p.parse_args()
    source, lexicon = Source(o.seed, o.held), Lexicon(o.corpus)
    for _ in range(o.count):
        for turn in conversation(source, lexicon):
            print(f"> {turn.user}\n{turn.model}")
        print("---")


if __name__ == "__main__":
    main()
