"""Texts by others, read as plain text: easy stories, sentences and meanings of words.

Nothing here is ever said by Griff. Talk between people stays out: what they chat about is not what he should speak of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .lexicon import Lexicon
from .wording import Source, a, capital

Row = dict[str, Any]

_PLAIN = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4\u0060", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2212", "-"),
    "\u2013": " - ",
    "\u2014": " - ",
    "\u2015": " - ",
    "\u2026": "...",
    "\u00a0": " ",
    "\u2009": " ",
    "\u200b": "",
    "\ufeff": "",
    "\u00ad": "",
    "\ufb01": "fi",
    "\ufb02": "fl",
    "\t": " ",
    "\r": "",
}
_TABLE = str.maketrans(_PLAIN)
_ADDRESS = re.compile(
    r"https?:|www\.|\S@\S|\.(?:com|org|net|edu)\b|[<>{}\\|]|\b(?:isbn|copyright|creative commons)\b", re.I
)
_ODD = re.compile(r"[^\n -~\u00c0-\u00ff]")
_MARKS: tuple[tuple[str, str], ...] = (
    (r" *--+ *", " - "),
    (r"_+", ""),
    (r"\*+", ""),
    (r"\[[^\]\n]*\]", ""),
    (r" +([,.;!?])", r"\1"),
    (r" *- *\n", " -\n"),
)
_MARKS += ((r"(?<=[a-z])([,;:!?])(?=[A-Za-z])", r"\1 "), (r"(?<=[a-z,;])\n(?=[a-z])", " "))
_MARKS += ((r" {2,}", " "), (r" *\n *", "\n"), (r"\n{3,}", "\n\n"))
LONGEST = 6000
"""Characters of a document; what is longer is cut at the end of a line."""


def plain(text: str) -> str:
    """With the punctuation of ASCII, no mark-up and single spaces."""
    text = text.translate(_TABLE)
    for pattern, by in _MARKS:
        text = re.sub(pattern, by, text)
    return text.strip()


def fit(text: str, coarse: frozenset[str]) -> bool:
    """Whether a text may be read: no address, no letters of other scripts, no coarse word."""
    if len(text) < 8 or _ADDRESS.search(text) or _ODD.search(text):
        return False
    return coarse.isdisjoint(re.findall("[a-z]+", text.lower()))


def _pieces(text: str) -> Iterator[str]:
    """A text in parts of at most `LONGEST` characters."""
    part = ""
    for line in text.split("\n"):
        if part and len(part) + len(line) > LONGEST:
            yield part.strip()
            part = ""
        part += line[:LONGEST] + "\n"
    if part.strip():
        yield part.strip()


def _stories(rows: list[Row], source: Source, coarse: frozenset[str]) -> Iterator[str]:
    """Each row as it is."""
    for row in rows:
        text = plain(row["text"])
        if fit(text, coarse):
            yield from _pieces(text)


def _together(rows: list[Row], source: Source, coarse: frozenset[str]) -> Iterator[str]:
    """Paragraphs that follow each other in a book, as long as none is left out between them."""
    whole: list[str] = []
    for row in rows:
        text = plain(row["text"])
        good = fit(text, coarse)
        if whole and (not good or sum(map(len, whole)) + len(text) > LONGEST // 2):
            yield "\n".join(whole)
            whole = []
        if good:
            whole.append(text)
    if whole:
        yield "\n".join(whole)


def _sentences(rows: list[Row], source: Source, coarse: frozenset[str]) -> Iterator[str]:
    """Ten sentences a document, in random order."""
    texts = sorted({text for row in rows if fit(text := plain(row["text"]), coarse)})
    # Every second sentence of Tatoeba is about Tom: names are to be copied, not to be expected.
    texts = [text for text in texts if not re.search(r"\b(Tom|Mary)\b", text) or source.maybe(0.1)]
    source.chance.shuffle(texts)
    for i in range(0, len(texts) - 9, 10):
        yield " ".join(text if text[-1] in ".!?\"'" else text + "." for text in texts[i : i + 10])


def _meaning(row: Row) -> str:
    """A gloss as a sentence."""
    word, gloss = row["word"], plain(row["text"]).split(";")[0].strip()
    gloss = re.sub(r"^\([^)]*\) *", "", gloss).rstrip(".")
    if not gloss or not word.isascii():
        return ""
    if row["pos"] == "noun":
        # Nouns with capitals are names; a gloss that begins without an article tells what cannot be counted.
        countable = gloss.startswith(("a ", "an ", "any ", "one ")) and word.islower()
        lines = [f"{capital(a(word) if countable else word)} is {gloss}."]
    elif row["pos"] == "verb":
        lines = [f"To {word} means to {gloss}."]
    else:
        lines = [f'The word "{word}" means: {gloss}.']
    lines += [capital(plain(one)).rstrip(".!?") + "." for one in row.get("examples") or [] if len(one.split()) > 3]
    others = [one for one in row.get("others") or [] if one.isascii()][:2]
    if others:
        lines.append(f"Another word for it is {' or '.join(others)}.")
    return " ".join(lines)


def _meanings(rows: list[Row], source: Source, coarse: frozenset[str]) -> Iterator[str]:
    """Five words a document."""
    texts = sorted({text for row in rows if (text := _meaning(row)) and fit(text, coarse)})
    source.chance.shuffle(texts)
    for i in range(0, len(texts) - 4, 5):
        yield "\n".join(texts[i : i + 5])


@dataclass(frozen=True)
class Text:
    """A file of the corpus: how it is read, which part of it, how often and whether it is an old book."""

    name: str
    read: Callable[[list[Row], Source, frozenset[str]], Iterator[str]]
    share: float = 1.0
    times: int = 1
    old: bool = False


TEXTS = (
    Text("asp_stories", _stories, times=2),
    Text("pb_stories", _stories, times=2),
    Text("bookdash", _stories, times=3),
    Text("aesop_for_children", _stories, times=2),
    Text("tatoeba_en", _sentences),
    Text("common_voice_sentences", _sentences),
    Text("wordnet_easy", _meanings),
    Text("fairytaleqa", _stories, share=0.4, old=True),
    Text("gitenberg_children", _stories, old=True),
    Text("gutenberg_wide", _together, share=0.05, old=True),
)
"""Talk (self_dialogue, topical_chat, byu_chitchat, casino) is left out on purpose."""
OLD = 0.24
"""At most this part of the characters is from old books: less than a quarter of the tokens."""


def once(lexicon: Lexicon, source: Source) -> list[tuple[str, str]]:
    """Each plain text and a part of the old books, in random order.

    Raises:
        MissingText: a file of the corpus is not there.
    """
    found: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
    for text in TEXTS:
        rows = [row for row in lexicon.corpus.rows(text.name) if row["kind"] != "chat"]
        if text.share < 1:
            # A run of rows and not single ones, so that paragraphs of one book stay together.
            count = int(len(rows) * text.share)
            runs = max(1, count // 20)
            starts = source.chance.sample(range(0, max(1, len(rows) - 20), 20), min(runs, max(1, len(rows) // 20)))
            rows = [row for start in sorted(starts) for row in rows[start : start + 20]]
        for _ in range(text.times):
            found[text.old] += [(text.name, document) for document in text.read(rows, source, lexicon.coarse)]
    new, old = found[False], found[True]
    room = int(sum(len(document) for _, document in new) * OLD / (1 - OLD))
    source.chance.shuffle(old)
    kept: list[tuple[str, str]] = []
    for name, document in old:
        room -= len(document)
        if room < 0:
            break
        kept.append((name, document))
    mixed = new + kept
    source.chance.shuffle(mixed)
    return mixed


def documents(lexicon: Lexicon, source: Source) -> Iterator[tuple[str, str]]:
    """The plain texts, each with the name of its file, without an end: each round in another order, with other old books.

    Raises:
        MissingText: a file of the corpus is not there.
    """
    while True:
        yield from once(lexicon, source)
