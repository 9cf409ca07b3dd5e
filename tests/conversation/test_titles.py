"""Titles that the model makes: on a copy of its state, called off at any piece, and never in place of one that was given."""

from __future__ import annotations

from pathlib import Path

import pytest
from sessions import STORY, Open, Watched, begin_sessions

from rgmlx.conversation import titles
from rgmlx.conversation.titles import MAX_CHARS, TitleRun, cleaned
from rgmlx.griffin.state import State
from rgmlx.store import Store

_ = begin_sessions
CAPITAL = "What is the capital of France?"


def content(state: State) -> list[object]:
    """All that a state is, as bytes."""
    return [list(state.positions), *(bytes(memoryview(part)) for layer in state.layers for part in layer)]


@pytest.fixture
def session(begin: Open, tmp_path: Path) -> Watched:
    return begin(tmp_path / "one")


def run_of(session: Watched) -> TitleRun:
    run = session.title_run()
    assert run is not None
    return run


def test_the_state_is_what_it_was_and_nothing_is_read_again(
    begin: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, other = begin(tmp_path / "one"), begin(tmp_path / "other")
    monkeypatch.setattr(titles, "QUESTION", CAPITAL)  # one that the embedded model has an answer to
    for one in (session, other):
        one.say(STORY)
    context = session.context
    assert context is not None
    state, before = context.cached.state, content(context.cached.state)
    unread, counts, head = context.cached.unread, (context.read, context.prefilled), context.head
    run = run_of(session)
    title = run.make()
    assert title and session.texts() == other.texts()
    assert context.cached.state is state and content(state) == before and context.cached.unread == unread
    assert (context.read, context.prefilled) == counts and context.head == head
    assert session.keep_title(run.opened, title)
    assert session.store.conversations.listed()[0].title == title
    assert session.say("And then?") == other.say("And then?") and context.read == 0


def test_it_is_called_off_at_any_piece(session: Watched) -> None:
    session.say(STORY)
    before = content(session.context.cached.state)  # type: ignore[union-attr]
    pieces: list[str] = []
    run_of(session).make(pieces.append)
    assert len(pieces) > 3
    for after in range(1, 4):
        run, told = run_of(session), list[str]()

        def tell(piece: str, run: TitleRun = run, told: list[str] = told, after: int = after) -> None:
            told.append(piece)
            if len(told) == after:
                run.stop()

        assert run.make(tell) == "" and told == pieces[:after]
    run = run_of(session)
    run.stop()
    assert run.make(pieces.clear) == "" and pieces  # type: ignore[arg-type]
    assert content(session.context.cached.state) == before  # type: ignore[union-attr]


def test_no_title_is_made_where_the_model_stands_elsewhere_or_nothing_was_said(session: Watched) -> None:
    assert session.title_run() is None
    session.add_user_message(STORY)
    assert session.title_run() is None
    session.answer()
    run = run_of(session)
    session.add_user_message("And then?")
    session.answer()
    assert run.make() == "", "it was of the reply before"


def test_a_title_that_was_given_stays(session: Watched, begin: Open) -> None:
    session.say(STORY)
    run = run_of(session)
    number = session.conversation.id  # type: ignore[union-attr]
    session.store.conversations.rename(number, "Mine")  # as another program does, or the list
    assert not session.keep_title(run.opened, "A fox") and session.store.conversations.get(number).title == "Mine"
    assert session.title_run() is None, "no other is made"
    session.begin()
    session.say(STORY)
    run = run_of(session)
    assert session.keep_title(run.opened, "A fox and a bear") and not session.keep_title(run.opened, "Another")
    assert [one.title for one in session.store.conversations.listed()] == ["A fox and a bear", "Mine"]
    session.begin()
    session.say(STORY)
    run = run_of(session)
    assert not session.keep_title(run.opened, "") and session.title_run() is None, (
        "a model that has none is not asked again"
    )
    session.open(number)
    assert session.title_run() is None


def test_a_conversation_that_was_there_before_keeps_its_title(begin: Open, tmp_path: Path) -> None:
    first = begin(tmp_path / "one")
    first.say(STORY)
    number = first.conversation.id  # type: ignore[union-attr]
    first.close()
    again = begin(tmp_path / "one")
    assert again.open(number)
    again.sync()
    assert again.title_run() is None


def test_the_title_is_changed_only_where_it_is_the_old_one(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        one = store.conversations.create("demo", "Old")
        assert not store.conversations.retitle(one.id, "Older", "New") and store.conversations.retitle(
            one.id, "Old", "New"
        )
        now = store.conversations.get(one.id)
        assert (now.title, now.updated) == ("New", one.updated) and store.search.find("New")


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        ("A Fox and a Kite", "A Fox and a Kite"),
        ('\n"A fox and a kite."\n\nI chose it because', "A fox and a kite"),
        ("**Title: A fox**", "A fox"),
        ("Title: “Ein Fuchs”", "Ein Fuchs"),
        ("# 狐と凧", "狐と凧"),
        ("a\x1b[31mb\u202ec", "ab c"),
        ("--- ***", ""),
        ("", ""),
        ("/rename gives this one another title", ""),
        ("one two three four five six seven eight nine ten eleven", ""),
        ("x" * 80, "x" * MAX_CHARS),
        ("Considerations " * 6, "Considerations Considerations Considerations Considerations"),
    ],
)
def test_what_of_an_answer_is_the_title(answer: str, title: str) -> None:
    found = cleaned(answer)
    assert found == title or (title == "ab c" and "\x1b" not in found and "\u202e" not in found)
