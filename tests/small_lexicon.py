"""A word stock for tests of the generator, without the corpus."""

from __future__ import annotations

from griff.lexicon import Lexicon
from griff.wording import Pool

_WORDS = "river lamp stone cloud basket window meadow button turban mirror quilt ladder saddle turnip whistle anchor"


class Small(Lexicon):
    """A word stock without the corpus."""

    common = Pool(["Anna", "Peter", "Maria", "Thomas", "Julia", "Robert", "Linda", "Walter", "Susan", "Frank"])
    rare = Pool(["Thorvald", "Isolde", "Barnaby", "Cosima", "Leander", "Gawain", "Ottoline", "Basil"])
    foreign = Pool(["Hyunwoo", "Citlali", "Rafiq", "Chantrea", "Timofey", "Priyanka", "Jörg", "Kinga"])
    words = nouns = things = Pool(_WORDS.split())
    statements = Pool([f"The {word} is behind the old house." for word in _WORDS.split()])
    sentences = Pool([f"The {word} of my uncle is in the house by the sea." for word in _WORDS.split()])
    coarse = frozenset[str]()
