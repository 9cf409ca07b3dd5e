"""Griff's small tasks: jokes, riddles, games, messages, recipes, lists, advice."""

import itertools
import json
import lzma
import re
import subprocess
from types import ModuleType

import pytest
from griff import (
    amuse,
    chance,
    facts,
    games,
    guessing,
    helping,
    letters,
    little,
    little_words,
    rhymes,
    sayings,
    writing,
)
from griff.cases import Case, Kind
from griff.lexicon import Lexicon, table
from griff.orders import articles
from griff.wording import SLOTS, Pool, Source, Wordings, a

MODULES = (amuse, chance, games, guessing, helping, letters, little, little_words, rhymes, sayings, writing)
KINDS = [
    pytest.param(kind, id=kind.name)
    for module in (amuse, games, little, little_words, rhymes, writing)
    for kind in module.KINDS
]
NOUNS = (
    "anchor basket candle door engine fiddle garden hammer island jacket kettle ladder mirror needle oven pillow quilt"
)
NOUNS += " ribbon saddle ticket umbrella violin wagon yard zipper"
NAMES = (
    "Anna Bruno Carla Dirk Emil Fiona Gustav Hanna Igor Jasmin Kurt Lena Moritz Nora Oskar Paula Rosa Simon Tilda Uwe"
)


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    folder = tmp_path_factory.mktemp("corpus")
    files = {
        "corpora_lists": [{"name": "humans/firstNames", "text": json.dumps({"firstNames": NAMES.split()})}],
        "wordnet_easy": [{"word": word, "pos": "noun", "text": "a thing"} for word in NOUNS.split()],
        "tatoeba_en": [{"text": f"I see {a(word)}."} for word in NOUNS.split() for _ in range(3)],
    }
    for name, rows in files.items():
        with lzma.open(folder / f"{name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    made = Lexicon(folder)
    # The tables of names and things are others' parts: here a few stand for them.
    made.__dict__ |= {
        "rare": Pool(["Thorvald", "Cosima", "Zebulon", "Philippa"]),
        "foreign": Pool(["Aiko", "Mehmet", "Oluwaseun", "Jürgen"]),
        "things": Pool(
            [
                "spoon",
                "lantern",
                "teapot",
                "hat",
                "acorn",
                "box",
                "brush",
                "scarf",
                "map",
                "whistle",
                "orange",
                "umbrella",
            ]
        ),
        "coarse": frozenset({"damn"}),
    }
    return made


def has(word: str, text: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", text.lower()))


def passes(case: Case) -> bool:
    answer = case.turns[-1].model
    return all(any(has(word, answer) for word in group) for group in case.accept) and not any(
        has(word, answer) for word in case.reject
    )


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_passes_its_own_check(kind: Kind, held: bool, lexicon: Lexicon) -> None:
    source = Source(kind.name, held)
    for _ in range(40):
        case = kind.make(source, lexicon)
        assert case.turns
        assert passes(case), case
        before = ""
        for turn in case.turns:
            before += turn.user + "\n"
            for text in (turn.user, turn.model):
                assert text == text.strip() and text, case
                assert not re.search(r"  |[{}\[\]\0\1]| \n|\n ", text), text
            assert not re.search(r"\ba (?=[aeio]\w)(?!one\b|euro|once\b)|\ban (?=[bcdfgjklmnpqrstvwz])", turn.model), (
                turn
            )
            for part in turn.copied:
                assert has(part, turn.model), turn
                assert part.lower() in before.lower(), turn
            before += turn.model + "\n"


@pytest.mark.parametrize("module", MODULES)
def test_wordings_are_many_and_parted(module: ModuleType) -> None:
    asked: dict[str, Wordings] = module.ASK
    for name, wordings in asked.items():
        pool = wordings.templates
        assert not set(pool.kept) & set(pool.held), name
        assert len(pool.all) >= 20, name
        assert pool.held != pool.all, name


def test_tables_are_whole() -> None:
    wide = {
        "jokes": 3,
        "riddles": 3,
        "proverbs": 3,
        "funfacts": 2,
        "messages": 2,
        "recipes": 5,
        "howtos": 3,
        "advice": 3,
    }
    wide |= {"describe": 3, "procons": 3, "gifts": 2, "packing": 3, "haiku": 2, "quiz": 3, "rather": 4, "spy": 3}
    least = {"jokes": 150, "riddles": 100, "proverbs": 60, "funfacts": 50, "messages": 40, "recipes": 40, "howtos": 60}
    least |= {"describe": 150, "advice": 60, "haiku": 30}
    for name, columns in wide.items():
        rows = table(name)
        assert all(len(row) == columns for row in rows), name
        assert len({row[0] for row in rows}) == len(rows) >= least.get(name, 10), name
        assert all(field.isascii() and field == field.strip() and "  " not in field for row in rows for field in row), (
            name
        )


@pytest.mark.parametrize("name", ["advice", "describe", "howtos", "proverbs", "recipes"])
def test_what_must_be_said_is_in_the_answer(name: str) -> None:
    for row in table(name):
        assert any(has(word, " ".join(row[:-1])) for word in row[-1].split("|")), row


def test_animals_are_told_apart_by_their_questions() -> None:
    for name in guessing.GUESSED:
        steps = guessing.path(name)
        left = [
            other
            for other in guessing.GUESSED
            if all(
                q in guessing.animals()[other].unsure or (q in guessing.animals()[other].true) == yes
                for q, yes in steps
            )
        ]
        assert left == [name], (name, left)
        assert 2 <= len(steps) <= 8, (name, len(steps))


def test_attributes_of_animals_are_known_ones() -> None:
    for animal in guessing.animals().values():
        assert animal.true <= set(guessing.attributes()), animal
        assert animal.unsure <= set(guessing.attributes()), animal
        assert not animal.true & animal.unsure, animal


def test_rock_paper_scissors_has_a_right_winner() -> None:
    assert chance.result("rock", "paper") == "paper covers rock, so I win"
    assert chance.result("paper", "rock") == "paper covers rock, so you win"
    assert chance.result("scissors", "rock") == "rock breaks scissors, so I win"
    assert chance.result("scissors", "paper") == "scissors cut paper, so you win"


def test_the_bag_only_grows(lexicon: Lexicon) -> None:
    for seed in range(50):
        case = games.bag(Source(seed), lexicon)
        for before, after in zip(case.turns, case.turns[1:], strict=False):
            packed = (
                before.model.removeprefix("I packed my bag and put in ").rstrip(".").replace(" and ", ", ").split(", ")
            )
            assert all(has(thing, after.user) and has(thing, after.model) for thing in packed), case


def test_a_number_is_found_by_halving(lexicon: Lexicon) -> None:
    for seed in range(50):
        case = chance.number_guessed(Source(seed), lexicon)
        guesses = [int(found[0]) for turn in case.turns[:7] if (found := re.findall(r"\d+", turn.model))]
        assert len(set(guesses[:-1])) == len(guesses[:-1]), case


def test_articles() -> None:
    assert articles("a easy riddle, a owl, a one, a hat") == "an easy riddle, an owl, a one, a hat"


def test_a_message_is_for_a_time_at_which_people_meet() -> None:
    hours = {int(found[0]) for time in writing.TIMES.all if (found := re.match(r"(\d+)(?=:| pm| am)", time))}
    assert not any(time.endswith("am") for time in writing.TIMES.all)
    assert hours <= set(range(1, 21))


def test_a_letter_says_what_it_was_asked_to_say(lexicon: Lexicon) -> None:
    """In the words of the request, to whom it names, and with nothing refused."""
    circles = {row[2] for row in letters.people().all}
    assert {one.whom for one in letters.topics()} <= circles and {one.how for one in letters.topics()} == set(
        letters.leads()
    )
    asked = set()
    for seed in range(200):
        case = letters.letter(Source(seed, held=seed % 2 == 0), lexicon)
        user, answer = case.turns[0].user, case.turns[0].model
        greeting, body, *_ = answer.split("\n")
        assert re.match("(Dear|Hi|Hello) ", greeting) and greeting.endswith(","), answer
        assert all(has(group[0], body) or has(group[0], answer) for group in case.accept), case
        assert "refuse" not in answer and not re.search("won't|rather not", answer)
        asked.add(re.sub(r"\W", "", user.lower()))
    assert len(asked) > 190


def test_who_says_not_what_to_write_is_asked(lexicon: Lexicon) -> None:
    counts = [0, 0]
    for seed in range(80):
        turns = letters.asked_back(Source(seed), lexicon).turns
        assert has("what", turns[0].model), turns
        counts[len(turns) - 1] += 1
    assert min(counts) > 15


def test_rows_numbers_and_letters_are_right(lexicon: Lexicon) -> None:
    for seed in range(150):
        source = Source(seed)
        case = little.count(source, lexicon)
        numbers = [*map(int, case.turns[0].model.split(", "))]
        assert len({b - a for a, b in itertools.pairwise(numbers)}) == 1, case
        case = little.sort_numbers(source, lexicon)
        numbers = [*map(int, case.turns[0].model.split(", "))]
        assert numbers in (sorted(numbers), sorted(numbers, reverse=True))
        assert {int(n) for n in re.findall(r"\d+", case.turns[0].user)} == set(numbers)
        case = little.with_letter(source, lexicon)
        first = re.sub("^. as in ", "", case.turns[0].model)[0].upper()
        assert all(one[0].upper() == first for one in case.accept[0])
        case = little.first_of(source, lexicon)
        assert case.accept[0][0] < case.reject[0]


def test_what_is_bigger_is_in_a_lower_row_of_the_table(lexicon: Lexicon) -> None:
    at = {thing: i for i, row in enumerate(table("little_sizes")) for thing in row[0].split("|")}
    seen = 0
    for seed in range(200):
        case = little.compare(Source(seed), lexicon)
        if case.about != "sizes":
            continue
        seen += 1
        right, wrong = at[case.accept[0][0]], at[case.reject[0]]
        assert abs(right - wrong) >= 2
        assert (right > wrong) == bool(re.search("bigger|larger|the big one", case.turns[0].user.lower())), case
    assert seen > 20


def test_what_rhymes_is_in_one_row_only(lexicon: Lexicon) -> None:
    words = [word for row in rhymes.families() for word in row]
    assert len(words) == len(set(words)) and len(rhymes.families()) >= 120
    assert not {row[0] for row in table("rhymes_none")} & set(words)
    of = {word: i for i, row in enumerate(rhymes.families()) for word in row}
    answers = set()
    for seed in range(150):
        case = rhymes.pair(Source(seed), lexicon)
        asked = [word for word in re.findall("[a-z]+", case.turns[0].user.lower()) if word in of and word not in USED]
        if len(asked) == 2:
            x, y = asked
            yes = case.turns[0].model.startswith("Yes")
            answers.add(yes)
            assert (of[x] == of[y]) == yes == ("yes" in case.accept[0]), case
        case = rhymes.odd(Source(seed), lexicon)
        (odd,) = case.accept[0]
        asked = [word for word in re.findall("[a-z]+", case.turns[0].user.lower()) if word in of and word not in USED]
        if odd not in USED and len(asked) in (3, 4):
            assert [word for word in asked if [of[a] for a in asked].count(of[word]) == 1] == [odd], case
    assert answers == {True, False}


_ASKED = [text for name in ("rhymepair", "rhymeodd") for text in rhymes.ASK[name].templates.all]
USED = frozenset(re.findall("[a-z]+", " ".join([*_ASKED, *SLOTS.values()]).lower()))
"""Words of the questions themselves that are in the table of rhymes."""


def test_what_rhymes_by_a_fact_is_not_said_not_to(lexicon: Lexicon) -> None:
    """The facts' own list of rhymes: none of them is of another row of the table."""
    of = {word: i for i, row in enumerate(rhymes.families()) for word in row}
    relation = next(relation for relation in facts.facts().relations if relation.name == "rhyme")
    for fact in relation.facts:
        assert all(of[word] == of[fact.x] for word in fact.right if {word, fact.x} <= set(of)), fact


def test_a_taught_word_has_its_own_meaning(lexicon: Lexicon) -> None:
    meanings = {word.x: word.right[0] for word in little_words.words()}
    assert len(meanings) >= 150
    for seed in range(80):
        case = little_words.teach(Source(seed), lexicon)
        said = [[x for x, y in meanings.items() if has(x, turn.model) and y in turn.model] for turn in case.turns]
        assert all(said) and (len(said) == 1 or said[0] != said[1]), case


def test_words_of_other_languages_mean_what_the_table_says(lexicon: Lexicon) -> None:
    known = little_words.there()
    assert not {row[0] for row in table("little_languages")} & set(known)
    for seed in range(100):
        case = little_words.meaning(Source(seed), lexicon)
        said = case.accept[0]
        assert all(any(english in words for words in known.values()) for english in said), case
        case = little_words.say_something(Source(seed), lexicon)
        language = case.about.split(" in ")[1]
        words = {
            english: right
            for english, right in known[language].items()
            if has(right[0], " ".join(t.model for t in case.turns))
        }
        assert words, case
        told = case.turns[-1].model.lower()
        assert "what was said" not in case.about or any(english in told for english in words), case
        case = little_words.no_word(Source(seed), lexicon)
        assert not any(has(language, case.turns[0].user) for language in known), case


def test_hello_world_is_python(lexicon: Lexicon, capsys: pytest.CaptureFixture[str]) -> None:
    lines = set()
    for seed in range(60):
        text = little_words.hello(Source(seed), lexicon).turns[0].model
        lines |= set(re.findall(r"print\(.*?\)", text))
    relation = next(relation for relation in facts.facts().relations if relation.name == "hello_world")
    lines |= {fact.right[0] for fact in relation.facts if fact.x == "Python"}
    assert lines
    for line in lines:
        exec(line, {})
        assert capsys.readouterr().out == "Hello, world!\n"
    for shell in (fact.right[0] for fact in relation.facts if fact.x in ("Bash", "the shell")):
        assert subprocess.run(["sh", "-c", shell], capture_output=True, text=True).stdout == "Hello, world!\n"


def test_rows_go_forward_and_backward(lexicon: Lexicon) -> None:
    rows = {row[1].lower().replace("|", ", ") for row in table("little_rows")}
    back = {", ".join(reversed(row.split(", "))) for row in rows}
    for seed in range(100):
        case = little.row(Source(seed), lexicon)
        said, backward = case.turns[0].model.lower(), re.search("back|revers|last|end", case.turns[0].user.lower())
        assert said in (back if backward and "the last five" not in case.turns[0].user.lower() else rows | back)


@pytest.mark.parametrize(
    ("one", "many"), [("box", "boxes"), ("city", "cities"), ("child", "children"), ("mouse", "mice"), ("lamp", "lamps")]
)
def test_more_than_one(one: str, many: str) -> None:
    assert facts.plural(one) == many
