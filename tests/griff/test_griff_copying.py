"""Copying: each kind's own answer is right, and its questions are whole."""

import itertools
import json
import lzma
import re

import pytest
from griff import copying, copying_letters
from griff.cases import Case, Turn, passes
from griff.copying_parts import _wordings
from griff.lexicon import Lexicon, table
from griff.wording import Source, a

WHO = ("He", "She", "My aunt", "The baker", "Our dog", "The old man")
DOES = ("saw the river", "went to the little market", "likes green apples", "found a lamp", "walks to school today")
ASKS = ("Where does the river go", "Who likes apples", "When does the market open", "Why is the lamp green")


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory):
    """Over a corpus of a few sentences, words and names."""
    folder = tmp_path_factory.mktemp("corpus")
    told = [f"{who} {does}." for who, does in itertools.product(WHO, DOES)]
    asked = [f"{ask} {when}?" for ask, when in itertools.product(ASKS, ("today", "now", "in May", "at night", "here"))]
    words = {word for text in told + asked for word in re.findall("[a-z]{3,}", text)}
    files = {
        "tatoeba_en": [{"text": text} for text in told + asked],
        "wordnet_easy": [{"word": word, "pos": "noun"} for word in sorted(words)],
        "corpora_lists": [
            {"name": "humans/firstNames", "text": json.dumps({"firstNames": [*["Anna", "Bert", "Cora"]]})}
        ],
    }
    for name, rows in files.items():
        with lzma.open(folder / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.write("\n".join(json.dumps(row) for row in rows))
    return Lexicon(folder)


@pytest.mark.parametrize("held", [False, True], ids=["kept", "held"])
@pytest.mark.parametrize("kind", copying.KINDS, ids=lambda kind: kind.name)
def test_each_kind_answers_its_own_question(kind, held, lexicon):
    source = Source(kind.name, held=held)
    for _ in range(8):
        case = kind.make(source, lexicon)
        assert case.accept or case.exact is not None or case.some, "nothing is checked"
        assert passes(case, case.turns[-1].model), case
        assert not passes(case, ""), case
        for turn in case.turns:
            assert "  " not in turn.user + turn.model
            assert not re.search(r"\{\w*\}|\[(do|hey|please|stop|end|kin|words?|item)\]", turn.user + turn.model), turn
            assert not re.search(r"\ba (?=elephant|owl|apple|egg|otter)", turn.model), turn
            assert turn.user and turn.model
            assert all(part in turn.model for part in turn.copied), turn


def test_the_same_seed_makes_the_same_cases(lexicon):
    for kind in copying.KINDS:
        assert kind.make(Source(7), lexicon) == kind.make(Source(7), lexicon)


def test_kinds_have_names_of_their_own():
    names = [kind.name for kind in copying.KINDS]
    assert len(set(names)) == len(names)
    assert {kind.group for kind in copying.KINDS} == {"copying", "tasks"}


def test_wordings_are_many_and_some_are_held_out():
    for name, wordings in _wordings().items():
        pool = wordings.templates
        assert len(pool.all) >= 22, name
        assert pool.held and set(pool.held).isdisjoint(pool.kept), name


def test_a_kind_of_things_has_what_is_asked_for():
    for many, one, bare, items in table("kinds"):
        assert one in (a(bare), f"an {bare}"), many
        assert len(set(items.split("|"))) == len(items.split("|")) >= 3, many


def test_what_is_checked_in_an_answer():
    says = Case((Turn("?", ""),), exact="Blue door")
    assert passes(says, " blue  door.")
    assert not passes(says, "a blue door")
    loud = Case((Turn("?", ""),), exact="BLUE", cased=True)
    assert passes(loud, "BLUE")
    assert not passes(loud, "blue")
    two = Case((Turn("?", ""),), some=(2, ("apple", "apple pie", "cake")))
    assert passes(two, "Apple pie and cakes.")
    assert not passes(two, "Apple pie.")
    assert not passes(two, "Apple, apple pie and cake.")
    with_words = Case((Turn("?", ""),), accept=(("cat", "dog"), ("lamp",)), reject=("cup",))
    assert passes(with_words, "The dog has a lamp.")
    assert not passes(with_words, "The dogs have a lamp.")
    assert not passes(with_words, "The dog has a lamp and a cup.")


def test_every_word_is_spelled_held_out_or_not(lexicon):
    """Which letters a word has stands nowhere in the conversation: what is never spelled is never known."""
    words = set(copying_letters._all(lexicon))
    assert set(lexicon.vocabulary.held) & words and set(lexicon.things.held) & words
    drawn = {copying_letters.spellable(Source(seed), lexicon).text.lower() for seed in range(6000)}
    frequent = {word for word, count in lexicon.counts.items() if count >= 10 and len(word) > 2}
    assert frequent <= drawn
    assert len(words & drawn) > 0.6 * len(words)


def test_the_tokenizers_pieces_are_spelled(tmp_path_factory, lexicon):
    known = Lexicon(lexicon.corpus.folder, ["qwertz", "Asdfg"])
    drawn = {copying_letters.spellable(Source(seed), known).text.lower() for seed in range(300)}
    assert {"qwertz", "asdfg"} <= drawn


def test_words_are_spelled_in_each_form_of_their_first_letter(lexicon):
    drawn = [copying_letters.spellable(Source(seed), lexicon).text for seed in range(500)]
    assert 0.6 < sum(text.islower() for text in drawn) / len(drawn) < 0.85
    assert any(text.istitle() for text in drawn) and any(text.isupper() for text in drawn)


@pytest.mark.parametrize("held", [False, True])
def test_letters_are_worked_out_before_the_answer(held, lexicon):
    for seed in range(60):
        case = copying_letters.letter(Source(seed, held), lexicon)
        parts, found = re.fullmatch(r"([^:]*): the \w+ letter is (.)\.", case.turns[0].model).groups()
        assert parts.split("-")[-1] == found
        assert not passes(case, parts), "the letters alone are no answer"
        case = copying_letters.backspell(Source(seed, held), lexicon)
        first, back = case.turns[0].model.split(", and backwards: ")
        assert first.split("-") == back.split("-")[::-1]
        case = copying_letters.letters(Source(seed, held), lexicon)
        parts, count = re.fullmatch(r"(.*) has (\d+) letters\.", case.turns[0].model).groups()
        assert len(parts.split("-")) == int(count)


@pytest.mark.parametrize("held", [False, True])
def test_what_is_said_of_letters_is_so(held, lexicon):
    for seed in range(100):
        case = copying_letters.backword(Source(seed, held), lexicon)
        first, back, word = re.fullmatch("(.*), and backwards: (.*), (.*)", case.turns[0].model).groups()
        assert first.split("-") == back.split("-")[::-1] and word == back.replace("-", "").lower()
        assert passes(case, word) and (first == back or not passes(case, first))
        case = copying_letters.has_letter(Source(seed, held), lexicon)
        parts, says, letter = re.fullmatch(r"(.*): (yes, it has an?|no, it has no) (.)\.", case.turns[0].model).groups()
        assert (letter in parts.split("-")) == says.startswith("yes")
        assert passes(case, says) and not passes(case, "no" if says.startswith("yes") else "yes")
        case = copying_letters.count_letter(Source(seed, held), lexicon)
        parts, letter, times = re.fullmatch(r"(\S+) has (?:no )?(.)(?: (.*))?\.", case.turns[0].model).groups()
        count = parts.split("-").count(letter)
        assert {None: 0, "once": 1, "twice": 2}.get(times) == count or times == f"{count} times"
        assert passes(case, str(count)) and not passes(case, str(count + 1))
        case = copying_letters.vowels(Source(seed, held), lexicon)
        parts, count = re.fullmatch(r"(\S+): the .*, so (\d+)\.", case.turns[0].model).groups()
        assert sum(sign in "AEIOU" for sign in parts.split("-")) == int(count)
        case = copying_letters.first_last(Source(seed, held), lexicon)
        first, last = case.exact.split(" and ")
        assert re.search(rf"\b{first}\w*{last}\b", case.turns[0].user, re.IGNORECASE)


def test_what_is_copied_is_short_and_long(lexicon):
    words = {text.count(" ") + 1 for text in (copying.sentence(Source(seed), lexicon) for seed in range(400))}
    assert {4, 5, 6} <= words
    items = {copying.listing(Source(seed), lexicon, 2, 7).text.count(", ") + 1 for seed in range(200)}
    assert items >= {2, 3, 4, 5, 6, 7}
    kinds = {copying.piece(Source(seed), lexicon).kind for seed in range(600)}
    assert {"string", "long word", "code", "number", "full name"} <= kinds


def test_two_steps_are_done_in_their_order(lexicon):
    for seed in range(80):
        case = copying.several_then(Source(seed), lexicon)
        *first, last = case.exact.split(", ")
        assert len(first) in (2, 3) and len(set(first)) == 1 and last not in first
        case = copying.say_and_spell(Source(seed), lexicon)
        one, other = case.exact.split(", ")
        assert one.replace("-", "").lower() == other.replace("-", "").lower()
        one, other = copying.loud_then(Source(seed), lexicon).exact.split(", ")
        assert one == one.upper() and other == other.lower()
