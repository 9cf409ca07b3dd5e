"""Turns: nothing is read twice, whatever one does with the conversation."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import PATIENCE

import rgmlx
from rgmlx.conversation import writer
from rgmlx.conversation.chat import Chat
from rgmlx.conversation.turns import MODEL, USER, Turn, ids_of
from rgmlx.errors import ChatError, RgmlxError, StateError, TokenizerError
from rgmlx.tokenizer import turn_ids


def say(chat: Chat, text: str, **options: object) -> str:
    return "".join(chat.send(text, **{"seed": 1, **options}))


@pytest.fixture(scope="module")
def begun(demo: rgmlx.Model) -> Chat:
    chat = demo.chat()
    say(chat, "I have a cat named Zibo.")
    say(chat, "Tell me a joke")
    return chat


@pytest.fixture
def chat(begun: Chat) -> Iterator[Chat]:
    """Two exchanges, written once."""
    before = begun.turns
    yield begun.fork()
    assert begun.turns == before


def test_it_remembers(chat: Chat) -> None:
    assert "Zibo" in say(chat, "What is my cat called?", temperature=0)
    assert [t.role for t in chat.turns] == [USER, MODEL] * 3
    assert all(t.closed for t in chat.turns if t.role == MODEL)


def test_a_conversation_is_the_text_that_gemma_would_see(demo: rgmlx.Model) -> None:
    """Turn by turn or all at once: the same ids, so the same next token."""
    chat = demo.chat()
    replies = [say(chat, "Hello!", temperature=0), say(chat, "Who are you?", temperature=0)]
    tokenizer = demo.text_tokenizer()
    end, newline = tokenizer.end_of_turn, tokenizer.encode("\n")
    ids = [tokenizer.bos, *turn_ids(tokenizer, "Hello!"), *tokenizer.encode(replies[0]), end, *newline]
    ids += turn_ids(tokenizer, "Who are you?")
    assert demo.generate(ids, temperature=0) == replies[1]


def test_each_message_reads_only_itself(chat: Chat) -> None:
    before = chat.prefilled_tokens
    say(chat, "Hi")
    length = len(turn_ids(chat._context.tokenizer, "Hi"))
    assert chat.prefilled_tokens - before == length + 1  # and the newline between the turns


def test_rewind_reads_nothing(chat: Chat) -> None:
    read, position = chat.prefilled_tokens, chat.position
    point = chat.checkpoint()
    one = say(chat, "Tell me a story", max_tokens=12)
    chat.rewind(point)
    assert (chat.position, len(chat.turns)) == (position, 4)
    assert chat.prefilled_tokens - read == len(turn_ids(chat._context.tokenizer, "Tell me a story")) + 1
    assert say(chat, "Tell me a story", max_tokens=12) == one
    read = chat.prefilled_tokens
    chat.rewind(2)
    assert len(chat.turns) == 2
    chat.rewind(0)
    assert chat.turns == ()
    assert chat.position == 0
    assert chat.prefilled_tokens == read


def test_fork_reads_nothing_and_is_independent(chat: Chat) -> None:
    other = chat.fork()
    assert other.turns == chat.turns
    assert other.prefilled_tokens == 0
    a = say(chat, "Tell me a story about an owl", seed=3, max_tokens=12)
    assert len(other.turns) == 4
    assert say(other, "Tell me a story about an owl", seed=3, max_tokens=12) == a
    say(other, "Thank you")
    assert len(chat.turns) == 6


def test_regenerate_reads_nothing(chat: Chat) -> None:
    say(chat, "Tell me a story about a bear", max_tokens=12)
    read, first = chat.prefilled_tokens, chat.turns[-1].text
    others = {"".join(chat.regenerate(max_tokens=12)) for _ in range(3)}
    assert chat.prefilled_tokens == read
    assert len(chat.turns) == 6
    assert others - {first}
    assert "".join(chat.regenerate(seed=1, max_tokens=12)) == first


def test_edit_reads_only_the_new_text(chat: Chat) -> None:
    read = chat.prefilled_tokens
    "".join(chat.edit(2, "Tell me a story", max_tokens=12))
    assert [t.text for t in chat.turns if t.role == USER] == ["I have a cat named Zibo.", "Tell me a story"]
    assert chat.prefilled_tokens - read == len(turn_ids(chat._context.tokenizer, "Tell me a story")) + 1
    read = chat.prefilled_tokens
    "".join(chat.edit(0, "Hi"))
    assert len(chat.turns) == 2
    assert chat.prefilled_tokens - read == len(turn_ids(chat._context.tokenizer, "Hi")) + 1  # and <bos>


def test_stop_keeps_the_prompt_and_the_partial_reply(chat: Chat) -> None:
    reply = chat.send("Tell me a story", seed=1)
    pieces = list(itertools.islice(reply, 5))
    chat.stop()
    pieces += list(reply)
    assert reply.finish_reason == "cancelled"
    assert chat.turns[-2:] == (Turn(USER, "Tell me a story", False), Turn(MODEL, "".join(pieces), False))
    assert say(chat, "Who are you?")
    assert chat.turns[-1].closed


def test_stop_from_another_thread_while_it_writes(chat: Chat) -> None:
    reply = chat.send("Tell me a story", seed=1)
    seen = threading.Event()
    pieces: list[str] = []

    def write() -> None:
        for piece in reply:
            pieces.append(piece)
            seen.set()

    worker = threading.Thread(target=write)
    worker.start()
    assert seen.wait(PATIENCE)
    chat.stop()
    worker.join(PATIENCE)
    assert not worker.is_alive()
    assert chat.turns[-1].text == "".join(pieces)
    assert say(chat, "Who are you?")  # goes on in this thread


def test_a_reply_that_is_not_read_to_its_end(chat: Chat) -> None:
    pieces = list(itertools.islice(chat.send("Tell me a story", seed=1), 3))
    say(chat, "Who are you?")
    assert chat.turns[5].text == "".join(pieces)
    assert not chat.turns[5].closed


def test_a_message_whose_reply_was_never_begun_is_read_with_the_next(demo: rgmlx.Model) -> None:
    chat = demo.chat()
    chat.send("My name is Mia.")
    assert chat.position == 0
    assert "Mia" in say(chat, "What is my name?", temperature=0)
    assert [t.role for t in chat.turns] == [USER, USER, MODEL]


def test_a_stopped_first_word_can_be_written_after_all(demo: rgmlx.Model) -> None:
    chat = demo.chat()
    reply = chat.send("Who are you?")
    reply.stop()
    assert list(reply) == []
    assert chat.turns == (Turn(USER, "Who are you?", False),)
    assert "".join(chat.regenerate())
    assert [t.role for t in chat.turns] == [USER, MODEL]


def test_a_budget_cuts_a_reply(chat: Chat) -> None:
    reply = chat.send("Tell me a story", max_tokens=4)
    list(reply)
    assert reply.finish_reason == "length"
    assert not chat.turns[-1].closed


def test_a_reply_has_the_ids_of_what_it_delivered(demo: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_IDS", 4)
    chat, tokenizer = demo.chat(temperature=0), demo.text_tokenizer()
    reply = chat.send("Tell me a story", max_tokens=12)
    assert (reply.ids, reply.tokens) == ([], 0)
    text = "".join(reply)
    ids = tokenizer.encode(text)
    assert reply.tokens == len(ids) == 12 and 4 <= len(reply.ids) <= 8 and reply.ids == ids[-len(reply.ids) :]


def test_an_interrupted_reply_has_no_ids_but_those_of_its_text(
    demo: rgmlx.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat, deliver = demo.chat(temperature=0), writer.Writer._deliver
    reply, seen = chat.send("Tell me a story", max_tokens=12), 0

    def interrupted(self: writer.Writer, piece: str) -> None:
        nonlocal seen
        seen += 1
        if seen > 4:
            raise KeyboardInterrupt
        deliver(self, piece)

    monkeypatch.setattr(writer.Writer, "_deliver", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(reply)
    assert reply.text and reply.ids == demo.text_tokenizer().encode(reply.text) and reply.tokens == len(reply.ids) == 4


def test_system_text_goes_in_front_of_the_first_turn(demo: rgmlx.Model) -> None:
    chat = demo.chat(system="Be brief.")
    say(chat, "Hello!")
    expected = [chat._context.tokenizer.bos, *turn_ids(chat._context.tokenizer, "Hello!", "Be brief.")]
    assert chat.prefilled_tokens == len(expected)
    say(chat, "Hello!")
    assert chat.prefilled_tokens == len(expected) + len(turn_ids(chat._context.tokenizer, "Hello!")) + 1


def test_saved_and_opened_again(chat: Chat, demo: rgmlx.Model, tmp_path: Path) -> None:
    chat.save(tmp_path / "c.rgstate")
    again = Chat.load(tmp_path / "c.rgstate", demo)
    assert again.turns == chat.turns
    assert again.position == chat.position
    assert say(again, "What is my cat called?") == say(chat, "What is my cat called?")
    assert again.prefilled_tokens == len(turn_ids(chat._context.tokenizer, "What is my cat called?")) + 1


def test_after_opening_the_last_exchange_changes_without_reading(chat: Chat, demo: rgmlx.Model, tmp_path: Path) -> None:
    chat.save(tmp_path / "c")
    again = Chat.load(tmp_path / "c", demo)
    "".join(again.regenerate())
    assert again.prefilled_tokens == 0
    "".join(again.edit(2, "Hi"))
    assert again.prefilled_tokens == len(turn_ids(chat._context.tokenizer, "Hi")) + 1


def test_a_message_saved_before_its_reply_survives(demo: rgmlx.Model, tmp_path: Path) -> None:
    chat = demo.chat()
    chat.send("My name is Mia.")
    chat.save(tmp_path / "c")  # and then the power goes
    again = Chat.load(tmp_path / "c", demo)
    assert again.turns == (Turn(USER, "My name is Mia.", False),)
    assert "".join(again.regenerate())


def test_beyond_the_budget_it_reads_again_and_says_so(demo: rgmlx.Model) -> None:
    chat = demo.chat(snapshot_bytes=2 * demo.config.state_nbytes(4))
    for text in ("I have a cat named Zibo.", "Tell me a joke", "Who are you?"):
        say(chat, text)
    assert len(chat._context._kept) == 2
    read = chat.prefilled_tokens
    chat.rewind(2)
    assert chat.prefilled_tokens > read
    assert chat.position == chat.prefilled_tokens - read
    assert "Zibo" in say(chat, "What is my cat called?", temperature=0)


def test_memory_does_not_grow_with_the_conversation(demo: rgmlx.Model) -> None:
    chat = demo.chat(snapshot_bytes=0)
    size = chat.state_nbytes
    for _ in range(5):
        say(chat, "Hi", max_tokens=60)
    assert chat.state_nbytes == size
    assert not chat._context._kept


def test_refusals(chat: Chat, demo: rgmlx.Model, tiny: rgmlx.Model, tmp_path: Path) -> None:
    turns = chat.turns
    with pytest.raises(ChatError, match="empty"):
        chat.send("  \n")
    with pytest.raises(ChatError, match="not a message of yours"):
        chat.edit(1, "x")
    with pytest.raises(ChatError, match="not a message of yours"):
        chat.edit(99, "x")
    with pytest.raises(ChatError, match="empty"):
        chat.edit(0, " ")
    with pytest.raises(ChatError, match="no turn 9"):
        chat.rewind(9)
    with pytest.raises(RgmlxError, match="temperature"):
        chat.send("x", temperature=-1)
    with pytest.raises(ChatError, match="no reply"):
        demo.chat().regenerate()
    with pytest.raises(ChatError, match="another model"):
        chat.rewind(rgmlx.load("demo").chat().checkpoint())
    with pytest.raises(TokenizerError, match="no tokenizer"):
        tiny.chat()
    demo.new_state().save(tmp_path / "state")
    with pytest.raises(ChatError, match="not a saved chat"):
        Chat.load(tmp_path / "state", demo)
    chat.save(tmp_path / "chat")
    with pytest.raises(StateError, match=r"Chat\.load"):
        rgmlx.State.load(tmp_path / "chat", demo)
    assert chat.turns == turns
    assert say(chat, "Hi")


def test_turns_from_elsewhere_are_read_with_the_next_message(demo: rgmlx.Model) -> None:
    said = [Turn("user", "My dog is Rex.", closed=False), Turn("model", "A fine name.")]
    chat = demo.chat(temperature=0)
    chat.add_turns([])
    chat.add_turns(said)
    assert [(t.role, t.text) for t in chat.turns] == [(t.role, t.text) for t in said]
    assert chat.turns[-1].closed and chat.position == chat.prefilled_tokens == 0
    text = "".join(chat.send("What is my dog called?", max_tokens=5))
    ids = [
        *ids_of(demo.tokenizer, said[0], None),
        *ids_of(demo.tokenizer, said[1], said[0]),
        *ids_of(demo.tokenizer, Turn("user", "What is my dog called?"), said[1]),
    ]
    assert text == demo.generate(ids, max_tokens=5, temperature=0) and chat.prefilled_tokens == len(ids)
    with pytest.raises(ChatError, match="'user' or 'model', not 'system'"):
        chat.add_turns([Turn("user", "Hi"), Turn("system", "x")])
    assert len(chat.turns) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        lambda c: c.send(b"hi"),
        lambda c: c.send(None),
        lambda c: c.edit(0, b"hi"),
        lambda c: c.add_turns([("user", "hi")]),
        lambda c: c.add_turns([Turn("user", b"hi")]),
        lambda c: c._model.chat(system=b"x"),
        lambda c: c._model.chat(store="somewhere"),
    ],
)
def test_what_is_no_text_is_refused_and_nothing_is_sent(demo: rgmlx.Model, wrong: Any) -> None:
    chat = demo.chat()
    say(chat, "Hi", max_tokens=2)
    before = chat.turns
    with pytest.raises(ChatError):
        wrong(chat)
    assert chat.turns == before and say(chat, "Hello", max_tokens=2)


def test_a_reply_that_has_no_word_yet_is_gone_on_with(demo: rgmlx.Model) -> None:
    """As after Ctrl+C while the message was being read."""
    chat = demo.chat(temperature=0)
    chat.send("Who are you?")
    chat.stop()
    text = "".join(chat.continue_reply(max_tokens=6))
    assert text == "".join(demo.chat(temperature=0).send("Who are you?", max_tokens=6))
    assert [t.role for t in chat.turns] == [USER, MODEL]
