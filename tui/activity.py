"""What the model is doing, what may come next, what is due then, and what that means for each command.

Knows no widgets, no model and no conversation: states, the transitions between them, a verdict for every kind of
command in every state, and the step that follows when the model is free.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Activity(Enum):
    """A state of the app; there is one model, which does one thing at a time."""

    LOADING = "the model is loaded, or downloaded first"
    UNLOADED = "there is no model"
    IDLE = "the model has nothing to do"
    SEEKING = "the model goes to the current message of the conversation on the screen"
    SENDING = "the files that a message names are read"
    FILING = "the model's state is written to a file, or read from one"
    WRITING = "a reply is written, on the screen"
    BEHIND = "a reply is written, at a place that is not on the screen"


AT_REST = frozenset({Activity.IDLE, Activity.UNLOADED})
"""In which the model has nothing to do."""
STOPPABLE = frozenset({Activity.SENDING, Activity.SEEKING, Activity.WRITING, Activity.BEHIND})
"""What Ctrl+C stops."""


class Need(Enum):
    """What a command needs of the model."""

    NOTHING = "it can be given at any time"
    PLACE = "it goes to another place, where the model follows when it is free"
    SETTLED = "it changes what the conversation on the screen ends in, which is not being written"
    REPLY = "it has the model write here"
    ALONE = "it uses the model itself"
    MESSAGE = "it is a message, to be replied to"


class Verdict(Enum):
    """What becomes of a command that is given now."""

    RUN = "it is done"
    QUEUE = "it waits until the model is free"
    REFUSE = "it is not done, and why is said"


TRANSITIONS: dict[Activity, frozenset[Activity]] = {
    Activity.LOADING: frozenset({Activity.IDLE, Activity.UNLOADED}),
    Activity.UNLOADED: frozenset({Activity.LOADING}),
    Activity.IDLE: frozenset({Activity.LOADING, Activity.SEEKING, Activity.SENDING, Activity.FILING, Activity.WRITING}),
    Activity.SEEKING: frozenset({Activity.IDLE}),
    Activity.SENDING: frozenset({Activity.IDLE, Activity.WRITING}),
    Activity.FILING: frozenset({Activity.IDLE}),
    Activity.WRITING: frozenset({Activity.IDLE, Activity.BEHIND}),
    Activity.BEHIND: frozenset({Activity.IDLE, Activity.WRITING}),
}
"""Where each state may go. Whatever the model did, it is idle before it does something else."""

_RUN, _QUEUE, _REFUSE = Verdict.RUN, Verdict.QUEUE, Verdict.REFUSE
_STATES = tuple(Activity)  # the columns below
_TABLE: dict[Need, tuple[Verdict, ...]] = {
    #             LOADING  UNLOADED IDLE  SEEKING  SENDING  FILING   WRITING  BEHIND
    Need.NOTHING: (_RUN, _RUN, _RUN, _RUN, _RUN, _RUN, _RUN, _RUN),
    Need.PLACE: (_RUN, _RUN, _RUN, _RUN, _REFUSE, _REFUSE, _RUN, _RUN),
    Need.SETTLED: (_RUN, _RUN, _RUN, _RUN, _REFUSE, _REFUSE, _REFUSE, _RUN),
    Need.REPLY: (_QUEUE, _REFUSE, _RUN, _QUEUE, _REFUSE, _QUEUE, _REFUSE, _QUEUE),
    Need.ALONE: (_REFUSE, _RUN, _RUN, _REFUSE, _REFUSE, _REFUSE, _REFUSE, _REFUSE),
    Need.MESSAGE: (_QUEUE, _REFUSE, _RUN, _QUEUE, _QUEUE, _QUEUE, _QUEUE, _QUEUE),
}


def verdict(need: Need, now: Activity) -> Verdict:
    """What becomes of a command with this need in this state."""
    return _TABLE[need][_STATES.index(now)]


def refusal(now: Activity, *, model: str = "", title: str = "", reading: bool = False) -> str:
    """Why something can't be done now, and what to do about it.

    Args:
        model: the name of the model that is not there.
        title: of the conversation in which a reply is written.
        reading: the message is still being read.
    """
    match now:
        case Activity.LOADING:
            return "The model is being loaded: Esc stops a download."
        case Activity.UNLOADED:
            return f"The model {model} is not loaded: choose a model with /model."
        case Activity.SEEKING:
            return "The conversation is being read: Esc stops it."
        case Activity.SENDING:
            return "Your message is being sent: try again in a moment."
        case Activity.FILING:
            return "A file is being written or read: try again in a moment."
        case Activity.WRITING:
            return f"{'Your message is being read' if reading else 'A reply is being written'}: Esc stops it."
        case Activity.BEHIND:
            return f"A reply is being written in “{title}”: Esc stops it."
        case Activity.IDLE:
            return "This can't be done now."


def waits_for(now: Activity, *, title: str = "") -> str:
    """When something that waits is done."""
    match now:
        case Activity.LOADING:
            return "when the model is there"
        case Activity.SEEKING:
            return "when the conversation was read"
        case Activity.BEHIND:
            return f"when the reply in “{title}” ends"
        case Activity.WRITING:
            return "when the reply ends"
        case _:
            return "in a moment"


class Step(Enum):
    """What is due when the model is free, in this order."""

    LOAD = "the model of the conversation on the screen is loaded"
    SEEK = "the model goes to the current message of that conversation"
    SEND = "what waits is sent, or done"
    REST = "nothing: it is busy, there is none, or the app is being left"


class Machine:
    """The state the app is in, and what is due.

    Attributes:
        now: the state.
        model: the name of the model to be loaded once the one that is there is free; or "".
        moved: the model is not at the current message, and has yet to go there.
        leaving: nothing is due any more.
    """

    def __init__(self, changed: Callable[[Activity], None] = lambda before: None) -> None:
        """`changed` is told after each transition what the state was. The first state is that of a start: the model is loaded."""
        self.now = Activity.LOADING
        self.model, self.moved, self.leaving = "", False, False
        self._changed = changed

    @property
    def busy(self) -> bool:
        """Whether the model has something to do."""
        return self.now not in AT_REST

    def enter(self, activity: Activity) -> None:
        """Goes to another state. Raises RuntimeError: there is no such transition."""
        if activity is self.now:
            return
        if activity not in TRANSITIONS[self.now]:
            raise RuntimeError(f"{self.now.name} is not followed by {activity.name}")
        before, self.now = self.now, activity
        if activity is Activity.LOADING:
            self.model = ""
        elif activity is Activity.SEEKING:
            self.moved = False
        self._changed(before)

    def due(self, loaded: str) -> Step:
        """What is to be done now; it is no longer due once its state is entered.

        Args:
            loaded: the name of the model that is there; "" for none.
        """
        if self.leaving or self.busy:
            return Step.REST
        if self.model == loaded:
            self.model = ""
        if self.model:
            return Step.LOAD
        if self.now is Activity.UNLOADED:
            return Step.REST
        return Step.SEEK if self.moved else Step.SEND
