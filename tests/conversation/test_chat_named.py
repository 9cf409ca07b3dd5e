"""A conversation by name, for programs: on the disk, gone on with by the next program, shared with rgchat."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rgmlx
from rgmlx.conversation.session import Session
from rgmlx.conversation.turns import MODEL, USER
from rgmlx.errors import ChatError, RgmlxError
from rgmlx.store import Store
from rgmlx.tokenizer import turn_ids


def say(chat: rgmlx.Chat, text: str, **options: object) -> str:
    return "".join(chat.send(text, **{"seed": 1, "max_tokens": 16, **options}))


def texts(chat: rgmlx.Chat) -> list[str]:
    return [turn.text for turn in chat.turns]


@pytest.fixture
def inbox(demo: rgmlx.Model, tmp_path: Path) -> Iterator[rgmlx.Chat]:
    with demo.chat("inbox", store=tmp_path / "data", temperature=0.5) as chat:
        say(chat, "I have a cat named Zibo.")
        yield chat


def test_it_goes_on_where_it_was_left_and_reads_only_what_is_new(
    demo: rgmlx.Model, inbox: rgmlx.Chat, tmp_path: Path
) -> None:
    before = inbox.turns
    inbox.close()
    with demo.chat("inbox", store=tmp_path / "data") as again:
        assert again.turns == before and again.name == "inbox" and again.prefilled_tokens == 0
        assert "Zibo" in say(again, "What is my cat called?", temperature=0)
        asked = turn_ids(demo.text_tokenizer(), "What is my cat called?")
        assert again.prefilled_tokens == len(asked) + 1  # and the newline between the turns
        assert "".join(again.regenerate(max_tokens=20)) and again.prefilled_tokens == len(asked) + 1


def test_one_that_was_closed_says_so(inbox: rgmlx.Chat) -> None:
    inbox.close()
    for use in (lambda: inbox.turns, lambda: inbox.send("Hi"), inbox.regenerate, inbox.checkpoint):
        with pytest.raises(ChatError, match="was closed: open it again"):
            use()
    inbox.close()


def test_rgchat_lists_it_and_goes_on_with_it(inbox: rgmlx.Chat, tmp_path: Path) -> None:
    inbox.close()
    with Store(tmp_path / "data") as store:
        (row,) = store.conversations.listed()
        assert (row.title, row.model) == ("inbox", "demo") and row.settings["temperature"] == 0.5
        session = Session(store)
        assert session.open(row.id)
        session.load()
        assert session.sync() == 0, "nothing is read again"
        assert [m.role for m in store.messages.path(session.head.id if session.head else None)] == [USER, MODEL]
        session.close()


def test_one_that_rgchat_has_made_is_gone_on_with(demo: rgmlx.Model, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        session = Session(store, sampling={"max_tokens": 3, "temperature": 0.25})
        session.add_user_message("My name is Mia.")
        session.close()
        with demo.chat("My name is Mia.", store=store) as chat:
            assert texts(chat) == ["My name is Mia."]
            assert chat.sampling.temperature == 0.25 and chat.max_tokens == 3
            reply = chat.regenerate()
            assert "".join(reply) and reply.finish_reason == "length"


def test_what_another_program_has_open_is_refused(demo: rgmlx.Model, inbox: rgmlx.Chat, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ChatError, match="“inbox” is open in another program: close it there"):
            demo.chat("inbox", store=tmp_path / "data")
    with demo.chat("other", store=tmp_path / "data") as other:
        assert other.turns == () and inbox.turns
    inbox.close()
    inbox.close()
    demo.chat("inbox", store=tmp_path / "data").close()


def test_one_of_several_of_a_name_is_had_by_its_number(demo: rgmlx.Model, tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for title in ("hello", "hello", "hello", ":2", "gone"):
            store.conversations.create("demo", title)
        store.conversations.delete(5)
        with pytest.raises(ChatError, match=r"there are 3 conversations “hello”: give the number of one, :3, :2, :1$"):
            demo.chat("hello", store=store)
        for name, number in ((":1", 1), (" :3 ", 3), (":2", 4)):  # a name goes before a number
            with demo.chat(name, store=store) as chat:
                assert chat._session.conversation is not None and chat._session.conversation.id == number
        for name in (":5", ":77"):
            with pytest.raises(ChatError, match=f"there is no conversation “{name}”"):
                demo.chat(name, store=store)
        assert len(store.conversations.listed()) == 4
        demo.chat("5", store=store).close()  # which is a name
        assert store.conversations.of_title("5")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 201])
def test_a_name_that_is_none(name: str, demo: rgmlx.Model, tmp_path: Path) -> None:
    with pytest.raises(RgmlxError, match="1 to 200 characters on one line"):
        demo.chat(name, store=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_setting_out_of_range_leaves_nothing_behind(demo: rgmlx.Model, tmp_path: Path) -> None:
    with pytest.raises(RgmlxError, match="temperature"):
        demo.chat("inbox", store=tmp_path / "data", temperature=-1)
    assert not (tmp_path / "data").exists()


def test_the_system_text_is_of_the_beginning(demo: rgmlx.Model, tmp_path: Path) -> None:
    with demo.chat("inbox", system="Be brief.", store=tmp_path) as chat:
        say(chat, "Hello!", max_tokens=3)
    with demo.chat("inbox", system="Be brief.", store=tmp_path) as chat:
        assert chat.system == "Be brief."
    with demo.chat("inbox", store=tmp_path) as chat:
        assert chat.system == "Be brief."
    with pytest.raises(ChatError, match="“inbox” has another system text"):
        demo.chat("inbox", system="Be long.", store=tmp_path)
    demo.chat("inbox", store=tmp_path).close()  # which it did not keep


def test_a_program_that_ends_without_closing_loses_nothing(tmp_path: Path) -> None:
    program = (
        "import rgmlx, itertools\n"
        f"chat = rgmlx.load().chat('inbox', store={str(tmp_path)!r}, seed=1)\n"
        "print(''.join(itertools.islice(chat.send('Tell me a story'), 5)), end='', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout and not done.stderr
    with Store(tmp_path) as store:
        (row,) = store.conversations.listed()
        _, reply = store.messages.path(row.head)
        assert reply.text == done.stdout and not reply.streaming and not reply.closed


def test_ctrl_c_keeps_what_was_delivered(demo: rgmlx.Model, inbox: rgmlx.Chat, tmp_path: Path) -> None:
    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(iter(inbox.send("Tell me a story", progress=fail)))
    assert texts(inbox)[2:] == ["Tell me a story"]
    pieces = list(itertools.islice(inbox.regenerate(seed=1), 3))
    inbox.close()
    with demo.chat("inbox", store=tmp_path / "data") as again:
        assert texts(again)[2:] == ["Tell me a story", "".join(pieces)]
        assert "".join(again.continue_reply(max_tokens=5)) and again.prefilled_tokens == 0


def test_a_fork_is_in_memory(demo: rgmlx.Model, inbox: rgmlx.Chat, tmp_path: Path) -> None:
    other = inbox.fork()
    assert other.turns == inbox.turns and other.prefilled_tokens == 0 and other.name is None
    assert "Zibo" in say(other, "What is my cat called?", temperature=0)
    assert len(inbox.turns) == 2
    inbox.close()
    with Store(tmp_path / "data") as store:
        assert len(store.conversations.listed(archived=None)) == 1


# --- what both kinds do ---------------------------------------------------------------------


@pytest.fixture(params=["memory", "file"])
def chat(request: pytest.FixtureRequest, demo: rgmlx.Model, tmp_path: Path) -> Iterator[rgmlx.Chat]:
    with demo.chat() if request.param == "memory" else demo.chat("both", store=tmp_path) as made:
        say(made, "I have a cat named Zibo.")
        yield made


def test_going_on_with_a_reply(chat: rgmlx.Chat) -> None:
    first = say(chat, "Tell me a story", max_tokens=4)
    here, read = chat.checkpoint(), chat.prefilled_tokens
    reply = chat.continue_reply(max_tokens=4, seed=1)
    more = next(iter(reply)) + "".join(reply)
    assert texts(chat)[-1] == first + more and len(chat.turns) == 4
    assert chat.prefilled_tokens == read
    chat.rewind(here)
    assert texts(chat)[-1] == first, "the reply has grown since, and is as long as it was all the same"
    assert "".join(chat.continue_reply(max_tokens=4, seed=1)) == more
    assert chat.prefilled_tokens == read
    with pytest.raises(ChatError, match="no reply to go on with"):
        chat.rewind(0)
        chat.continue_reply()


def test_a_whole_reply_that_goes_on_is_a_longer_one_beside_it(chat: rgmlx.Chat) -> None:
    first = "".join(chat.send("What is 3 plus 4?", temperature=0))
    assert chat.turns[-1].closed
    more = "".join(chat.continue_reply(max_tokens=12, seed=1))
    assert texts(chat)[-1] == first + more and chat.siblings == (2, 2)
    chat.switch(-1)
    assert texts(chat)[-1] == first and chat.siblings == (1, 2) and chat.turns[-1].closed
    with pytest.raises(ChatError, match="no other turn on that side: this is 1 of 2"):
        chat.switch(-1)


def test_siblings_read_nothing(chat: rgmlx.Chat) -> None:
    first = say(chat, "Tell me a joke")
    second = "".join(chat.regenerate(seed=7, max_tokens=40))
    assert chat.siblings == (2, 2)
    read = chat.prefilled_tokens
    chat.switch(-1)
    assert texts(chat)[-1] == first
    chat.switch(1)
    assert texts(chat)[-1] == second and chat.prefilled_tokens == read
    "".join(chat.edit(0, "Hello!", max_tokens=5))
    assert len(chat.turns) == 2
    chat.rewind(1)
    assert chat.siblings == (2, 2)
    chat.switch(-1)
    assert texts(chat)[0] == "I have a cat named Zibo." and texts(chat)[-1] == second


def test_the_horizon_is_where_exact_memory_begins(chat: rgmlx.Chat, demo: rgmlx.Model) -> None:
    assert chat.horizon() is None
    say(chat, "word " * (demo.config.attention_window_size + 100), max_tokens=3)
    found = chat.horizon()
    assert found is not None and found.characters > 0


def test_a_checkpoint_of_another_chat_is_a_branch(chat: rgmlx.Chat, demo: rgmlx.Model) -> None:
    other = demo.chat()
    say(other, "My name is Mia.")
    chat.rewind(other.checkpoint())
    assert texts(chat) == texts(other) and chat.siblings == (1, 1)
    read = chat.prefilled_tokens
    assert "Mia" in say(chat, "What is my name?", temperature=0)
    assert chat.prefilled_tokens - read == len(turn_ids(demo.text_tokenizer(), "What is my name?")) + 1
    chat.rewind(1)
    chat.switch(-1)
    assert texts(chat)[0] == "I have a cat named Zibo."


def test_saved_and_loaded(chat: rgmlx.Chat, demo: rgmlx.Model, tmp_path: Path) -> None:
    chat.max_tokens = 9
    chat.save(tmp_path / "c.rgstate")
    again = rgmlx.Chat.load(tmp_path / "c.rgstate", demo)
    assert (again.turns, again.position, again.max_tokens) == (chat.turns, chat.position, 9)
    "".join(again.regenerate())
    assert again.prefilled_tokens == 0
