"""Conversations that leave the store as Markdown and JSON, and come back."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stores import check, say, texts

from rgmlx.store import Conversation, Store, StoreError

PYTHON = [sys.executable, "-c"]


def test_markdown(store: Store) -> None:
    chat = store.conversations.create("2b", "On\nfoxes", "Be brief.")
    ids = say(store, chat, None, "Where?", "In a den.\n", "Sure?")
    cut = store.messages.start_reply(chat.id, ids[-1], "Ye")
    text = store.import_export.markdown(chat.id)
    assert text.startswith("# On foxes\n\n*2b, ")
    body = text.split("\n\n", 2)[2]
    assert body == (
        "## System\n\nBe brief.\n\n## You\n\nWhere?\n\n## Model\n\nIn a den.\n\n## You\n\nSure?\n\n"
        "## Model\n\nYe\n\n*(cut short)*\n"
    )
    assert "Sure?" not in store.import_export.markdown(chat.id, ids[1])
    assert cut.streaming


def test_json_there_and_back(store: Store, tmp_path: Path) -> None:
    chat = store.conversations.create("2b", "On foxes 🦊", "Be brief.", {"seed": 3})
    ids = say(store, chat, None, "q", "a", "q2", "a2")
    store.messages.finish(store.messages.start_reply(chat.id, ids[0], "b").id, closed=False)
    store.conversations.set_head(chat.id, ids[1])
    store.conversations.archive(chat.id)
    text = store.import_export.to_json(chat.id)
    with Store(tmp_path / "elsewhere") as other:
        other.conversations.create("demo")
        again = other.import_export.from_json(text)
        old, new = store.messages.tree(chat.id), other.messages.tree(again.id)
        for what in ("depth", "role", "text", "closed", "streaming", "hash", "created", "number", "siblings"):
            assert [getattr(m, what) for m in old] == [getattr(m, what) for m in new]
        was = store.conversations.get(chat.id)
        for what in ("title", "model", "system", "settings", "created", "updated", "archived"):
            assert getattr(again, what) == getattr(was, what)
        assert texts(other, again.head) == ["q", "a"]
        assert other.import_export.to_json(again.id) == text
        assert other.search.find("foxes")
    check(tmp_path / "elsewhere")


def test_what_is_not_an_export_is_refused_whole(store: Store, chat: Conversation) -> None:
    say(store, chat, None, "q", "a")
    good = json.loads(store.import_export.to_json(chat.id))
    changes = [{"messages": 3}, {"head": 9}, {"head": -1}, {"title": None}, {"settings": []}, {"created": "x"}]
    changes += [{"messages": [{**good["messages"][0], **m}]} for m in ({"parent": 0}, {"role": "x"}, {"text": 1})]
    changes += [{"messages": [*good["messages"], {}]}, {"created": float("nan")}, {"system": 1}, {"archived": 0}]
    for change in changes:
        with pytest.raises(StoreError, match="damaged"):
            store.import_export.from_json(json.dumps({**good, **change}))
    for text in ("", "[]", "{}", "null", "[" * 100_000, json.dumps({**good, "format": "x"})):
        with pytest.raises(StoreError, match="not an exported"):
            store.import_export.from_json(text)
    with pytest.raises(StoreError, match="newer"):
        store.import_export.from_json(json.dumps({**good, "version": 2}))
    assert len(store.conversations.listed(archived=None)) == 1
    assert len(store.messages.tree(chat.id)) == 2


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": ""}, "the name of the model is empty"),
    "a blank model": ({"model": " \n"}, "the name of the model is empty"),
    "NaN": ({"settings": {"temperature": math.nan}}, "temperature must be a finite number, 0 or more, not nan"),
    "infinity": ({"settings": {"temperature": math.inf}}, "temperature must be"),
    "a word": ({"settings": {"temperature": "hot"}}, "temperature must be a finite number, 0 or more, not hot"),
    "yes": ({"settings": {"top_p": True}}, "top_p must be"),
    "out of range": ({"settings": {"top_p": 1.5}}, "top_p must be a number between 0 and 1, not 1.5"),
    "a list": ({"settings": {"seed": [1]}}, "seed must be"),
    "none at all": ({"settings": {"max_tokens": 0}}, "max_tokens must be"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_model_or_setting_is_refused_with_its_name(store: Store, chat: Conversation, what: str) -> None:
    good = json.loads(store.import_export.to_json(chat.id))
    change, sentence = WRONG[what]
    with pytest.raises(StoreError, match=re.escape(sentence)):
        store.import_export.from_json(json.dumps({**good, **change}))
    assert len(store.conversations.listed(archived=None)) == 1


def test_settings_that_are_right_or_not_ours_come_in(store: Store) -> None:
    """None leaves one to the model; another version may have others."""
    settings = {"temperature": 0, "top_p": None, "seed": 7, "draw": 3, "of_another_version": {"a": [1, "x"]}}
    chat = store.conversations.create("demo", settings=settings)
    assert store.import_export.from_json(store.import_export.to_json(chat.id)).settings == settings


def test_a_wrong_setting_of_an_older_import_is_left_out_of_an_export(store: Store) -> None:
    """It would not come in again."""
    chat = store.conversations.create("demo", settings={"temperature": "hot", "seed": 3})
    assert store.import_export.from_json(store.import_export.to_json(chat.id)).settings == {"seed": 3}


def test_a_list_of_conversations_needs_no_mlx(tmp_path: Path) -> None:
    code = (
        "import sys; from rgmlx.store import Store\n"
        "Store(sys.argv[1]).conversations.listed(); print([m for m in ('mlx', 'numpy', 'tui', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([*PYTHON, code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_mark_of_a_damaged_message_comes_through_an_export(store: Store, chat: Conversation) -> None:
    """Of that message alone, however often it goes out and in; and Markdown shows it."""
    ids = say(store, chat, None, "asked", "answered", "asked more", "answered more")
    with store._database.transaction() as c:
        c.execute("UPDATE messages SET text = 'another answer' WHERE id = ?", (ids[1],))
    one = chat
    for _ in range(3):
        assert [m.damaged for m in store.messages.tree(one.id)] == [False, True, False, False]
        assert store.import_export.markdown(one.id).count("*(damaged: this is not what was written)*") == 1
        one = store.import_export.from_json(store.import_export.to_json(one.id))
    say(store, one, one.head, "goes on", "well")
    assert sum(m.damaged for m in store.messages.tree(one.id)) == 1
    with pytest.raises(StoreError, match="is damaged: export it again"):
        store.import_export.from_json(store.import_export.to_json(one.id).replace('"damaged": true', '"damaged": 1'))
