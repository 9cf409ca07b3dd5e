"""Words and names of an open vocabulary, with those that the evaluation keeps for itself.

Names come from four places: common ones, rare ones, those of many countries, and letters put together by chance. An
invented name is looked at before it is used: it may not hold an unlucky word (`unlucky`).
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .corpus import Corpus
from .wording import Pool, Source, _digest

TABLES = Path(__file__).parent / "tables"


@functools.cache
def table(name: str) -> tuple[tuple[str, ...], ...]:
    """The rows of a file in `tables/`: fields between tabs, `#` begins a comment."""
    lines = (TABLES / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return tuple(tuple(line.split("\t")) for line in lines if line and not line.startswith("#"))


_UNLUCKY = re.compile(
    "sex|porn|nud|puss|poo|pee|piss|shit|crap|fuc|fuk|foc|fok|fag|dik|dick|cock|coc|cum|tit|bum|butt|ass|arse|anal|anus|rap"
    "|nig|kik|jew|naz|hit|kkk|slut|hoe|whor|hor|bitch|cunt|kunt|twat|wank|gay|hom|lesb|trann|drug|meth|dead|kil|die|gun"
    "|bomb|god|allah|jesus|christ|fat|ugl|pig|pen|vag|boob|balls|suck|lick|spic|chink|gook|paki|turd|fart|damn|hell|ho$"
)


_STUTTER = re.compile(r"(.)\1\1|aiia|eeia|ioio|iaia|aeae|[aeiou]{4}")


def unlucky(name: str) -> bool:
    """Whether an invented name holds what nobody should be called, or what nobody can say."""
    return bool(_UNLUCKY.search(name.lower()) or _STUTTER.search(name.lower()))


def _parts(text: str) -> list[str]:
    return text.split("|")


_BEGIN = _parts("b|br|c|ch|d|dr|f|fl|g|gr|h|j|k|kl|l|m|n|p|pr|q|r|s|sh|st|t|th|tr|v|w|x|y|z|")
_MIDDLE = _parts("a|e|i|o|u|a|e|i|o|ai|ee|ia|io|oo|ou|ae")
_END = _parts("n|l|r|s|ra|na|lin|ko|mi|th|x|m|ck|dor|vik|esh|||")
_LETTERS = "aabcdeeefghiijklmnnoopqrrsstuuvwxyz"
_KINDS = ("common",) * 3 + ("rare",) * 3 + ("foreign",) * 4 + ("invented",) * 5
_TOWN_ENDS = _parts("ton|ford|field|burg|by|dale|stad|wick|ham|ley|mouth|port|grad|ville|haven|bridge|wood|")


class Lexicon:
    """The word stock."""

    def __init__(self, folder: Path, pieces: Sequence[str] = ()) -> None:
        """`pieces`: words of the tokenizer, whose letters are to be known."""
        self.corpus = Corpus(folder)
        self.pieces = tuple(pieces)

    # --- names ----------------------------------------------------------------------------

    @functools.cached_property
    def common(self) -> Pool[str]:
        """First names that everybody knows."""
        rows = self.corpus.list_of("humans/firstNames")["firstNames"]
        return Pool([name for name in rows if 3 <= len(name) <= 11 and name.isalpha()])

    @functools.cached_property
    def rare(self) -> Pool[str]:
        return Pool([row[0] for row in table("names_rare")])

    @functools.cached_property
    def foreign(self) -> Pool[str]:
        """First names of many countries, in ASCII and not."""
        return Pool([row[0] for row in table("names_foreign")])

    def invented(self, source: Source) -> str:
        """Letters put together by chance; those whose digest says so are held out."""
        while True:
            syllables = source.pick(1, 2, 2, 2, 3, 3, 4)
            name = "".join(source.pick(*_BEGIN) + source.pick(*_MIDDLE) for _ in range(syllables)) + source.pick(*_END)
            fine = 3 <= len(name) <= 12 and not unlucky(name) and name not in self.coarse
            if fine and (_digest(name) % 7 == 0) == source.held:
                return name.capitalize()

    def scrambled(self, source: Source) -> str:
        """Letters by chance, three to twelve, that nobody can say."""
        while True:
            name = "".join(source.chance.choices(_LETTERS, k=source.number(3, 12)))
            if not unlucky(name) and name not in self.coarse and (_digest(name) % 7 == 0) == source.held:
                return name.capitalize()

    @functools.cached_property
    def doubles(self) -> Pool[str]:
        return Pool([row[0] for row in table("names_double")])

    def double(self, source: Source) -> str:
        """A name of two parts, or with a hyphen: from a table, or two that are put together, the last one often a surname."""
        if source.maybe(0.3):
            return source.of(self.doubles)
        while True:
            first, second = self.name(source)[0], self.name(source)[0]
            if source.maybe(0.4):
                second = source.of(self.surnames)
            name = f"{first}{source.pick(' ', ' ', '-')}{second}"
            if first != second and len(name) <= 24:
                return name

    def name(self, source: Source, kind: str = "") -> tuple[str, str]:
        """A name of one word and its kind: common, rare, foreign or invented (as often as training needs them, or `kind`)."""
        kind = kind or source.pick(*_KINDS)
        if kind == "invented":
            return (self.scrambled if source.maybe(0.15) else self.invented)(source), kind
        # By name, so that a table is read only when it is drawn from.
        pool: Pool[str] = getattr(self, kind)
        return source.of(pool), kind

    @functools.cached_property
    def surnames(self) -> Pool[str]:
        return Pool([row[0] for row in table("names_last")])

    @functools.cached_property
    def towns(self) -> Pool[str]:
        """Real ones, of the whole world."""
        return Pool([row[0] for row in table("towns")])

    def town(self, source: Source) -> str:
        """A town, every other one invented."""
        if source.maybe(0.5):
            return source.of(self.towns)
        while True:
            stem = self.invented(source)
            town = stem + source.pick(*_TOWN_ENDS) if len(stem) < 7 else stem
            if not unlucky(town):
                return source.pick("", "", "", "", "", "New ", "Old ", "Port ", "Upper ", "Little ") + town

    # --- words ----------------------------------------------------------------------------

    @functools.cached_property
    def words(self) -> Pool[str]:
        """Words of easy English, in lower case."""
        rows = self.corpus.rows("wordnet_easy")
        words = sorted({row["word"] for row in rows if re.fullmatch("[a-z]{3,10}", row["word"])})
        return Pool([word for word in words if word not in self.coarse])

    @functools.cached_property
    def counts(self) -> Counter[str]:
        """How often each word stands in everyday sentences, in lower case."""
        return Counter(
            word
            for row in self.corpus.rows("tatoeba_en")
            for word in re.findall(r"(?<![\w'])[a-z]+(?![\w'])", row["text"])
        )

    @functools.cached_property
    def vocabulary(self) -> Pool[str]:
        """Words of everyday sentences, in lower case, in any form."""
        usual = sorted(word for word, n in self.counts.items() if n >= 3 and 3 <= len(word) <= 12)
        return Pool([word for word in usual if word not in self.coarse])

    @functools.cached_property
    def long_words(self) -> Pool[str]:
        """Of these, the long ones, rare ones too."""
        found = sorted(word for word in self.counts if 10 <= len(word) <= 15 and word not in self.coarse)
        return Pool(found) if found else self.vocabulary

    @functools.cached_property
    def nouns(self) -> Pool[str]:
        rows = self.corpus.rows("wordnet_easy")
        words = sorted({r["word"] for r in rows if r["pos"] == "noun" and re.fullmatch("[a-z]{3,9}", r["word"])})
        return Pool([word for word in words if word not in self.coarse])

    @functools.cached_property
    def things(self) -> Pool[str]:
        """What one can hold, wear, see or keep in a house."""
        return Pool([row[0] for row in table("things")])

    @functools.cached_property
    def animals(self) -> Pool[str]:
        return Pool([row[0] for row in table("animals")])

    @functools.cached_property
    def colors(self) -> Pool[str]:
        """Color words of one word or two."""
        return Pool([row[0] for row in table("colors")])

    @functools.cached_property
    def coarse(self) -> frozenset[str]:
        """Words that are in no question and no answer."""
        return frozenset(row[0] for row in table("coarse"))

    def made_up(self, source: Source) -> str:
        """Letters that are no word, in lower case."""
        return self.invented(source).lower()

    def figure(self, source: Source) -> str:
        """A number to be remembered: some are held out."""
        while True:
            low, high = source.pick((2, 20), (2, 99), (100, 999), (1000, 9999), (10_000, 999_999))
            number = str(source.number(low, high))
            if len(number) < 3 or (_digest(number) % 7 == 0) == source.held:
                return number

    # --- sentences ------------------------------------------------------------------------

    @functools.cached_property
    def sentences(self) -> Pool[str]:
        """Short sentences that people wrote down."""
        rows = (row["text"] for row in self.corpus.rows("tatoeba_en"))
        return Pool([text for text in rows if 8 <= len(text) <= 70 and not self._coarse_text(text)])

    @functools.cached_property
    def long_sentences(self) -> Pool[str]:
        """Longer ones, of fifteen words at most."""
        rows = (row["text"] for row in self.corpus.rows("tatoeba_en"))
        found = [
            text for text in rows if 70 < len(text) <= 110 and text.count(" ") < 15 and not self._coarse_text(text)
        ]
        return Pool(found) if found else self.sentences

    @functools.cached_property
    def statements(self) -> Pool[str]:
        """Of these, what a person may say about the day; nothing about names, colours or numbers."""
        begins = {"I", "We", "He", "She", "The", "My", "It", "They", "There", "This", "That", "Our", "His", "Her"}
        told = "name|call|color|favorite|birthday|number|live in|years old|kill|die|dead"
        # Nor what asks for more than a nod.
        grave = (
            "hurt|pain|hospital|sad|lonely|hate|afraid|scare|cry|cri|sick|ill |help|suffer|accident|alone|arrest|police|"
            "prison|jail|steal|stole|fight|fought|beat|hit |divorce|depress|pill|surgery|lost|threat|murder|danger|worr|"
            "bad |worse|enough|miss |burn|fire|broke|crash|bit |attack|fell|sorry|wound|terribl|horribl|awful|angry|upset|"
            "tears|trouble"
        )
        avoid = tuple((told + "|" + grave).split("|"))
        return Pool(
            [
                text
                for text in self.sentences.all
                if text.endswith(".") and text.split()[0] in begins and not any(word in text.lower() for word in avoid)
            ]
        )

    def _coarse_text(self, text: str) -> bool:
        return not self.coarse.isdisjoint(re.findall("[a-z]+", text.lower()))
