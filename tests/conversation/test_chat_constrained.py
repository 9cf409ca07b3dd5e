"""Replies of a given form in a conversation, which goes on behind them as behind any other."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from interrupt_anywhere import small_model

import rgmlx
from rgmlx.conversation.turns import MODEL, USER, Turn
from rgmlx.errors import ConstraintError, IncompleteError, RgmlxError
from rgmlx.tokenizer import turn_ids


@dataclass
class Pet:
    kind: Literal["cat", "dog"]
    age: Annotated[int, {"minimum": 0, "maximum": 30}]


@pytest.fixture(scope="module")
def small() -> rgmlx.Model:
    return small_model()


FORMS: list[tuple[dict[str, Any], str]] = [
    ({"choices": ["yes", "no"]}, "yes|no"),
    ({"regex": "[0-9]{2}"}, "[0-9]{2}"),
    ({"schema": {"enum": [True]}}, "true"),
    ({"grammar": 'start: "a" | "b"'}, "[ab]"),
    ({"choices": [""]}, ""),
]


@pytest.mark.parametrize(("form", "regex"), FORMS, ids=str)
def test_a_reply_of_a_form_is_a_turn(small: rgmlx.Model, form: dict[str, Any], regex: str) -> None:
    chat = small.chat(temperature=1.0, seed=2)
    reply = chat.send("Well?", **form)
    text = "".join(reply)
    assert re.fullmatch(regex, text)
    assert reply.finish_reason == "stop"
    assert chat.turns == (Turn(USER, "Well?", False), Turn(MODEL, text, True))
    assert reply.result() == (text if "schema" not in form else True)


def test_the_conversation_goes_on_as_after_any_reply(demo: rgmlx.Model) -> None:
    """What the model remembers is the text, and the next reply may be anything again."""
    chat = demo.chat(temperature=0)
    pet = chat.send("I have a cat named Zibo.", schema=Pet).result()
    assert isinstance(pet, Pet)
    assert chat.send("Is it a cat?", choices=["yes", "no"]).result() in ("yes", "no")
    read = chat.prefilled_tokens
    reply = chat.send("What is my cat called?").result()
    assert chat.prefilled_tokens - read == len(turn_ids(demo.text_tokenizer(), "What is my cat called?")) + 1
    assert "{" not in reply
    assert "Zibo" in reply
    assert all(turn.closed for turn in chat.turns if turn.role == MODEL)


def test_the_result_is_asked_for_before_between_and_after_the_pieces(small: rgmlx.Model) -> None:
    chat = small.chat(temperature=1.0, seed=2)
    assert isinstance(chat.send("A pet?", schema=Pet).result(), Pet)
    reply = chat.send("Another?", schema=Pet)
    first = next(iter(reply))
    pet = reply.result()
    assert reply.text.startswith(first)
    assert reply.result() == pet
    plain = chat.send("And now?", max_tokens=3)
    assert plain.result() == plain.text != ""


def test_a_reply_that_is_cut_stays_and_has_no_result(small: rgmlx.Model) -> None:
    chat = small.chat(temperature=1.0, seed=2)
    reply = chat.send("A pet?", schema=Pet, max_tokens=2)
    with pytest.raises(IncompleteError, match="the reply was cut before it was whole") as error:
        reply.result()
    assert error.value.text == reply.text == chat.turns[-1].text != ""
    assert reply.finish_reason == "length"
    assert not chat.turns[-1].closed
    stopped = chat.send("A pet?", regex="[a-z ]{200}")
    next(iter(stopped))
    chat.stop()
    with pytest.raises(IncompleteError):
        stopped.result()
    assert stopped.finish_reason == "cancelled"
    assert chat.send("A pet?", choices=["a", "b"]).result() in "ab"


def test_regenerate_and_edit_take_a_form(small: rgmlx.Model) -> None:
    chat = small.chat(temperature=1.0, seed=2)
    chat.send("Well?", max_tokens=3).result()
    read = chat.prefilled_tokens
    assert chat.regenerate(choices=["one", "two"]).result() in ("one", "two")
    assert chat.prefilled_tokens == read
    assert isinstance(chat.edit(0, "A pet?", schema=Pet).result(), Pet)
    assert len(chat.turns) == 2
    with pytest.raises(RgmlxError, match="there is no sampling setting 'choices'"):
        chat.continue_reply(choices=["a"])


@pytest.mark.parametrize("method", ["send", "regenerate", "edit"])
def test_a_contradiction_changes_nothing(small: rgmlx.Model, method: str) -> None:
    chat = small.chat(temperature=1.0, seed=2)
    chat.send("Well?", max_tokens=3).result()
    turns, position = chat.turns, chat.position
    arguments = {"send": ("A pet?",), "regenerate": (), "edit": (0, "A pet?")}[method]
    with pytest.raises(ConstraintError, match="choices is empty"):
        getattr(chat, method)(*arguments, choices=[])
    assert (chat.turns, chat.position) == (turns, position)


def test_a_conversation_by_name_keeps_a_reply_of_a_form(small: rgmlx.Model, tmp_path: Path) -> None:
    with small.chat("pets", store=tmp_path, seed=2) as chat:
        pet = chat.send("A pet?", schema=Pet).result()
        turns = chat.turns
    with small.chat("pets", store=tmp_path, seed=2) as chat:
        assert chat.turns == turns
        assert Pet(**json.loads(chat.turns[-1].text)) == pet
        read = chat.prefilled_tokens
        assert chat.send("Sure?", choices=["yes", "no"]).result() in ("yes", "no")
        assert chat.prefilled_tokens - read == len(turn_ids(small.text_tokenizer(), "Sure?")) + 1
