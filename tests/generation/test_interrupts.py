"""D21: Ctrl+C at every line of the token loop and of a chat. After it, the state is that of what was delivered.

`scripts/interrupt_anywhere.py` does the same between any two instructions, and every time that a line is come by.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import interrupt_anywhere
import pytest
from interrupt_anywhere import CHAT, SCENARIOS, places, small_model, strike

import rgmlx
from rgmlx.errors import RgmlxError
from rgmlx.generation.engine import Generation
from rgmlx.system import atomic

WHERE_STATES_MOVE = {Path(m.__file__).name for m in (atomic, *CHAT)}


@pytest.fixture(scope="module")
def small() -> Iterator[rgmlx.Model]:
    yield small_model()
    gc.unfreeze()


@pytest.mark.parametrize("name", SCENARIOS)
def test_ctrl_c_at_any_line_leaves_the_state_of_what_was_delivered(name: str, small: rgmlx.Model) -> None:
    struck = places(SCENARIOS[name], small, times=1)
    assert len(struck) > 20
    if name == "Generation, constrained":  # and those of all that it shares with one that is not
        struck = [at for at in struck if Path(at[0].co_filename).name in ("engine.py", "matcher.py")]
    if name == "Generation, foreseen":
        struck = [
            at
            for at in struck
            if Path(at[0].co_filename).name in ("engine.py", "speculation.py", "lookup.py", "trace.py")
        ]
    if name.startswith("Chat"):  # the lines below are struck by the scenarios without a chat
        struck = [at for at in struck if Path(at[0].co_filename).name in WHERE_STATES_MOVE]
    if name.startswith("Chat") and name != "Chat.send":  # and those of a reply there
        elsewhere = {(code, line) for code, line, _ in places(SCENARIOS["Chat.send"], small, times=1)}
        if name == "Chat.send by name":  # each with files of its own: the script strikes all of them
            struck = struck[::12]
        else:
            struck = [at for at in struck if at[:2] not in elsewhere or at[0].co_name == "whole"]
    for at in struck:
        strike(SCENARIOS[name], small, at)


def test_a_run_is_over_after_an_exception(small: rgmlx.Model) -> None:
    """An error in the middle, here one of a progress callback: what was read is as unread, and nothing more comes."""

    def fail(done: int, total: int) -> None:
        raise OSError("no")

    state = small.new_state()
    run = iter(Generation(small, state, [2, 3, 4], chunk=1, progress=fail))
    with pytest.raises(OSError, match="no"):
        next(run)
    assert state.position == 0
    assert list(run) == []
    assert list(Generation(small, state, [2, 3, 4], max_tokens=2))


def test_a_reply_goes_on_after_an_interrupt(small: rgmlx.Model) -> None:
    """A new reply to the same message is the one that an uninterrupted chat has written."""
    whole = small.chat(temperature=1.0, seed=4)
    want = "".join(whole.send("Who are you?", max_tokens=6))
    broken = small.chat(temperature=1.0, seed=4)

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(iter(broken.send("Who are you?", progress=fail)))
    assert [t.text for t in broken.turns] == ["Who are you?"]
    assert broken.prefilled_tokens == 0
    assert "".join(broken.regenerate(max_tokens=6, seed=4)) == want
    assert broken.prefilled_tokens == whole.prefilled_tokens


def test_within_a_step_nothing_else_of_the_chat_can_be_done(small: rgmlx.Model, tmp_path: Path) -> None:
    talk, refused = small.chat(), []

    def meddle(done: int, total: int) -> None:
        try:
            talk.save(tmp_path / "c")
        except RgmlxError as e:
            refused.append(str(e))

    list(talk.send("Hi", max_tokens=1, progress=meddle))
    assert refused
    assert "a reply is being written" in refused[0]
    talk.save(tmp_path / "c")


@pytest.mark.parametrize("wrong", [False, True])
def test_d21_the_script_ends_with_1_where_a_state_is_wrong(
    wrong: bool, small: rgmlx.Model, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def struck(*_: object) -> None:
        assert not wrong, "another state"

    monkeypatch.setattr(interrupt_anywhere, "SCENARIOS", {"Generation": SCENARIOS["Generation"]})
    monkeypatch.setattr(interrupt_anywhere, "small_model", lambda: small)
    monkeypatch.setattr(interrupt_anywhere, "places", lambda *_: [None])
    monkeypatch.setattr(interrupt_anywhere, "strike", struck)
    monkeypatch.setattr("sys.argv", ["interrupt_anywhere.py", "--seconds", "300"])
    assert interrupt_anywhere.main() == int(wrong)
    assert ("another state" in capsys.readouterr().out) == wrong
