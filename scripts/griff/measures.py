"""What can be told of texts without reading them: stories that are alike, slips of grammar, names nobody should have, text
that goes round in a circle. Knows nothing of models.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Sequence

from .lexicon import TABLES, Lexicon, unlucky
from .wording import an

_ARTICLE = re.compile(r"\b([Aa]n?) ([A-Za-z][a-z]+)")
_LETTER = frozenset(["is", "in", "and", "or", "as", "at", "of", "on", "are", "am"])
"""What follows the letter A."""
_STICKS = re.compile(r"[a-z][.,!?;:][A-Za-z]{2}|[a-z]{2}[A-Z][a-z]")
"""No space where one belongs: "end.The", "theRiver"."""
_USUAL = 20
"""Times that a word stands in everyday sentences which may be half of a glued one."""


def grams(items: Sequence[object], size: int) -> frozenset[tuple[object, ...]]:
    """All runs of so many."""
    return frozenset(zip(*(items[i:] for i in range(size)), strict=False))


def words_of(text: str) -> list[str]:
    """In lower case, without punctuation."""
    return re.findall(r"[\w']+", text.lower())


def likeness(texts: Sequence[str]) -> list[float]:
    """Of each text the Jaccard index of its word 3-grams with those of the text that is most like it."""
    sets = [grams(words_of(text), 3) for text in texts]
    found = [0.0] * len(texts)
    for i, one in enumerate(sets):
        for j in range(i):
            both = len(one & sets[j])
            if both:
                alike = both / (len(one) + len(sets[j]) - both)
                found[i], found[j] = max(found[i], alike), max(found[j], alike)
    return found


def wrong_articles(text: str) -> list[str]:
    """ "a elephant", "an bear"."""
    found = _ARTICLE.finditer(text)
    # What has a capital may be spoken in any way.
    return [m[0] for m in found if m[2].islower() and m[2] not in _LETTER and (m[1].lower() == "an") != an(m[2])]


@functools.cache
def known_words(lexicon: Lexicon) -> frozenset[str]:
    """Words of the corpus and of the generator's own tables, in lower case."""
    tables = " ".join(file.read_text(encoding="utf-8") for file in sorted(TABLES.iterdir()) if file.is_file())
    names = (name.lower() for name in lexicon.common.all)
    return frozenset([*words_of(tables), *names, *lexicon.counts, *lexicon.words.all])


def unlucky_names(text: str, lexicon: Lexicon) -> list[str]:
    """Invented names that nobody should be called."""
    known = known_words(lexicon)
    return [name for name in re.findall(r"\b[A-Z][a-z]{2,}\b", text) if name.lower() not in known and unlucky(name)]


def glued(text: str, lexicon: Lexicon) -> list[str]:
    """Words that stand together without a space."""
    known, usual = known_words(lexicon), lexicon.counts

    def two(word: str) -> bool:
        return any(usual[word[:i]] >= _USUAL and usual[word[i:]] >= _USUAL for i in range(3, len(word) - 2))

    long = (m[0] for m in re.finditer(r"(?<![\w'])[a-z]{6,}(?![\w'])", text))
    return [*_STICKS.findall(text), *(word for word in long if word not in known and two(word))]


def distinct(ids: Sequence[int], each: int = 1000, size: int = 4) -> list[int]:
    """How many different runs of four tokens there are in each thousand."""
    return [len(grams(ids[i : i + each], size)) for i in range(0, max(1, len(ids) - each + 1), each)]


def said_before(ids: Sequence[int], each: int = 1000, size: int = 8) -> float:
    """The share of runs of eight tokens in the last thousand that stood somewhere before it."""
    last = grams(ids[-each:], size)
    return len(last & grams(ids[:-each], size)) / max(1, len(last))


def share(numbers: Collection[float], above: float) -> float:
    """Of those above."""
    return sum(number > above for number in numbers) / max(1, len(numbers))
