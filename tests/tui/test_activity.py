"""The states of the chat screen (A6): which follows which, and what becomes of each command in each of them."""

from __future__ import annotations

import itertools

import pytest

from tui.activity import TRANSITIONS, Activity, Machine, Need, Step, Verdict, refusal, verdict, waits_for
from tui.commands import COMMANDS

LOADING, UNLOADED, IDLE, SEEKING, SENDING, FILING, WRITING, BEHIND = Activity
ANY = "help stop queue edit mark find editor tree recall copy list model rename pin export settings set system theme history info guide quit"
# What is done, and what waits until the model is free; all else is refused with a sentence.
EXPECTED = {
    ANY: (tuple(Activity), ()),
    "back forward previous next new persona undelete import": (
        (LOADING, UNLOADED, IDLE, SEEKING, WRITING, BEHIND),
        (),
    ),
    "archive delete fix": ((LOADING, UNLOADED, IDLE, SEEKING, BEHIND), ()),
    "regenerate continue endless": ((IDLE,), (LOADING, SEEKING, FILING, BEHIND)),
    "save open": ((UNLOADED, IDLE), ()),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
@pytest.mark.parametrize("now", Activity, ids=lambda now: now.name)
def test_every_command_in_every_state(command: object, now: Activity) -> None:
    (runs, queues) = next(states for names, states in EXPECTED.items() if command.name in names.split())
    wanted = Verdict.RUN if now in runs else Verdict.QUEUE if now in queues else Verdict.REFUSE
    assert verdict(command.needs, now) is wanted
    if wanted is Verdict.REFUSE:
        why = refusal(now, model="demo", title="A fox")
        assert why.endswith(".") and len(why.split()) > 4
    if wanted is Verdict.QUEUE:
        assert waits_for(now, title="A fox")


@pytest.mark.parametrize("now", Activity, ids=lambda now: now.name)
def test_a_message_is_sent_or_waits_or_is_told_that_there_is_no_model(now: Activity) -> None:
    wanted = {IDLE: Verdict.RUN, UNLOADED: Verdict.REFUSE}.get(now, Verdict.QUEUE)
    assert verdict(Need.MESSAGE, now) is wanted


def test_what_is_open_during_a_reply() -> None:
    names = {c.name for c in COMMANDS if verdict(c.needs, WRITING) is Verdict.RUN}
    assert {"list", "settings", "help", "tree", "new", "info", "copy", "quit", "stop"} <= names
    assert names <= {c.name for c in COMMANDS if verdict(c.needs, BEHIND) is Verdict.RUN}


@pytest.mark.parametrize(("before", "after"), itertools.product(Activity, repeat=2))
def test_only_declared_transitions_are_made(before: Activity, after: Activity) -> None:
    made: list[Activity] = []
    machine = Machine(lambda before: made.append(machine.now))
    machine.now = before
    if before is after:
        machine.enter(after)
        assert made == []
    elif after in TRANSITIONS[before]:
        machine.enter(after)
        assert machine.now is after and made == [after]
    else:
        with pytest.raises(RuntimeError, match=f"{before.name} is not followed by {after.name}"):
            machine.enter(after)
        assert machine.now is before and made == []


def test_every_state_is_reached_and_comes_to_an_end() -> None:
    reached, ahead = {LOADING}, [LOADING]
    while ahead:
        for state in TRANSITIONS[ahead.pop()] - reached:
            reached.add(state)
            ahead.append(state)
    assert reached == set(Activity)
    assert all(IDLE in TRANSITIONS[state] for state in Activity if state not in (IDLE, UNLOADED))
    assert [state for state in Activity if not _busy(state)] == [UNLOADED, IDLE]


def _busy(state: Activity) -> bool:
    machine = Machine()
    machine.now = state
    return machine.busy


@pytest.mark.parametrize("now", Activity, ids=lambda now: now.name)
@pytest.mark.parametrize("wanted", ["", "2b", "demo"])
@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("leaving", [False, True])
def test_what_is_due_when_the_model_is_free(now: Activity, wanted: str, moved: bool, leaving: bool) -> None:
    """A model that is another one comes before the place to go to, and that before what waits; never two at once."""
    machine = Machine()
    machine.now, machine.model, machine.moved, machine.leaving = now, wanted, moved, leaving
    loaded = "" if now is UNLOADED else "demo"
    expected = Step.REST
    if not leaving and now in (IDLE, UNLOADED):
        if wanted == "2b" or (wanted and now is UNLOADED):
            expected = Step.LOAD
        elif now is IDLE:
            expected = Step.SEEK if moved else Step.SEND
    assert machine.due(loaded) is machine.due(loaded) is expected
    if expected in (Step.LOAD, Step.SEEK):
        machine.enter({Step.LOAD: LOADING, Step.SEEK: SEEKING}[expected])
        assert machine.due("demo") is Step.REST
        machine.enter(IDLE)
        assert machine.due("2b" if expected is Step.LOAD else "demo") is (
            Step.SEEK if expected is Step.LOAD and moved else Step.SEND
        )
