"""Conversations that another program keeps as lists of messages: gone on with by a state, where one fits, and right where none does."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rgmlx
from rgmlx.conversation.turns import Turn, ids_of
from rgmlx.errors import ChatError, ConstraintError, RgmlxError
from rgmlx.integrations import llm_chats
from rgmlx.integrations.llm_chats import Chats, Transcript, Usage, file_of, transcript

SHORT = {"temperature": 0, "max_tokens": 4}


@dataclass
class ReasoningPart:
    """As llm's."""

    text: str


def message(role: str, *parts: Any) -> Any:
    return SimpleNamespace(role=role, parts=[SimpleNamespace(text=p) if isinstance(p, str) else p for p in parts])


LISTS: dict[str, tuple[list[Any], Transcript]] = {
    "a question": ([message("user", "Hi")], Transcript(None, (), "Hi")),
    "a system text": (
        [message("system", "Be brief."), message("user", "Hi")],
        Transcript("Be brief.", (), "Hi"),
    ),
    "turns": (
        [message("user", "Hi"), message("assistant", "Hello", "!"), message("user", "Who?")],
        Transcript(None, (Turn("user", "Hi"), Turn("model", "Hello!")), "Who?"),
    ),
    "a system text later": (
        [message("user", "a"), message("assistant", "b"), message("system", "c"), message("user", "d")],
        Transcript(None, (Turn("user", "a"), Turn("model", "b")), "c\n\nd"),
    ),
    "neighbours": (
        [
            message("user", "a"),
            message("user", "b"),
            message("assistant", "c"),
            message("assistant"),
            message("user", "d"),
        ],
        Transcript(None, (Turn("user", "a\n\nb"), Turn("model", "c")), "d"),
    ),
    "another model's tools": (
        [
            message("user", "a"),
            message("assistant", ReasoningPart("hm"), SimpleNamespace(name="f", arguments={})),
            message("tool", SimpleNamespace(name="f", output="5")),
            message("assistant", "five"),
            message("user", "b"),
        ],
        Transcript(None, (Turn("user", "a"), Turn("model", ""), Turn("user", "5"), Turn("model", "five")), "b"),
    ),
    "nothing": ([], Transcript(None, (), "")),
    "no question": (
        [message("user", "a"), message("assistant", "b")],
        Transcript(None, (Turn("user", "a"), Turn("model", "b")), ""),
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_messages_is_a_transcript(name: str) -> None:
    messages, expected = LISTS[name]
    assert transcript(messages) == expected


# --- the names of files -------------------------------------------------------------------

NAMES = [
    "01m8ppdj3dbc4r6p2rdm980s3m",
    "",
    ".",
    "..",
    "../../x",
    "/etc/passwd",
    "a\0b",
    "a" * 5000,
    "‮x",
    "\ud800",
    "A B",
]


def test_a_name_is_never_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = [file_of(name) for name in NAMES]
    assert len(set(files)) == len(NAMES) and files == [file_of(name) for name in NAMES]
    assert files[0] is not None and files[0].name == f"{NAMES[0]}.rgstate"
    for file in files:
        assert file is not None and file.resolve().parent == tmp_path / "rgmlx" / "llm" / "states"
        file.write_text("can be written")
    assert stat.S_IMODE(os.stat(files[0].parent).st_mode) == 0o700


# --- going on -----------------------------------------------------------------------------


class Talk:
    """What another program does: it keeps the list, and asks with all of it each time."""

    def __init__(self, model: rgmlx.Model, system: str | None = None, file: Path | None = None) -> None:
        self.model, self.system, self.file, self.turns = model, system, file, list[Turn]()

    def ask(self, chats: Chats, text: str, **settings: Any) -> Usage:
        usage = Usage()
        said = Transcript(self.system, tuple(self.turns), text)
        reply = "".join(chats.answer(self.model, said, usage, {**SHORT, **settings}, self.file))
        self.turns += [Turn("user", text), Turn("model", reply)]
        return usage

    def new(self) -> int:
        """Tokens of the last question, and what stands between it and the reply before."""
        *before, asked, _ = self.turns
        ahead = Turn("model", "", closed=False) if before else None
        return len(ids_of(self.model.text_tokenizer(), asked, ahead, self.system if not before else None))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "one.rgstate"


WAYS = ["in one process", "by the file", "when the file is gone", "by a damaged file", "by another conversation's file"]


@pytest.mark.parametrize("way", WAYS)
def test_a_conversation_goes_on_and_reads_what_is_new(way: str, demo: rgmlx.Model, file: Path) -> None:
    """The replies are those of a chat that was never left, whatever was kept of it."""
    chat = demo.chat(system="Be kind.", temperature=0)
    expected = ["".join(chat.send(text, max_tokens=4)) for text in ("My name is Anna.", "Who are you?", "And I?")]
    talk, chats = Talk(demo, "Be kind.", file), Chats()
    first = talk.ask(chats, "My name is Anna.")
    assert (first.read, first.remembered, first.finish_reason) == (talk.new(), 0, "length") and first.written == 4
    kept = first.read + first.written
    for text in ("Who are you?", "And I?"):
        if way != "in one process":
            chats = Chats()
        if way == "when the file is gone":
            file.unlink()
        elif way == "by a damaged file":
            file.write_bytes(file.read_bytes()[:-100] + b"x" * 100)
        elif way == "by another conversation's file":
            Talk(demo, "Be kind.", file).ask(Chats(), "Something else.")
        usage = talk.ask(chats, text)
        known = way in ("in one process", "by the file")
        assert usage.remembered == (kept if known else 0)
        assert usage.read == talk.new() + (0 if known else kept)
        kept = usage.remembered + usage.read + usage.written
    assert [turn.text for turn in talk.turns[1::2]] == expected


def test_what_others_said_meanwhile_is_read(demo: rgmlx.Model) -> None:
    talk, chats = Talk(demo), Chats()
    first = talk.ask(chats, "Hi")
    talk.turns += [Turn("user", "My dog is Rex."), Turn("model", "A fine name.")]
    usage = talk.ask(chats, "What is my dog called?")
    between = [
        ids_of(demo.text_tokenizer(), turn, before)
        for before, turn in zip(talk.turns[1:3], talk.turns[2:4], strict=True)
    ]
    assert usage.remembered == first.read + first.written
    # The first reply was cut short, and is closed now; the one of another model ended itself.
    assert usage.read == sum(map(len, between)) + talk.new()


def test_two_branches_of_one_conversation(demo: rgmlx.Model) -> None:
    """Each is what it is alone, and the beginning of both is not mixed up."""
    chats, one = Chats(), Talk(demo)
    one.ask(chats, "My name is Anna.")
    other = Talk(demo)
    other.turns = list(one.turns)
    one.ask(chats, "I am forty.")
    usage = other.ask(chats, "Who are you?")
    assert usage.remembered == 0
    alone = Talk(demo)
    alone.turns = other.turns[:2]
    alone.ask(Chats(), "Who are you?")
    assert alone.turns == other.turns
    assert one.ask(chats, "And you?").remembered > 0


def test_another_conversation_of_the_same_length(demo: rgmlx.Model) -> None:
    chats, talk = Chats(), Talk(demo)
    talk.ask(chats, "My name is Anna.")
    other = Talk(demo)
    for at, turn in enumerate((Turn("user", "My name is Bob."), Turn("model", "Nice to meet you, Bob!"))):
        other.turns = [*talk.turns[:at], turn, *talk.turns[at + 1 :]]
        assert other.ask(chats, "Who am I?", max_tokens=1).remembered == 0
    assert talk.ask(chats, "Who am I?", max_tokens=1).remembered > 0


@pytest.mark.parametrize("system", [None, "Be rude."])
def test_another_system_text_is_another_conversation(system: str | None, demo: rgmlx.Model) -> None:
    chats, talk = Chats(), Talk(demo, "Be kind.")
    talk.ask(chats, "Hi")
    talk.system = system
    assert talk.ask(chats, "Who are you?").remembered == 0


def test_a_reply_that_breaks_off_leaves_the_conversation(demo: rgmlx.Model, file: Path) -> None:
    talk, chats = Talk(demo, None, file), Chats()
    first = talk.ask(chats, "My name is Anna.")
    before = file.read_bytes()
    usage = Usage()
    pieces = chats.answer(demo, Transcript(None, tuple(talk.turns), "Tell me a long story."), usage, {}, file)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert file.read_bytes() == before and usage == Usage()
    talk.file = None
    assert talk.ask(chats, "Who are you?").remembered == first.read + first.written


def test_a_chat_that_writes_is_nobody_elses(demo: rgmlx.Model) -> None:
    chats, talk = Chats(), Talk(demo)
    talk.ask(chats, "My name is Anna.")
    turns, usages = tuple(talk.turns), [Usage(), Usage()]
    runs = [chats.answer(demo, Transcript(None, turns, "Who are you?"), usage, SHORT) for usage in usages]
    pieces = ["", ""]
    for at in (0, 1, 1, 0):
        pieces[at] += next(runs[at], "")
    texts = [begun + "".join(run) for begun, run in zip(pieces, runs, strict=True)]
    assert texts[0] == texts[1] != ""
    assert usages[0].remembered > 0 == usages[1].remembered


def test_settings_are_those_of_one_reply(demo: rgmlx.Model) -> None:
    chats, talk = Chats(), Talk(demo)
    assert talk.ask(chats, "Hi", max_tokens=2).written == 2
    assert talk.ask(chats, "Thanks!", max_tokens=None, seed=1, temperature=1, top_k=5).finish_reason == "stop"
    for settings, said in (({"top_p": 2}, "top_p must be"), ({"colour": 1}, "no sampling setting 'colour'")):
        with pytest.raises(RgmlxError, match=said):
            talk.ask(chats, "Hi", **settings)
    with pytest.raises(ChatError, match="nothing to answer"):
        talk.ask(chats, " \n")


def test_a_schema_is_kept_to(demo: rgmlx.Model) -> None:
    said, usage = Transcript(None, (), "Is a fox an animal?"), Usage()
    assert "".join(Chats().answer(demo, said, usage, SHORT, schema={"enum": [True]})) == "true"
    with pytest.raises(ConstraintError):
        next(Chats().answer(demo, said, usage, SHORT, schema={"type": "nothing"}))


def test_states_are_bounded(demo: rgmlx.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_chats, "MAX_FILES", 3)
    chats, names = Chats(), [f"{n}.rgstate" for n in range(6)]
    (tmp_path / "beside.txt").write_text("stays")
    for at, name in enumerate(names):
        Talk(demo, None, tmp_path / name).ask(chats, f"Hi {at}", max_tokens=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*names[3:], "beside.txt"]
    assert len(chats._known) == llm_chats.MAX_CHATS
    monkeypatch.setattr(llm_chats, "MAX_BYTES", 1)
    Talk(demo, None, tmp_path / names[3]).ask(chats, "Hi", max_tokens=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [names[3], "beside.txt"]


def test_chats_of_a_model_that_is_used_no_more_go(demo: rgmlx.Model) -> None:
    chats = Chats()
    Talk(rgmlx.load("demo")).ask(chats, "Hi", max_tokens=1)
    Talk(demo).ask(chats, "Hi", max_tokens=1)
    assert [owner is demo for owner, _ in chats._known] == [True]


def test_what_can_not_be_written_costs_reading_only(demo: rgmlx.Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    talk = Talk(demo, None, tmp_path / "file" / "one.rgstate")
    talk.ask(Chats(), "Hi")
    assert talk.ask(Chats(), "Who are you?").remembered == 0
