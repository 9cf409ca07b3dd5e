"""The word stock: its tables, and what is made by chance."""

import re

import pytest
from griff.lexicon import Lexicon, table, unlucky
from griff.wording import Source, Wordings, a, roughen

LEAST = {
    "names_foreign": 1200,
    "names_rare": 650,
    "names_double": 120,
    "names_last": 300,
    "things": 500,
    "animals": 150,
    "colors": 120,
    "towns": 250,
    "coarse": 300,
}


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory):
    return Lexicon(tmp_path_factory.mktemp("no_corpus"))


@pytest.mark.parametrize("name", LEAST)
def test_a_table_has_enough_rows_and_none_twice(name):
    words = [row[0] for row in table(name)]
    assert len(words) >= LEAST[name]
    assert len(set(words)) == len(words)
    assert all(word == word.strip() and "  " not in word for word in words)


def test_names_come_from_many_countries_with_accents_and_without():
    rows = table("names_foreign")
    assert all(len(row) == 2 for row in rows)
    assert len({country for _, country in rows}) >= 45
    assert 0.05 < sum(not name.isascii() for name, _ in rows) / len(rows) < 0.2


def test_no_table_holds_a_coarse_word(lexicon):
    for name in LEAST:
        for word, *_ in table(name):
            if name not in ("coarse", "names_foreign", "names_last", "names_double"):
                assert lexicon.coarse.isdisjoint(re.findall("[a-z]+", word.lower())), word


def test_common_words_are_in_lower_case():
    for name in ("things", "animals", "colors", "coarse"):
        assert all(re.fullmatch("[a-z -]+", word) for word, *_ in table(name)), name


@pytest.mark.parametrize("held", [False, True])
def test_names_and_towns_of_either_source(lexicon, held):
    source = Source(1, held=held)
    for kind in ("rare", "foreign", "invented"):
        assert all(lexicon.name(source, kind)[1] == kind for _ in range(50))
    towns = {lexicon.town(source) for _ in range(200)}
    assert len(towns) > 100
    assert not any("  " in town for town in towns)


def test_what_is_held_out_is_in_no_training_row(lexicon):
    for pool in (lexicon.rare, lexicon.foreign, lexicon.towns, lexicon.things, lexicon.animals, lexicon.colors):
        assert pool.held
        assert set(pool.held).isdisjoint(pool.kept)


def test_a_name_is_one_word_unless_two_are_asked_for(lexicon):
    for kind in ("rare", "foreign", "invented"):
        assert not any(" " in lexicon.name(Source(i), kind)[0] for i in range(300))


def test_unlucky_names():
    assert unlucky("Biosex")
    assert not unlucky("Mirabel")


EYE_ALONE = """ukulele unicorn unicycle uniform union unique unit universe university use useful useless user username usual
utensil utopia uranium uranus europe euro eulogy ewe one once unanimous"""
EAR_ALONE = "heir heiress herb honest honesty honor hour hourglass"
STRANGE = set((EYE_ALONE + " " + EAR_ALONE).split())
UN = "umbrella uncle unusual uninvited unimaginable usher utter utmost urn urge update onerous unidentified"


def test_articles_are_right():
    assert [word for word in EYE_ALONE.split() if a(word) != f"a {word}"] == []
    assert [word for word in (EAR_ALONE + " " + UN).split() if a(word) != f"an {word}"] == []
    assert a("European owl") == "a European owl" and a("honest hen") == "an honest hen"


def test_articles_are_right_for_every_noun_of_the_tables():
    words = {row[0] for name in ("things", "animals", "colors", "story_kinds") for row in table(name)}
    words |= {item for row in table("kinds") for item in row[3].split("|")}
    words |= {item for row in table("categories") for item in row[1].split("|")}
    words |= {row[0] for name in ("describe", "petnames", "chain", "spy") for row in table(name)}
    words = {re.sub("^(a|an|the|my|your) ", "", word) for word in words}
    assert len(words) > 1000
    for word in words:
        first = word.split()[0].lower()
        vowel = (first[0] in "aeiou") != (first in STRANGE)
        assert a(word) == f"{'an' if vowel else 'a'} {word}"


@pytest.mark.parametrize(
    ("template", "never"),
    [
        ("[hey]tell me a story[please].", r"(question|asking|ask you): Tell|me a story for me|me a story, please for"),
        ("[hey]please say it[please].", "please.*please"),
        ("[hey]can you sing[please]?", "can you.*if you can"),
        ("[hey]I want one[please].", "(question|asking|ask you): I want"),
    ],
)
def test_openers_and_polite_words_go_with_what_is_said(template, never):
    said = {Wordings([template]).say(Source(seed)) for seed in range(600)}
    assert len(said) > 15
    assert [text for text in said if re.search(never, text, re.I)] == []


def test_openers_of_questions_stand_before_questions():
    said = {Wordings(["[hey]what is a hen[end]"]).say(Source(seed)) for seed in range(600)}
    assert any(text.startswith("Just asking: what") for text in said)


def test_contractions_end_where_a_word_does() -> None:
    for text in ("I wouldn't do nothing.", "Whatever you aren't", "I would; you are; do not"):
        found = {roughen(Source(seed), text) for seed in range(300)}
        assert not any("'dn" in one or "don'th" in one or "'ren" in one for one in found)
    assert any("I'd; you're; don't" in one for one in found)
