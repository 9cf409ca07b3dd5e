"""The generator's sums of daily life: what it answers is worked out here again, from the question alone."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Callable, Iterator

import pytest
from griff import phrases, sums, sums_chain, sums_parts, sums_share, sums_shop, sums_time
from griff.cases import Case, Kind, passes
from griff.counting import spelled
from griff.lexicon import Lexicon, table
from griff.wording import PART, Pool, Source, _digest

MODULES = (sums_shop, sums_share, sums_time, sums_chain)
KINDS = {kind.name: kind for module in MODULES for kind in module.KINDS}
WORDS = {spelled(n): n for n in range(101)}
LEGS = {"dog": 4, "hen": 2, "cow": 4, "bee": 6, "ant": 6, "spider": 8, "duck": 2, "horse": 4, "snake": 0, "fish": 0}
LEGS |= {"fly": 6, "owl": 2, "frog": 4, "child": 2, "person": 2, "worm": 0, "penguin": 2, "mouse": 4, "sheep": 4}


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    folder = tmp_path_factory.mktemp("corpus")
    names = {"firstNames": ["Anna", "Bruno", "Carla", "Dirk", "Emil", "Fiona", "Gustav", "Hanna", "Igor", "Jasmin"]}
    with lzma.open(folder / "corpora_lists.jsonl.xz", "wt") as file:
        file.write(json.dumps({"name": "humans/firstNames", "text": json.dumps(names)}))
    made = Lexicon(folder)
    made.rare = Pool(["Thorvald", "Mirela", "Oksana", "Bjarne", "Aino", "Zoltan", "Ximena", "Tariq", "Ulrika"])
    made.foreign = Pool(["Alejandro", "Chiara", "Emre", "Hanako", "Ibrahim", "Jiri", "Kwame", "Lakshmi"])
    made.coarse = frozenset()
    return made


def cases(name: str, lexicon: Lexicon, count: int = 150, held: bool = False) -> Iterator[Case]:
    source = Source(f"{name} {held}", held)
    for _ in range(count):
        yield KINDS[name].make(source, lexicon)


def figures(text: str) -> list[int]:
    return [int(found) for found in re.findall(r"\d+", text)]


def last(case: Case) -> str:
    return case.turns[-1].user


def accepts(case: Case, *right: int) -> None:
    """A bare number is accepted, and the next one is not."""
    assert passes(case, " ".join(map(str, right))), (case, right)
    assert not passes(case, str(right[0] + 1)), (case, right)
    assert passes(case, case.turns[-1].model), case


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_own_answers_are_whole_and_pass(kind: Kind, held: bool, lexicon: Lexicon) -> None:
    for case in cases(kind.name, lexicon, 120, held):
        assert passes(case, case.turns[-1].model) and not passes(case, "What?"), case
        for turn in case.turns:
            for text in (turn.user, turn.model):
                assert text and text == text.strip() and "  " not in text, text
                assert not re.search(r"[{}\[\]|]|\b1 \w+s\b(?<!plus)(?<!times)(?<!minus)(?<!is)", text), text
            assert turn.model[-1] in ".!" and (turn.model[0].isupper() or not turn.model[0].isalpha()), turn
            assert not re.search(r"\ba (?=[aeio]\w)(?!one)|\ban (?=[bcdfgjklmnpqrstvwz])", turn.model), turn
            assert all(part in turn.model for part in turn.copied), turn
            for a, sign, b, c in re.findall(
                r"(\d+) (plus|minus|times|divided by) (\d+) (?:is|makes) (\d+)", turn.model
            ):
                first, second, result = int(a), int(b), int(c)
                assert {
                    "plus": first + second == result,
                    "minus": first - second == result,
                    "times": first * second == result,
                    "divided by": first == second * result,
                }[sign], turn.model


def test_the_same_seed_makes_the_same_cases(lexicon: Lexicon) -> None:
    for kind in KINDS.values():
        assert kind.make(Source("again"), lexicon) == kind.make(Source("again"), lexicon)


def test_wordings_are_many_and_parted() -> None:
    for name, wordings in sums_parts.asks().items():
        pool = wordings.templates
        assert len(pool.all) >= 20 and pool.held != pool.all and not set(pool.kept) & set(pool.held), name
    signs = {row[0] for row in table("sums_short")}
    assert signs == {"+", "-", "*"} and len(table("sums_short")) >= 40


ROUND: dict[str, Callable[[list[int]], int]] = {
    "cost": lambda n: n[0] * n[1],
    "total": sum,
    "change": lambda n: max(n) - min(n),
    "left": lambda n: max(n) - min(n),
    "older": sum,
    "younger": lambda n: max(n) - min(n),
    "until": lambda n: max(n) - min(n),
    "apart": lambda n: max(n) - min(n),
    "pairs": lambda n: 2 * n[0],
}
"""Of the numbers in the question, whatever their order."""


@pytest.mark.parametrize("name", ["sum_cost", "sum_total", "sum_change", "sum_older", "sum_until", "sum_pairs"])
def test_what_comes_out_of_the_numbers_in_the_question(name: str, lexicon: Lexicon) -> None:
    seen = 0
    for case in cases(name, lexicon):
        numbers = figures(last(case))
        if len(numbers) == (1 if name == "sum_pairs" else 2):  # the others are in words
            seen += 1
            accepts(case, ROUND[case.about](numbers))
    assert seen > 80


def test_change_from_several_is_what_is_left_of_the_largest_number(lexicon: Lexicon) -> None:
    seen = 0
    for case in cases("sum_change_of", lexicon):
        if len(numbers := sorted(figures(last(case)))) == 3:
            seen += 1
            accepts(case, numbers[2] - numbers[0] * numbers[1])
    assert seen > 80


def test_money_is_enough_or_not(lexicon: Lexicon, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = phrases.wordings(["I have {h}, it costs {c}"])
    monkeypatch.setattr(sums_parts, "asks", lambda: {"afford": plain})
    answers = set()
    for case in cases("sum_afford", lexicon):
        if len(numbers := figures(last(case))) == 2:
            have, price = numbers
            yes, rest = have >= price, abs(have - price)
            answers.add(yes)
            assert passes(case, f"{'Yes' if yes else 'No'}, {rest}") and not passes(
                case, f"{'No' if yes else 'Yes'}, {rest}"
            )
            assert case.turns[0].model.startswith("Yes" if yes else "No") and (
                str(rest) in case.turns[0].model or not rest
            )
    assert answers == {True, False}


def test_what_is_shared_is_divided(lexicon: Lexicon) -> None:
    seen = 0
    for case in cases("sum_share", lexicon):
        if len(numbers := figures(last(case))) == 2:
            seen += 1
            over = max(numbers) % min(numbers)
            accepts(case, max(numbers) // min(numbers), *([over] if over else []))
            assert over == 0 or "left over" in case.turns[0].model
    assert seen > 80


def test_legs_are_counted(lexicon: Lexicon, monkeypatch: pytest.MonkeyPatch) -> None:
    for one, legs in LEGS.items():
        assert sums_share.has(one, "legs") == legs
    with_wings = [row[0] for row in table("sums_bodies") if "wings=2" in row]
    assert all(sums_share.has(one, "legs") == 2 for one in with_wings)
    plain = phrases.wordings(["how many {g} have {n} {xs} and {l} {ys}"])
    monkeypatch.setattr(sums_parts, "asks", lambda: dict.fromkeys(("both_legs", "both_legs_seen"), plain))
    named = {many: one for one, many, *_ in table("sums_bodies")} | {row[0]: row[0] for row in table("sums_bodies")}
    seen = 0
    for case in cases("sum_both_legs", lexicon, 300):
        found = re.fullmatch(r"how many legs have (\w+) (\w+) and (\w+) (\w+)", last(case).lower())
        if found and all(named.get(found[i]) in LEGS for i in (2, 4)):
            seen += 1
            a, b = (1 if n in ("a", "an") else int(n) if n.isdigit() else WORDS[n] for n in (found[1], found[3]))
            accepts(case, a * LEGS[named[found[2]]] + b * LEGS[named[found[4]]])
    assert seen > 15


FIVES = dict(
    zip(
        ["twos", "threes", "fours", "fives", "sixes", "sevens", "eights", "nines", "tens", "elevens", "twelves"],
        range(2, 13),
        strict=True,
    )
)


def test_so_many_fives_dozens_and_parts(lexicon: Lexicon) -> None:
    seen = {"fives": 0, "dozen": 0, "many": 0, "part": 0}
    for case in cases("sum_fives", lexicon):
        text = last(case).lower()
        found = re.search(rf"({'|'.join(WORDS)}|\d+) ({'|'.join(FIVES)})\b", text)
        if found:
            seen["fives"] += 1
            accepts(case, (WORDS[found[1]] if found[1] in WORDS else int(found[1])) * FIVES[found[2]])
    for case in cases("sum_dozen", lexicon):
        text = last(case).lower()
        many = next(
            (
                n
                for said, n in (("half a", 6), ("two", 24), ("three", 36), ("four", 48), ("five", 60))
                if f"{said} dozen" in text
            ),
            12,
        )
        more = figures(text)
        if re.search("(an?|one|two|three|four|five) dozen", text) and (more or case.about == "dozen"):
            seen["dozen"] += 1
            accepts(case, many + (0 if case.about == "dozen" else more[0] if "more" in case.about else -more[0]))
    for case in cases("sum_many", lexicon):
        text, numbers = last(case).lower(), figures(last(case))
        times = next(
            (
                n
                for said, n in (
                    ("twice as", 2.0),
                    ("half as", 0.5),
                    ("three times", 3),
                    ("four times", 4),
                    ("five times", 5),
                    ("ten times", 10),
                )
                if said in text
            ),
            0,
        )
        if numbers and times:
            seen["many"] += 1
            accepts(case, int(numbers[0] * times))
    for case in cases("sum_part", lexicon):
        text, numbers = last(case).lower(), figures(last(case))
        by = next(
            (n for said, n in (("half", 2), ("third", 3), ("quarter", 4), ("fifth", 5), ("tenth", 10)) if said in text),
            0,
        )
        if numbers and by:
            seen["part"] += 1
            accepts(case, numbers[0] // by)
            assert numbers[0] % by == 0
    assert min(seen.values()) > 60, seen


def test_two_steps_follow_each_other(lexicon: Lexicon) -> None:
    for case in cases("sum_chain", lexicon):
        numbers = figures(last(case))
        steps = re.findall(r"(\d+) (plus|minus|times) (\d+) is (\d+)", case.turns[0].model)
        (a, first, b, middle), (again, second, c, result) = steps
        assert middle == again and case.about.endswith({"plus": "+", "minus": "-", "times": "*"}[second])
        assert case.about[-2] == {"plus": "+", "minus": "-", "times": "*"}[first]
        assert passes(case, result) and not passes(case, middle)
        if numbers:
            assert sorted(numbers) == sorted(map(int, (a, b, c))), case


def test_and_then_goes_on_from_what_came_out(lexicon: Lexicon) -> None:
    for case in cases("sum_on", lexicon, 200):
        begin = case.turns[0].model
        in_words = re.search(rf"\b({'|'.join(WORDS)})\b", begin.lower())
        value = None if in_words else figures(begin)[-1]
        for turn in case.turns[1:]:
            text, numbers = turn.user.lower(), figures(turn.user)
            assert value is None or str(value) in turn.model
            (result,) = figures(turn.model)[-1:]
            if value is not None and re.search("half|halve|in two", text):
                assert result * 2 == value, case
            elif value is not None and re.search("doubl|twice", text):
                assert result == value * 2, case
            elif value is not None and numbers:
                b = numbers[0]
                minus = re.search(r"mi\w{1,3}us|take.*(away|from)|away|subtr|less|without|^-", text)
                times = re.search(r"times|multipl|^[x*]", text)
                assert result == (value - b if minus else value * b if times else value + b), case
            value = result
        assert passes(case, str(value))


def test_a_times_table_is_all_multiples(lexicon: Lexicon) -> None:
    for case in cases("sum_table", lexicon, 60):
        row = figures(case.turns[0].model)
        asked = figures(last(case)) or [
            WORDS[w] for w in re.findall("[a-z]+", last(case).lower()) if w in WORDS and w != "one"
        ]
        assert len(row) == 10 and row == [asked[0] * i for i in range(1, 11)]


def test_a_tale_of_one_sentence_has_its_sign(lexicon: Lexicon) -> None:
    seen = 0
    for case in cases("sum_short", lexicon, 300):
        if len(numbers := figures(last(case))) == 2:
            seen += 1
            sign = case.about[-1]
            accepts(
                case,
                sum(numbers)
                if sign == "+"
                else max(numbers) - min(numbers)
                if sign == "-"
                else numbers[0] * numbers[1],
            )
    assert seen > 150


# --- time -------------------------------------------------------------------------------------


def test_how_old_one_will_be(lexicon: Lexicon) -> None:
    seen = 0
    for case in cases("sum_then", lexicon):
        text, numbers = last(case).lower(), figures(last(case))
        one = re.search("next year|in a year|last year|a year ago", text)
        if len(numbers) == (1 if one else 2):
            seen += 1
            back = case.about == "was"
            assert back == bool(re.search("ago|last year", text)) or "typo" in text
            by = 1 if one else None
            accepts(case, max(numbers) - (by or min(numbers)) if back else sum(numbers) + (by or 0))
    assert seen > 80


def minutes_of(text: str) -> int | None:
    """Since twelve, of a time as it is said."""
    if found := re.search(r"(\d+):(\d\d)", text):
        return int(found[1]) % 12 * 60 + int(found[2])
    if found := re.search(r"half past (\w+)", text):
        return (int(found[1]) if found[1].isdigit() else WORDS[found[1]]) % 12 * 60 + 30
    if found := re.search(r"(\w+) o'clock", text):
        n = int(found[1]) if found[1].isdigit() else WORDS.get(found[1])
        return None if n is None else n % 12 * 60
    return None


def duration_of(text: str) -> int | None:
    for said, n in (
        ("quarter of an hour", 15),
        ("half an hour", 30),
        ("an hour", 60),
        ("one hour", 60),
        ("1 hour", 60),
    ):
        if said in text:
            return n
    if found := re.search(r"(\w+) (hours|minutes)", text):
        n = int(found[1]) if found[1].isdigit() else WORDS.get(found[1], 0)
        return n * (60 if found[2] == "hours" else 1) or None
    return None


def test_the_clock_goes_on(lexicon: Lexicon) -> None:
    seen = 0
    for case in cases("sum_clock", lexicon, 300):
        text = last(case).lower()
        at, by = minutes_of(text), duration_of(text)
        if at is None or by is None:
            continue  # a slip of a key
        seen += 1
        there = (at - by if case.about == "clock, ago" else at + by) % 720
        assert {minutes_of(form.lower()) for form in case.accept[0]} == {there}, case
        said = case.turns[0].model.lower()
        assert minutes_of(said.rpartition(": ")[2] if "plus" in said or "minus" in said else said) == there, case
    assert seen > 220


def test_hours_between_two_times(lexicon: Lexicon) -> None:
    seen = 0
    for case in cases("sum_how_long", lexicon, 200):
        times = re.findall(r"\d+:\d\d|\w+ o'clock", last(case).lower())
        if len(times) == 2:
            begin, end = (minutes_of(time) for time in times)
            if begin is None or end is None:
                continue
            seen += 1
            now = re.search(r"it(?: is|'s|s) (?:now )?(\d+:\d\d|\w+ o'clock)", last(case).lower())
            if now and minutes_of(now[1]) == end:
                begin, end = end, begin  # "she comes at 5, and it is 3"
            hours = (end - begin) % 720 // 60
            accepts(case, hours)
    assert seen > 120


def test_days_and_months_go_round(lexicon: Lexicon) -> None:
    seen = 0
    for case in cases("sum_day", lexicon, 300):
        text = last(case)
        row = sums_time.MONTHS if case.about == "month, in" else sums_time.DAYS
        named = [name for name in row if re.search(rf"\b{name}\b", text, re.IGNORECASE)]
        found = re.search(r"(\w+) (days?|months?)\b|\b(week)\b", text.lower())
        if len(named) != 1 or not found:
            continue
        n = (
            7
            if found[3]
            else 1
            if found[1] in ("a", "one")
            else int(found[1])
            if found[1].isdigit()
            else WORDS.get(found[1], 0)
        )
        if not n:
            continue
        seen += 1
        there = row[(row.index(named[0]) + (-n if case.about == "day, ago" else n)) % len(row)]
        assert case.accept == ((there,),), case
        assert case.turns[0].model.rstrip(".").split()[-1] in (there, "again", "too"), case
    assert seen > 150


# --- what training never shows ----------------------------------------------------------------


def test_larger_pairs_that_are_held_out_are_in_no_tale_of_training(lexicon: Lexicon) -> None:
    shown = set()
    for name in KINDS:
        for case in cases(name, lexicon, 100):
            for turn in case.turns:
                found = re.findall(r"(\d+) (plus|minus) (\d+)", turn.model)
                shown |= {("+" if sign == "plus" else "-", int(a), int(b)) for a, sign, b in found}
    large = {one for one in shown if max(one[1:]) > 20}
    assert len(large) > 100 and not [one for one in large if _digest(one) % PART == 0]
    for sign in "+-":
        for seed in range(300):
            a, b, _ = sums._for_tale(Source(seed), sign)
            assert max(a, b) <= 20 or _digest((sign, a, b)) % PART


def test_the_evaluation_asks_for_no_number_that_stands_in_the_question(lexicon: Lexicon) -> None:
    for name in (
        "sum_cost",
        "sum_total",
        "sum_change",
        "sum_share",
        "sum_fives",
        "sum_chain",
        "sum_short",
        "sum_older",
    ):
        for case in cases(name, lexicon, 60, held=True):
            assert not passes(case, " ".join(map(str, figures(last(case))))) or not figures(last(case)), case


def test_numbers_in_words_are_asked_without_signs() -> None:
    words = 0
    for i in range(400):
        text = sums.asked(Source(i), sums.PLUS, 7, 5, 12).turns[0].user.lower()
        if re.search(r"\bseven\b", text) and re.search(r"\bfive\b", text):
            words += 1
    assert 60 < words < 180
    for made, _, _ in sums.DRAWN:
        assert len(made.spoken.templates.kept) >= 5
        assert set(made.spoken.templates.kept) <= set(made.bare.templates.kept)
        assert not any(re.search(r"[-+*/=]", text) for text in made.spoken.templates.kept)
