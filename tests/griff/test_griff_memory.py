"""What Griff's generator says about remembering what was told."""

import functools
import re
from pathlib import Path

import pytest
from griff import asking, between, memory, often, recalls, told, unknown, untold, values_day
from griff.cases import Case, Kind, Turn, Unmet
from griff.wording import Pool, Source
from small_lexicon import Small

LEXICON = Small(Path("nowhere"))
KINDS = {kind.name: kind for kind in memory.KINDS}


@functools.cache
def some(name, held):
    return [KINDS[name].make(Source(f"{name} {i}", held), LEXICON) for i in range(8)]


def has(text, phrase):
    return re.search(rf"(?<!\w){re.escape(phrase.lower())}(?!\w)", text.lower())


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_every_case_passes_its_own_check_with_what_stands_before(name, held):
    for case in some(name, held):
        last = case.turns[-1]
        assert case.accept
        for group in case.accept:
            assert any(has(last.model, phrase) for phrase in group), (group, last)
        # What training shows may be a word of Griff's own.
        assert not held or not any(has(last.model, phrase) for phrase in case.reject), (case.reject, last)
        if case.about == "never":
            assert not last.copied
        before = ""
        for turn in case.turns:
            before += f"\n{turn.user}"
            assert turn.user.strip()
            assert turn.model.strip()
            for part in turn.copied:
                assert part in turn.model
                assert part.lower() in before.lower(), (part, case.turns)
            before += f"\n{turn.model}"


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_texts_are_whole(name, held):
    for case in some(name, held):
        for turn in case.turns:
            for text in (turn.user, turn.model):
                assert not re.search(r"  |[{}\0]|\[\w+\]|\b[Aa] [aeio]\w+(?<!\ba one)\b", text), text
            assert turn.model.isprintable()
            assert turn.model[:1].upper() == turn.model[:1]
            assert turn.model[-1] in ".!?"


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("what", ["name", "pet", "colour", "number", "word", "town"])
@pytest.mark.parametrize("between", [0, 4, 19, 59])
def test_a_cell_of_the_table_has_exactly_so_many_turns_between(what, between, held):
    case = memory.case(Source(f"{what}{between}", held), LEXICON, what, between)
    assert len(case.turns) == between + 2
    (value,) = case.accept[0]
    assert has(case.turns[0].user, value)
    assert has(case.turns[-1].model, value)
    assert not any(has(f"{turn.user} {turn.model}", value) for turn in case.turns[1:-1])


def test_a_cell_may_name_the_kind_of_name():
    for kind in ("common", "rare", "foreign", "invented"):
        case = memory.case(Source(kind, held=True), LEXICON, "name", 0, kind)
        assert case.about == kind


def test_turns_between_come_from_the_kinds_that_are_set():
    before = between.fillers.kinds
    turn = Turn("What is up?", "The sky.")
    try:
        between.fillers.set([Kind("sky", "talk", lambda source, lexicon: Case((turn,)))])
        case = memory.case(Source(1), LEXICON, "word", 7)
    finally:
        between.fillers.set(before)
    assert case.turns[1:-1] == (turn,) * 7


def test_the_same_seed_makes_the_same_case():
    for kind in memory.KINDS:
        assert kind.make(Source(5), LEXICON) == kind.make(Source(5), LEXICON)


def test_the_value_stands_in_a_users_turn_before_it_is_asked_for():
    for name in ("name", "pet", "color", "number", "word", "pair", "correction", "told late", "people"):
        for case in some(name, False):
            if case.about != "never":
                users = "\n".join(turn.user for turn in case.turns)
                assert all(any(has(users, phrase) for phrase in group) for group in case.accept)


def test_what_was_never_told_has_no_value_to_copy():
    for case in some("never told", False) + some("never told", True):
        assert case.about == "never"
        assert any(has(case.turns[-1].model, phrase) for phrase in told.NEVER)


def test_the_last_value_of_a_correction_is_the_right_one():
    for case in some("correction", False) + some("correction", True):
        ((value,),) = case.accept
        users = [turn.user for turn in case.turns]
        last = max(i for i, text in enumerate(users) if has(text, value))
        assert case.reject
        for wrong in case.reject:
            first = min(i for i, text in enumerate(users) if has(text, wrong))
            assert first < last, (wrong, value, users)


def test_a_question_for_one_of_two_is_not_answered_with_the_other():
    for case in some("pair", False):
        assert case.reject
        assert case.turns[-1].copied


def test_held_and_kept_wordings_are_disjoint():
    pools = [form.say for form in told.forms().values()] + [form.mine for form in told.forms().values()]
    pools += [wordings.templates for form in told.forms().values() for wordings in (form.ask, form.tell)]
    pools += [wordings.templates for wordings in told.frames().values()]
    for pool in pools:
        assert pool.kept
        assert pool.held
        assert len(pool.all) < 4 or set(pool.kept).isdisjoint(pool.held)


def test_frames_that_facts_share_are_held_out_for_both_and_are_no_frames_of_the_table():
    shared = told.shared()
    for pool, all_ in ((shared.direct, asking.DIRECT), (shared.indirect, asking.INDIRECT), (shared.noun, asking.NOUN)):
        assert len(pool.all) > 12
        assert set(pool.held) == set(Pool(all_).held) & set(pool.all)
    ours = {asking.plain(text) for name in ("both", "noun", "clause") for text in told.frames()[name].templates.all}
    theirs = {asking.plain(text) for pool in (shared.direct, shared.indirect, shared.noun) for text in pool.all}
    assert not ours & theirs


@pytest.mark.parametrize("held", [False, True])
def test_what_was_told_is_asked_for_in_frames_of_facts(held):
    said = {asking.personal(Source(i, held), told.shared(), "my name", clause=False) for i in range(200)}
    said |= {asking.personal(Source(i, held), told.shared(), "what my name is", clause=True) for i in range(200)}
    assert len(said) > 20
    assert all("my name" in text.lower() and not re.search(r"[{}\[\]]", text) for text in said)


def test_one_word_is_no_question_for_a_name():
    """ "Name?" may mean Griff's as well."""
    for form in (told.forms()["name"], told.forms()["word"]):
        assert not {"name", "word"} & {asking.plain(text) for text in form.parts["ask"]}


def test_kinds_of_fact_are_many_and_each_is_worded_in_many_ways():
    forms = told.forms()
    assert len(forms) >= 50
    for name, form in forms.items():
        least = 120 if name in ("name", "word") else 20 if name in recalls.IMPORTANT else 7
        assert len(form.parts["say"]) + len(form.parts["tell"]) >= max(8, least), name
        assert len(form.parts["ask"]) >= least, name
        assert len(form.parts["mine"]) >= (60 if least > 100 else 7), name
        assert len(form.parts["answer"]) >= 3, name
        assert len(form.parts["ack"]) >= 2, name
        assert all("{v}" in text for part in ("say", "tell") for text in form.parts[part]), name
        assert not any("{v}" in text for part in ("ask", "mine") for text in form.parts[part]), name
        assert form.type == "any" or form.type in values_day.MAKERS, name


def test_what_griff_says_is_never_an_acknowledgement_of_a_question():
    for form in told.forms().values():
        assert not any(text.rstrip("[stop]").endswith(("?", "[end")) for text in form.parts["tell"])
    assert not any(re.search(r"\?$|\[end\]$", text) for text in told.frames()["say"].templates.all)


def test_griff_swaps_the_persons():
    assert told.swapped("what I am called") == "what you are called"
    assert told.swapped("my sister's name") == "your sister's name"
    assert told.swapped("which name is mine") == "which name is yours"
    assert told.swapped("how I introduced myself") == "how you introduced yourself"


def test_values_are_of_an_open_vocabulary():
    for kind in ("color", "word", "pet", "thing_a", "food", "title", "street", "town", "figure"):
        made = {values_day.MAKERS[kind](Source(i), LEXICON, "").text for i in range(120)}
        assert len(made) > 45, kind


def test_composed_values_are_held_out_by_their_digest():
    kept = {values_day.time(Source(i), LEXICON).text for i in range(200)}
    held = {values_day.time(Source(i, held=True), LEXICON).text for i in range(200)}
    assert kept.isdisjoint(held)


def test_people_who_could_be_meant_alike_are_not_told_together():
    def who(name):
        return told.fact(Source(name), LEXICON, "person", who=name)

    assert told.clash(who("brother"), who("big brother"))
    assert told.clash(who("mom"), who("mother"))
    assert not told.clash(who("sister"), who("brother"))


def test_each_group_has_its_share_among_the_fillers_however_many_kinds_it_has():
    def nothing(source, lexicon):
        return Case((Turn("?", "!"),))

    fillers = between.Fillers([Kind("a", "talk", nothing), *(Kind(str(i), "facts", nothing, 50.0) for i in range(90))])
    drawn = [fillers.draw(Source(i)).group for i in range(2000)]
    share = between.SHARES["talk"] / (between.SHARES["talk"] + between.SHARES["facts"])
    assert abs(drawn.count("talk") / 2000 - share) < 0.05


def test_at_least_a_third_of_the_gaps_are_ten_turns_or_more():
    long = sum(max(0, high - max(low, 10) + 1) / (high - low + 1) for low, high in between.GAPS)
    assert long / len(between.GAPS) > 1 / 3
    assert max(between.GAPS)[0] >= 40


def test_many_turns_are_short_ones_so_that_all_fits_into_what_attention_sees():
    def talk(source, lexicon):
        return Case((Turn("x" * source.number(3, 200), "y."),))

    before = between.fillers.kinds
    try:
        between.fillers.set([Kind("talk", "talk", talk)])
        for count in (20, 59, 80):
            turns = between.turns_between(Source(count), LEXICON, count, [], between.LONG)
            assert between.size(turns) < between.LONG + 300
            assert len(turns) > 0.9 * count
        case = memory.case(Source(1), LEXICON, "name", 59)
    finally:
        between.fillers.set(before)
    assert len(case.turns) == 61
    assert between.size(case.turns) < 1.1 * between.LONG


def test_what_is_needed_often_is_copied_each_time():
    for case in some("often", False):
        assert sum(bool(turn.copied) for turn in case.turns) >= 3


def test_a_name_is_said_several_times_and_spelled():
    one = told.fact(Source(3), LEXICON, "name", "foreign")
    turn = often.several(Source(1), one)
    assert 2 <= turn.model.count(one.value.text) <= 4
    for case in some("spelled", True):
        ((letters,),) = case.accept
        assert any(has(turn.user, letters.replace("-", "")) for turn in case.turns)


def test_names_of_two_parts_and_letters_that_nobody_can_say():
    made = {values_day.MAKERS["person"](Source(i), LEXICON, "").about for i in range(200)}
    assert made == {"common", "rare", "foreign", "invented", "double"}
    names = [LEXICON.scrambled(Source(i)) for i in range(200)]
    assert min(map(len, names)) == 3
    assert max(map(len, names)) == 12
    assert not {LEXICON.scrambled(Source(i, held=True)) for i in range(200)} & set(names)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("make", [untold.beside, untold.after_others])
def test_what_was_not_told_is_not_known_after_other_things_were(make, held):
    made = 0
    for i in range(60):
        try:
            case = make(Source(i, held), LEXICON)
        except Unmet:
            continue
        made += 1
        assert any(has(case.turns[-1].model, words) for words in unknown.ACCEPT), case.turns[-1]
        assert any(turn.copied for turn in case.turns[:-1]) or len(case.turns) > 1
        before = "\n".join(turn.user for turn in case.turns)
        assert all(part.lower() in before.lower() for part in case.turns[-1].copied)
    assert made > 40
