"""Small talk: each kind's own answers are right and whole, take up what was said, and agree about Griff."""

import json
import lzma
import re

import pytest
from griff import asking, talk
from griff import told as facts_told
from griff.cases import passes
from griff.lexicon import Lexicon
from griff.phrases import FACTS, told, wordings
from griff.wording import Source

NAMES = [
    "Anna",
    "Bert",
    "Cora",
    "Dario",
    "Elif",
    "Femke",
    "Goran",
    "Hana",
    "Ivo",
    "Jun",
    "Kaito",
    "Lena",
    "Mirza",
    "Noor",
]
THANKS = [
    "Thanks so much",
    "Oh, thanks",
    "Thank you, bird",
    "Thanks, that is kind",
    "Many thanks to you",
    "Well, thanks",
]


class Names(Lexicon):
    """Names from here alone."""

    def name(self, source, kind=""):
        return source.pick(*NAMES), "common"


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory):
    """Over a corpus of one group of wordings."""
    folder = tmp_path_factory.mktemp("corpus")
    rows = [
        {"turns": [text, "You are welcome."], "intent": "That's very kind"}
        for text in (*THANKS, "editorial = chitchat")
    ]
    with lzma.open(folder / "personality_chat_full.jsonl.xz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return Names(folder)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("kind", talk.KINDS, ids=lambda kind: kind.name)
def test_the_own_answer_passes_and_texts_are_whole(kind, held, lexicon):
    for seed in range(200):
        case = kind.make(Source(f"{kind.name} {seed}", held=held), lexicon)
        assert passes(case, case.turns[-1].model), (case.turns[-1], case.accept)
        for turn in case.turns:
            for text in (turn.user, turn.model):
                assert text and text == text.strip() and "  " not in text, text
                assert not re.search("[{}\\[\\]|\ue000\ue001]", text), text
                assert not re.search(r"\b[Aa] ([aeio][a-z]+|umbrella)", text), text
            assert turn.model[0] == turn.model[0].upper() and turn.model.isascii()
            assert all(part in turn.model for part in turn.copied)


def test_what_an_answer_takes_up_was_said_before(lexicon):
    for kind in talk.KINDS:
        for seed in range(150):
            turns = kind.make(Source(seed), lexicon).turns
            for i, turn in enumerate(turns):
                before = " ".join([*(t.user + " " + t.model for t in turns[:i]), turn.user]).lower()
                assert all(
                    part.removeprefix("A ").removeprefix("An ").lower() in before
                    for part in turn.copied
                    if part[:2].lower() not in ("a ", "an")
                )


@pytest.mark.parametrize("name", talk.TALK)
def test_every_answer_has_what_is_asked_for(name):
    block = talk.TALK[name]
    groups = [[option.format_map(FACTS).lower() for option in group] for group in block.accept()]
    for answer in block.answers:
        for seed in range(8):
            text = told(Source(seed), answer, FACTS).lower()
            assert all(
                any(re.search(rf"(?<!\w){re.escape(option)}(?!\w)", text) for option in group) for group in groups
            ), text


@pytest.mark.parametrize("name", talk.TALK)
def test_every_intent_has_many_answers_and_held_wordings(name):
    block = talk.TALK[name]
    answers = {told(Source(f"{answer} {seed}"), answer, FACTS) for answer in block.answers for seed in range(40)}
    assert len(answers) >= 6, name
    pool = wordings(block.said).templates
    assert len(pool.all) >= 3 and set(pool.held).isdisjoint(pool.kept)


CHATTER = re.compile(r"\b(football|soccer|baseball|touchdown|NFL|NBA|league|playoffs?|quarterback|celebrit\w+)\b", re.I)


def test_answers_are_short_and_never_idle_chatter():
    for block in (*talk.TALK.values(), *talk.TOLD, *talk.OFFERS, *talk.CHATS):
        for answer in (*block.answers, *block.after):
            for seed in range(6):
                text = told(Source(seed), answer, FACTS | talk._MARKS)
                assert len(text) <= 200 and not CHATTER.search(text), (block.name, text)


def test_what_everybody_says_is_said_in_many_ways():
    often = ("hello", "good_morning", "bye", "thanks", "how_are_you", "whats_up", "sorry", "compliment", "bored")
    for name in (*often, "weather_talk", "weather_ask", "joke_griffin", "story_now", "good_night"):
        said = {wordings(talk.TALK[name].said).say(Source(seed)) for seed in range(400)}
        assert len(talk.TALK[name].said) >= 8 and len(said) >= 25, name
    assert all(len(block.said) >= 5 for block in talk.TALK.values())


def test_texts_of_others_bring_no_politics_and_no_coarse_question():
    for text in ("Should I vote for Harris?", "Do you ever poop?", "WTF", "I hate football"):
        assert talk._UNFIT.search(text), text
    assert not talk._UNFIT.search("How is the weather today?")


def test_there_are_enough_intents_and_frames():
    assert len(talk.TALK) >= 120
    assert sum(len(block.said) for block in talk.TOLD) >= 200
    assert len(talk.CHATS) >= 35 and all(len(block.said) == len(block.answers) >= 2 for block in talk.CHATS)


def test_every_statement_finds_an_answer_that_names_only_what_was_said(lexicon):
    for block in talk.TOLD:
        for line in block.said:
            said = wordings([line]).say(Source(1), **talk._MARKS)
            found = talk.words(Source(1), lexicon)
            known = talk._bases(said)
            assert any(
                talk._bases(told(Source(seed), answer, talk._MARKS)) <= known
                for answer in block.answers
                for seed in range(30)
            ), line
            assert talk._reacted(Source(1), said, block.answers, found, set()).model


def test_answers_about_griff_agree(lexicon):
    for seed in range(300):
        for turn in talk.favorite(Source(seed), lexicon).turns:
            assert any(re.search(rf"(?<!\w){re.escape(fact.lower())}", turn.model.lower()) for fact in FACTS.values())


def test_wordings_of_others_are_used_and_notes_in_them_are_not(lexicon):
    said = {talk._say(Source(seed), lexicon, "thanks") for seed in range(400)}
    assert any(text.lower().startswith(tuple(map(str.lower, THANKS))) for text in said)
    assert not any("editorial" in text for text in said)


def test_without_the_text_of_others_all_is_said_with_own_words(tmp_path):
    assert talk._by_others(Names(tmp_path), "That's very kind") is None


def test_a_source_gives_the_same_case_again(lexicon):
    for kind in talk.KINDS:
        assert kind.make(Source(7), lexicon) == kind.make(Source(7), lexicon)


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in talk.KINDS if kind.filler], ids=lambda kind: kind.name)
def test_small_talk_asks_for_nothing_that_may_have_been_told(kind, held, lexicon):
    """Behind a name that was told, "I know only what you told me" would be a wrong answer to "Who am I?"."""
    asks = [text for form in facts_told.forms().values() for text in form.parts["ask"] if "{" not in text]
    told_of = {asking.plain(text) for text in (*asks, *facts_told.frames()["all"].templates.all)}
    for seed in range(400):
        case = kind.make(Source(f"{kind.name} {seed}", held=held), lexicon)
        assert not told_of & {asking.plain(turn.user) for turn in case.turns}
