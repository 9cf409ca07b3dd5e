"""The generator's questions about facts, sums, and what nobody here can know."""

from __future__ import annotations

import importlib
import json
import lzma
import re

import pytest
import sentencepiece
from griff import asking, counting, facts, facts_brief, sums, tokenizer, told, unknown
from griff.cases import Case, Turn, passes
from griff.lexicon import Lexicon, table
from griff.wording import Pool, Source

MODULES = ("facts", "facts_brief", "sums", "unknown")


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    folder = tmp_path_factory.mktemp("corpus")
    names = [
        "Anna",
        "Ben",
        "Clara",
        "David",
        "Ella",
        "Frank",
        "Grace",
        "Henry",
        "Irene",
        "Jack",
        "Kate",
        "Liam",
        "Mona",
    ]
    rows = {"corpora_lists": [{"name": "humans/firstNames", "text": json.dumps({"firstNames": names})}]}
    words = ["lamp", "kite", "boat", "river", "stone", "garden", "window", "basket", "candle", "ladder", "mirror"]
    rows["wordnet_easy"] = [{"word": word, "pos": "noun", "text": ""} for word in words]
    for name, lines in rows.items():
        with lzma.open(folder / f"{name}.jsonl.xz", "wt") as file:
            file.write("\n".join(json.dumps(line) for line in lines))
    made = Lexicon(folder)
    made.rare = Pool(["Thorvald", "Mirela", "Oksana", "Bjarne", "Aino", "Zoltan", "Ximena", "Tariq", "Ulrika"])
    made.foreign = Pool(["Alejandro", "Chiara", "Emre", "Hanako", "Ibrahim", "Jiri", "Kwame", "Lakshmi", "Marisol"])
    made.coarse = frozenset()
    return made


def has(text: str, phrase: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text, re.IGNORECASE) is not None


def check(case: Case, what: str) -> None:
    answer = case.turns[-1].model
    assert case.accept, what
    for group in case.accept:
        assert any(has(answer, phrase) for phrase in group), (what, case)
    assert not any(has(answer, phrase) for phrase in case.reject), (what, case)
    for turn in case.turns:
        for text in (turn.user, turn.model):
            assert "  " not in text and not re.search(r"[{}\[\]]", text) and text == text.strip() != "", (what, text)
            assert text.translate({ord("×"): "x", ord("÷"): "/"}).isascii(), (what, text)
        bad = re.search(r"\b(a (?!one|uni|eu|ewe)[aeio]\w{2,}|an [bcdfgjklmpqrstvwxyz]\w)", turn.model)
        assert not bad, (what, turn.model)
        assert turn.model[0].isupper() or not turn.model[0].isalpha(), (what, turn.model)
        assert turn.model.endswith((".", "!", "?")), (what, turn.model)
        assert len(turn.model) < 240, (what, turn.model)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("held", [False, True])
def test_own_answers_pass_their_own_checks(module: str, held: bool, lexicon: Lexicon) -> None:
    kinds = importlib.import_module(f"griff.{module}").KINDS
    source = Source(7, held)
    for kind in kinds:
        for _ in range(12):
            check(kind.make(source, lexicon), kind.name)


@pytest.mark.parametrize("module", MODULES)
def test_same_seed_same_cases(module: str, lexicon: Lexicon) -> None:
    kinds = importlib.import_module(f"griff.{module}").KINDS

    def made() -> list[Case]:
        source = Source("again")
        return [kind.make(source, lexicon) for kind in kinds]

    assert made() == made()


def test_each_fact_is_listed_and_passes() -> None:
    listed = list(facts.every(Source(3, held=True)))
    assert len(listed) >= 1200
    for case in listed:
        check(case, case.about)


def test_frames_and_cores_of_the_evaluation_are_new() -> None:
    for frames in (asking._PLAIN, asking._NAMED, asking._TRUE, asking._EITHER, asking._NEXT):
        assert frames.held and not set(frames.held) & set(frames.kept)
    kept, held = Source(5), Source(5, held=True)
    for relation in facts.facts().relations:
        shown = {asking.choose(kept, relation.ask) for _ in range(300)}
        assert not shown & {asking.choose(held, relation.ask) for _ in range(100)}, relation.name


def test_every_relation_has_many_wordings() -> None:
    for relation in facts.facts().relations:
        assert len({asking.choose(Source(i), relation.ask) for i in range(300)}) >= 15, relation.name


def test_a_fact_of_its_own_has_several_wordings_in_training() -> None:
    for name, group in facts.facts().single.items():
        for found in group:
            assert isinstance(found, facts.So) or len(found.cores.kept) >= 3, (name, found.cores.all)
    assert all(len(relation.ask.kept) >= 8 for relation in facts.facts().relations)


def test_only_wordings_are_held_out_never_facts(lexicon: Lexicon) -> None:
    months = next(relation for relation in facts.facts().relations if relation.name == "month_after")
    (kind,) = [kind for kind in facts.KINDS if kind.name == "fact_month_after"]
    for held in (False, True):
        source = Source(2, held)
        asked = {kind.make(source, lexicon).turns[-1].model for _ in range(400)}
        assert all(any(has(text, fact.right[0]) for text in asked) for fact in months.facts), held


def _asked() -> dict[str, list[tuple[tuple[tuple[str, ...], ...], list[str]]]]:
    """Every question in its plainest form, with what is accepted and what is answered."""
    found: dict[str, list[tuple[tuple[tuple[str, ...], ...], list[str]]]] = {}
    for relation in facts.facts().relations:
        for fact in relation.facts:
            named = facts.fields(fact, fact.right[0])
            says = [asking.put(text, named) for text in relation.words["say"]]
            for core in relation.ask.all:
                found.setdefault(asking.put(core.direct, named).lower(), []).append(((fact.right,), says))
    for one in (one for group in facts.facts().single.values() for one in group):
        for core in one.cores.all if isinstance(one, facts.One) else ():
            found.setdefault(core.direct.lower(), []).append((one.accept, list(one.answers)))
    return found


def test_what_is_asked_in_the_same_words_has_one_answer() -> None:
    for question, known in _asked().items():
        for accept, _ in known:
            for _, says in known:
                assert all(passes(Case((Turn("", ""),), accept), text) for text in says), (question, accept, says)


def test_most_facts_are_checked_and_asked_the_other_way_round() -> None:
    relations = facts.facts().relations
    assert sum("state" in relation.words for relation in relations) >= 55
    assert sum("back" in relation.words for relation in relations) >= 24
    source = Source(4)
    for relation in relations:
        for fact in relation.facts if "state" in relation.words else ():
            wrong = facts._wrong(source, relation, fact)
            of_others = [f for f in relation.facts if f.right[0] == wrong and fact.right[0] not in f.right]
            assert wrong not in fact.right and (of_others or not wrong), (relation.name, fact)


def test_a_wrong_claim_is_put_right() -> None:
    capital = next(relation for relation in facts.facts().relations if relation.name == "capital")
    france = next(fact for fact in capital.facts if fact.x == "France")
    said = {facts.checked(Source(i), capital, france).turns[0].model for i in range(60)}
    assert any(text.startswith("No") and "Paris" in text for text in said)
    assert any(text.startswith("Yes") and "Paris" in text for text in said)


def test_tables_say_nothing_twice() -> None:
    for relation in facts.facts().relations:
        names = [fact.x for fact in relation.facts]
        assert len(names) == len(set(names)), (relation.name, [n for n in names if names.count(n) > 1])
        assert len(names) > 3 and all(fact.right[0] for fact in relation.facts), relation.name
    for name in facts.TABLES:
        assert all(field == field.strip() for row in table(f"facts_{name}") for field in row), name


def test_facts_are_asked_in_few_words_too() -> None:
    with_brief = [relation for relation in facts.facts().relations if relation.brief.all]
    assert len(with_brief) >= 40 and {"capital", "currency", "sense", "meaning"} <= {r.name for r in with_brief}
    for relation in with_brief:
        assert len(relation.brief.all) >= 5, relation.name
        assert relation.brief.held and not set(relation.brief.held) & set(relation.brief.kept), relation.name
        assert all(re.search(r"\{(x|k|ax|xs)\}", text) for text in relation.brief.all), relation.name
    frames = (facts_brief.FRAMES, facts_brief.OF, facts_brief.ITS)
    assert all(pool.held and not set(pool.held) & set(pool.kept) for pool in frames)


def test_a_capital_is_asked_for_as_one_types() -> None:
    capital = next(relation for relation in facts.facts().relations if relation.name == "capital")
    peru = next(fact for fact in capital.facts if fact.x == "Peru")
    said = [facts_brief.brief(Source(i), capital, peru).turns[0] for i in range(300)]
    assert all("Lima" in turn.model for turn in said)
    users = [turn.user for turn in said]
    assert 0.35 < sum(user == user.lower() for user in users) / len(users) < 0.75
    assert any(user.startswith(("capital of peru", "Capital of Peru")) for user in users)
    assert any(re.match("peru,? capital", user) for user in users) and any("Peru" in user for user in users)
    articles = {
        facts_brief.brief(Source(i), capital, fact).turns[0].user
        for i in range(60)
        for fact in capital.facts
        if fact.x.startswith("the ")
    }
    assert any(re.match("(the )?netherlands", user.lower()) for user in articles)


def test_a_slip_makes_no_other_name() -> None:
    names = facts_brief.names()
    for x in sorted({fact.x for relation in facts.facts().relations for fact in relation.facts if len(fact.x) > 5}):
        bare = re.sub("^(the|a|an) ", "", x).lower()
        for i in range(12):
            found = facts_brief.typed(Source(i), bare, bare).lower().rstrip("?. !")
            assert found == bare or found not in names, (x, found)


def test_what_is_asked_of_the_same_is_told_of_the_same(lexicon: Lexicon) -> None:
    by_name = {relation.name: relation for relation in facts.facts().relations}
    seen = list[str]()
    for i in range(150):
        case = facts_brief.and_its(Source(i), lexicon)
        relation = by_name[case.about.partition(":")[0]]
        first = case.turns[0].user.lower() + " " + case.turns[0].model.lower()
        of_it = [fact for fact in relation.facts if fact.right == case.accept[0]]
        forms = {
            form.lower() for fact in of_it for form in (facts_brief._bare(fact.x), fact.many or facts.plural(fact.x))
        }
        if any(has(first, form) for form in forms):  # else a slip of a key
            seen.append(relation.name)
        assert any(has(case.turns[-1].model, right) for right in case.accept[0])
    assert {"capital", "currency", "language", "young"} <= set(seen) and len(seen) > 120


def test_bare_nouns_have_no_article() -> None:
    cores = asking.pool(["the capital of {x}"])
    asked = [asking.question(Source(i), cores, {"x": "Chile"}) for i in range(400)]
    assert any(re.match("capital of Chile", text, re.IGNORECASE) for text in asked)
    assert set(asking.BARE) <= set(asking._NAMED.all) and not set(asking.BARE) & set(asking.NOUN)


def test_sums_are_right_and_all_there(lexicon: Lexicon) -> None:
    listed = list(sums.every(Source(3, held=True)))
    assert len(listed) > 900
    for case in listed:
        check(case, case.about)
    assert [counting.spelled(n) for n in (0, 13, 21, 40, 100, 101, 342)] == [
        "zero",
        "thirteen",
        "twenty-one",
        "forty",
        "one hundred",
        "one hundred and one",
        "three hundred and forty-two",
    ]


def _sums_in(text: str) -> list[tuple[int, str, int, int]]:
    found = re.findall(r"(\d+) ([+-]) (\d+) = (\d+)", text)
    return [(int(a), sign, int(b), int(c)) for a, sign, b, c in found]


def test_two_numbers_of_two_digits_are_added_in_steps_that_are_right() -> None:
    source, seen = Source(8), 0
    for made, draw in ((sums.PLUS, sums.plus), (sums.MINUS, sums.minus)):
        for _ in range(1500):
            first, second, result = draw(source)
            answer = sums.asked(source, made, first, second, result).turns[0].model
            assert all(c == (a + b if sign == "+" else a - b) for a, sign, b, c in _sums_in(answer)), answer
            if sums.steps(made, first, second):
                seen += 1
                assert len(_sums_in(answer)) >= 2 and has(answer.rstrip("."), str(result)), answer
                assert [b for _, _, b, _ in _sums_in(answer)][:2] == [second - second % 10, second % 10]
    assert seen > 500
    assert sums.steps(sums.PLUS, 17, 25) == ("17 + 20 = 37, 37 + 5 = 42.", 42)
    assert sums.steps(sums.PLUS, 12, 9) is sums.steps(sums.TIMES, 12, 12) is sums.steps(sums.PLUS, 12, 19) is None


def test_the_tokenizer_takes_digits_apart() -> None:
    said = (sums.asked(Source(i), sums.PLUS, *sums.plus(Source(i))) for i in range(800))
    model = tokenizer.train((text for case in said for text in (case.turns[0].user, case.turns[0].model)), size=600)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model).encode("17 + 25 = 42", out_type=str)
    assert [piece.strip("▁") for piece in pieces if piece != "▁"] == ["1", "7", "+", "2", "5", "=", "4", "2"]


@pytest.mark.parametrize("draw", [sums.plus, sums.minus])
def test_a_seventh_of_the_larger_pairs_is_held_out(draw: sums.Draw) -> None:
    def large(held: bool) -> set[tuple[int, int]]:
        source = Source(3, held)
        pairs = {draw(source)[:2] for _ in range(4000)}
        return {(a, b) for a, b in pairs if max(a, b) > 20 and (a % 10 or b % 10)}

    assert large(True) and not large(True) & large(False)


def test_the_evaluation_asks_for_no_number_that_is_in_the_question() -> None:
    source = Source(6, held=True)
    for _, draw, _ in sums.DRAWN:
        for _ in range(100):
            first, second, result = sums._drawn(source, draw)
            assert result not in (first, second)


def test_beyond_the_range_of_sums_griff_says_so(lexicon: Lexicon) -> None:
    for name in ("big_plus", "big_times"):
        for i in range(60):
            case = unknown.ask(Source(i), lexicon, unknown.unknowns()[name])
            numbers = [int(number) for number in re.findall(r"\d+", case.turns[0].user)]
            assert max(numbers) > 100 if name == "big_plus" else max(numbers) > 12, case
    assert set(told.NEVER) <= set(unknown.ACCEPT)


def test_a_known_form_around_what_does_not_exist_is_answered_honestly(lexicon: Lexicon) -> None:
    for make in (unknown.whether_so, unknown.and_that):
        for i in range(60):
            case = make(Source(i), lexicon)
            check(case, case.about)
            assert any(has(case.turns[-1].model, words) for words in unknown.SAID)


def test_unknown_is_wide_and_beside_the_known(lexicon: Lexicon) -> None:
    kinds = unknown.unknowns()
    assert len(kinds) >= 55
    assert {core.direct for core in kinds["country"].cores} & {
        core.direct.replace("{x}", "{land}") for core in facts.facts().relations[0].ask.all
    }
    for case in unknown.every(Source(1, held=True), lexicon):
        check(case, case.about)
    whys = {made.why for made in kinds.values()}
    for why in whys:
        assert len({unknown.answer(Source(i), why) for i in range(150)}) >= 25, why
