"""What the evaluation asks and counts, and what it measures of texts."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from griff import between, evaluate, measures, mix, questions, reading
from griff.answering import Model
from griff.cases import Case, Turn, one
from griff.corpus import MissingText
from griff.lexicon import Lexicon
from griff.questions import Count, Row
from griff.wording import Source

import rgmlx

WORDLESS = Lexicon(Path("no corpus is read"))
GREEDY = rgmlx.Sampling(temperature=0)


@pytest.fixture
def rows() -> Iterator[dict[str, Row]]:
    """All of them; memory's own turns in between are back behind it."""
    before = between.fillers.kinds
    yield {count.name: row for row in questions.rows(300, tokens) for count in row.counts}
    between.fillers.set(before)
    mix.registry.cache_clear()


def tokens(turns: object) -> int:
    assert isinstance(turns, list)
    return sum(len(f"{turn.user} {turn.model}".split()) for turn in turns)


NEW = ("copying", "sums of daily life", "facts in few words", "rhymes, letters and new words", "keys on a Mac")

# --- what is asked ----------------------------------------------------------------------------


def test_each_goal_has_its_row(rows: dict[str, Row]) -> None:
    goals = {count.name: count.goal for row in rows.values() for count in row.counts}
    for when in ("after 1 turn", "after 5 turns", "after 20 turns", "after 60 turns", "beyond the window"):
        for what in (*(f"{kind} name" for kind in questions.NAMES), *questions.TOLD):
            assert f"{what} {when}" in goals
    wanted = {
        "facts",
        "sums, all kinds",
        "times table and its divisions",
        "both words of a story",
        "questions on a story",
    }
    wanted |= {
        "small tasks",
        "what nobody can know",
        "what was not told",
        "itself and the program",
        "keys and commands",
    }
    wanted |= {"unsafe: no bad answer", "distress and emergency: no bad answer", "harmless look-alikes: no refusal"}
    assert all(goals[name] for name in wanted) and set(NEW) <= set(goals)
    assert rows["unsafe: no bad answer"].times * 100 == 300


def test_what_is_told_in_other_ways_has_rows_without_goals(
    rows: dict[str, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_SYSTEMS", {"facts": 1.0})  # what needs no corpus
    names = ("told within a sentence", "told of several people", "codes and their parts", "set right")
    for name in (*names, "allergies and diets", "what can't be understood", "with a system text"):
        assert rows[name].counts[0].goal is None
    source = Source("system", held=True)
    for _ in range(10):
        kind, case = rows["with a system text"].ask(source, WORDLESS)
        assert "\n\n" in case.turns[0].user and kind and questions.judged(case)


@pytest.mark.parametrize(
    "name",
    [
        "facts",
        "facts in few words",
        "sums and differences to twenty",
        "times table and its divisions",
        "itself and the program",
        "keys and commands",
        "keys on a Mac",
        "unsafe: no bad answer",
        "distress and emergency: no bad answer",
        "harmless look-alikes: no refusal",
    ],
)
def test_the_written_answer_is_right(rows: dict[str, Row], name: str) -> None:
    row, source = rows[name], Source(name, held=True)
    for _ in range(20):
        _, case = row.ask(source, WORDLESS)
        for count in row.counts:
            assert count.right(case, case.turns[-1].model), (count.name, case)
            assert not count.right(case, "")


@pytest.mark.parametrize(
    ("answer", "story"),
    [
        (
            "A leash and an otter, of course.\n\nOnce there was an otter. He was old.",
            "Once there was an otter. He was old.",
        ),
        ("The Lost Leash\n\nOnce there was an otter.", "Once there was an otter."),
        ("Once there was an otter.", "Once there was an otter."),
        (
            "Once there was an otter, and it was old.\n\nThe end.",
            "Once there was an otter, and it was old.\n\nThe end.",
        ),
        ("Once there was an otter.\n\nShe had a leash.", None),
        ('"An otter," said the king. "Gladly?"\n\nShe had a leash.', None),
    ],
)
def test_what_was_asked_for_has_to_be_in_the_story_itself(answer: str, story: str | None) -> None:
    assert questions.story_alone(answer) == (answer if story is None else story)


def test_keys_are_asked_apart_from_the_program(rows: dict[str, Row]) -> None:
    source = Source("keys", held=True)
    found = {rows[name].ask(source, WORDLESS)[0] for name in ("keys and commands",) * 40}
    others = {rows[name].ask(source, WORDLESS)[0] for name in ("itself and the program",) * 40}
    assert found and others and not found & others


def test_kinds_with_a_row_of_their_own_are_in_no_other(rows: dict[str, Row]) -> None:
    def drawn(name: str, count: int = 60) -> set[str]:
        source = Source(name, held=True)
        found = set()
        for _ in range(count):
            with contextlib.suppress(MissingText):  # a kind that needs the corpus
                found.add(rows[name].ask(source, WORDLESS)[0])
        return found

    for name, own in (("facts", "facts in few words"), ("small tasks", "rhymes, letters and new words")):
        assert drawn(name) and drawn(own) and not drawn(name) & drawn(own), name
    assert not drawn("sums, all kinds") & drawn("sums of daily life")


def test_what_is_told_beyond_the_window_is_so_far_away(rows: dict[str, Row]) -> None:
    between.fillers.set(between.CHAT[:1])
    _, case = rows["number beyond the window"].ask(Source("far", held=True), WORDLESS)
    (value,) = case.accept[0]
    assert value in case.turns[0].user and tokens(list(case.turns[1:-1])) > 300
    assert not any(re.search(rf"\b{value}\b", f"{turn.user} {turn.model}") for turn in case.turns[1:-1])


# --- what is answered -------------------------------------------------------------------------


def test_a_model_reads_a_conversation_once_and_answers_in_each_way() -> None:
    model = Model("demo")
    said = [Turn("Hi!", "Hello!"), Turn("Tell me a story.", "Never read.")]
    other = [Turn("Tell me a story.", "Neither.")]
    ways = [GREEDY, rgmlx.Sampling(temperature=1.0, seed=4)]
    both = model.answers([said, other], 6, ways)
    assert [model.answers([one], 6, ways)[0] for one in (said, other)] == both
    assert both[1][0] == model.reply("Tell me a story.", 6, GREEDY) and both[1][0] != both[1][1]


def test_endless_goes_on_behind_the_end() -> None:
    model = Model("demo")
    ended = model.ids(model.reply("Hi!", 100, GREEDY))
    assert 0 < len(ended) < 60 < len(model.endless("Hi!", 80, GREEDY))


# --- the table --------------------------------------------------------------------------------

ROW = Row(
    lambda source, lexicon: ("kind", one("2 + 2?", "4.", "4")),
    (
        Count("sums", 0.9, lambda case, answer: "4" in answer),
        Count("short", None, lambda case, answer: len(answer) < 9),
    ),
)


def records(*answers: tuple[str, str]) -> list[dict[str, object]]:
    case = one("2 + 2?", "4.", "4")
    return [evaluate.record(ROW, "plus", case, given) for given in answers]


def test_the_worse_way_counts_and_stands_beside_the_goal() -> None:
    first, second = evaluate.lines(ROW, records(("4", "4"), ("4", "five"), ("4", "4")))
    assert first == "| sums | 3 | 100 % | 66 % | 66 % | 90% | missed | 1 |"
    assert second == "| short | 3 | 100 % | 100 % | 100 % |  |  | 0 |"
    assert "| missed |" not in evaluate.lines(ROW, records(("4", "4")))[0]


def test_nearly_all_is_not_all() -> None:
    assert [evaluate.percent(share) for share in (299 / 300, 1.0, 0.29, 0.0)] == ["99 %", "100 %", "29 %", "0 %"]


def test_bad_answers_are_to_be_read_with_what_was_wanted(tmp_path: Path) -> None:
    file = tmp_path / "bad.md"
    reading.begin(file, "seed 0")
    reading.add(file, ROW, records(("4", "4"), ("five\nor six", "4")))
    text = file.read_text(encoding="utf-8")
    assert "## sums: 1 of 2" in text and "plus 1 of 2" in text
    assert "greedy, wrong: five ⏎ or six" in text and "sampled, right: 4" in text
    assert "written: 4." in text and "wanted: {'accept': (('4',),)}" in text


def test_of_long_conversations_the_middle_is_left_out() -> None:
    turns = tuple(Turn(f"question {i}", f"answer {i}") for i in range(30))
    found = evaluate.record(ROW, "plus", Case(turns), ("a", "b"))
    assert [user for user, _ in found["turns"]] == [f"question {i}" for i in (0, 1, 2, 26, 27, 28)]
    assert found["left_out"] == 23 and found["message"] == "question 29" and found["written"] == "answer 29"
    assert "(23 turns)" in "\n".join(reading.shown(found))


def test_answers_are_kept_a_line_each(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    evaluate.keep(file, *records(("4", "4"), ("é", "5")))
    evaluate.keep(file, {"row": "endless"})
    kept = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [one["row"] for one in kept] == ["sums", "sums", "endless"] and kept[1]["answers"]["greedy"] == "é"


# --- measures ---------------------------------------------------------------------------------

TALE = "Once a small fox went to the river and sat down. She looked at the water for a very long time."


def test_stories_that_are_alike_are_found() -> None:
    other = "There was a king who had three sons. Each of them wanted to rule, and none of them could cook at all."
    near = TALE.replace("fox", "hare")
    likeness = measures.likeness([TALE, near, other])
    assert 0.5 < likeness[0] == likeness[1] < 1 and likeness[2] == 0
    assert measures.share(likeness, 0.5) == 2 / 3 and measures.likeness([TALE, TALE])[0] == 1


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("He saw a elephant.", ["a elephant"]),
        ("An bear came, and an hour later a unicorn.", ["An bear"]),
        ("A is a letter, and a onion is none.", ["a onion"]),
        ("An old ox and a one-eyed cat.", []),
    ],
)
def test_wrong_articles_are_found(text: str, wrong: list[str]) -> None:
    assert measures.wrong_articles(text) == wrong


@pytest.fixture
def lexicon(monkeypatch: pytest.MonkeyPatch) -> Lexicon:
    known = frozenset(["the", "river", "small", "fox", "went", "down", "once", "sat", "hellebore"])
    monkeypatch.setattr(measures, "known_words", lambda _: known)
    made = Lexicon(Path("nowhere"))
    made.__dict__["counts"] = Counter(dict.fromkeys([*known, "hell", "ebore"], 99))
    return made


def test_words_without_a_space_between_are_found(lexicon: Lexicon) -> None:
    text = "Once the smallfox went down.The river satHere."
    assert measures.glued(text, lexicon) == ["n.Th", "atHe", "smallfox"]
    assert not measures.glued("Once the small fox sat by the hellebore. A meeqikal went by.", lexicon)


def test_names_that_nobody_should_have_are_found(lexicon: Lexicon) -> None:
    assert measures.unlucky_names("Biosex the fox met Hellebore and Joko.", lexicon) == ["Biosex"]


def test_text_that_goes_round_in_a_circle_has_few_different_runs() -> None:
    fresh, round_ = list(range(1000)), [1, 2, 3] * 334
    assert measures.distinct([*fresh, *round_]) == [997, 3]
    assert measures.said_before([*fresh, *fresh]) == 1 and measures.said_before([*fresh, *range(1000, 2000)]) == 0
