"""The settings of a reply, over the one declaration of each: every way in refuses what is out of range, and no
setting changes what a run gives that is stopped and gone on with."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import mlx.core as mx
import numpy as np
import pytest
from sessions import Open

import rgmlx
from rgmlx.cli import parser
from rgmlx.cli.common import settings as given
from rgmlx.conversation import turns
from rgmlx.conversation.chat import Chat
from rgmlx.conversation.session import Session
from rgmlx.conversation.turns import NOW, CachedState, SavedChat
from rgmlx.errors import ChatError, ConfigError, RgmlxError
from rgmlx.generation.engine import Generation, generate_batch
from rgmlx.generation.sampling import Sampler, make_sampling, recommended
from rgmlx.griffin.state import save_states
from rgmlx.settings import DRAWING, OF_MODELS, OFFERED, SETTINGS, Sampling, Setting, checked
from rgmlx.store import Store
from tui import operations
from tui.settings.settings import _GENERAL, Defaults, SettingsError, load, parse, save

NO_NUMBERS: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    True,
    "x",
    "0.5",
    b"1",
    [1],
    {},
    1j,
    object(),
    10**400,
    -(10**400),
]


def wrong(name: str) -> list[Any]:
    """Values that a setting can't have."""
    setting = SETTINGS[name]
    beside = [setting.low - 1, -1e300] + ([setting.high + 1] if setting.high < 2**63 - 1 else [])
    whole = [setting.low + 0.5, "1.5", 2**63, 10**5000] if setting.kind is int else []
    return [*NO_NUMBERS, *beside, *whole]


def right(name: str) -> list[Any]:
    setting = SETTINGS[name]
    high = int(setting.high) if setting.kind is int else setting.high
    values = [setting.low, high, setting.sample]
    return values if setting.kind is int else [*values, 5e-324, 1e-30, np.float32(0.5), 1]


def a_sentence(error: BaseException, name: str) -> bool:
    said = str(error)
    return f"{name} must be {SETTINGS[name].wanted}" in said and "\n" not in said and len(said) < 200


# --- one declaration ----------------------------------------------------------------------


def test_every_place_has_the_settings_that_are_declared() -> None:
    assert [f.name for f in fields(Sampling)] == list(DRAWING)
    assert get_type_hints(Sampling) == {
        name: setting.kind if setting.default is not None else setting.kind | None for name, setting in DRAWING.items()
    }
    assert vars(Sampling()) == {name: setting.default for name, setting in DRAWING.items()}
    assert list(given(parser().parse_args(["ask", "--seed", "1", "--max-tokens", "5"]))) == ["seed", "max_tokens"]
    for setting in SETTINGS.values():
        assert setting.convert(setting.sample) == setting.sample and setting.about.endswith(".")
        assert (setting.default is None) == bool(setting.unset)


def test_what_a_setting_must_be_names_its_limits() -> None:
    """Fault 12d: max_tokens was to be 1 or more, and 99999999999999999999999 was not; the limits as one reads numbers."""
    shown = {2**63 - 1: "9,223,372,036,854,775,807", 2**31 - 1: "2,147,483,647", math.nextafter(math.inf, 0): "finite"}
    for name, setting in [*SETTINGS.items(), ("snapshot_bytes", _GENERAL["snapshot_bytes"])]:
        assert isinstance(setting, Setting)
        for limit in (setting.low, setting.high):
            assert re.search(rf"(?<![\d*]){re.escape(shown.get(limit, f'{limit:g}'))}(?![\d*])", setting.wanted), name


# --- bad values ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWING)
def test_sampling_refuses_what_is_out_of_range(name: str) -> None:
    """Also `presence_penalty=nan` and `seed=-1`, which were taken."""
    for value in [*wrong(name), *([None] if SETTINGS[name].default is not None else [])]:
        for make in (lambda v: Sampling(**{name: v}), lambda v: make_sampling({name: v}, Sampling(temperature=0))):
            with pytest.raises(RgmlxError) as caught:
                make(value)
            assert a_sentence(caught.value, name), value
    for value in right(name):
        kept = getattr(Sampling(**{name: value}), name)
        assert kept == value and type(kept) is SETTINGS[name].kind  # a file of JSON can hold it


def test_a_budget_of_tokens_is_a_whole_number(tiny: rgmlx.Model) -> None:
    for value in wrong("max_tokens"):
        if value == 0 and value is not False:
            continue  # a program may have a text read only
        with pytest.raises(RgmlxError, match="max_tokens must be a whole number between 0 and "):
            Generation(tiny, tiny.new_state(), [5], max_tokens=value)
        with pytest.raises(RgmlxError, match="max_tokens must be a whole number between 0 and "):
            list(generate_batch(tiny, tiny.new_state(), [[5]], max_tokens=value))
    assert len(list(Generation(tiny, tiny.new_state(), [5], max_tokens=np.int64(3)))) == 3


@pytest.mark.parametrize("name", OFFERED)
def test_what_is_typed_is_refused_or_kept(name: str, tmp_path: Path) -> None:
    """On the command line, behind /set and in the form (which share `parse`), in the file of defaults."""
    option, file = f"--{name.replace('_', '-')}", tmp_path / "rgchat.toml"
    for value in [v for v in wrong(name) if not isinstance(v, int) or abs(v) < 10**4000]:
        typed = str(value)
        if typed == "0.5" and OFFERED[name].kind is float:
            continue  # text is what is typed
        with pytest.raises(SettingsError) as caught:
            parse(name, typed)
        assert a_sentence(caught.value, name), typed
        try:
            options = parser().parse_args(["ask", f"{option}={typed}"])
        except SystemExit as e:
            assert e.code == 2
        else:
            with pytest.raises(RgmlxError) as said:
                given(options)
            assert a_sentence(said.value, name), typed
        if isinstance(value, (bool, int, float, str)):
            with pytest.raises(SettingsError):
                save(file, Defaults(sampling={name: value}))
            toml = (
                str(value).lower()
                if isinstance(value, bool)
                else json.dumps(value)
                if isinstance(value, str)
                else typed
            )
            file.write_text(f"[sampling]\n{name} = {toml}\n")
            defaults, said_of_file = load(file)
            assert defaults == Defaults() and f"sampling.{name} must be {OFFERED[name].wanted}, not " in said_of_file[0]
    for value in right(name):
        number = checked(name, value)
        assert parse(name, repr(number)) == number
        assert given(parser().parse_args(["ask", f"{option}={number!r}"])) == {name: number}
        file.unlink(missing_ok=True)
        save(file, Defaults(sampling={name: value}))
        assert load(file) == (Defaults(sampling={name: number}), [])


@pytest.mark.parametrize("name", OF_MODELS)
def test_a_model_that_recommends_what_is_out_of_range(name: str, tmp_path: Path) -> None:
    file = tmp_path / "generation_config.json"
    for value in wrong(name):
        if (
            isinstance(value, (bytes, complex))
            or type(value) is object
            or (isinstance(value, int) and value > 10**4000)
        ):
            continue  # not JSON
        file.write_text(json.dumps({name: value}))
        with pytest.raises(ConfigError) as caught:
            recommended(tmp_path)
        said = str(caught.value)
        assert str(file) in said and a_sentence(ConfigError(said.replace(str(file), file.name)), name)
    for value in right(name):
        file.write_text(json.dumps({name: float(value) if isinstance(value, np.floating) else value}))
        assert getattr(recommended(tmp_path)[0], name) == value


def test_a_saved_chat_with_a_setting_out_of_range(demo: rgmlx.Model, tmp_path: Path) -> None:
    for name, value in (("presence_penalty", math.nan), ("seed", -1), ("temperature", "hot")):
        SavedChat((), {NOW: CachedState(demo.new_state())}, None, {name: value}).write(tmp_path / "x.rgstate")
        with pytest.raises(RgmlxError, match=rf"x\.rgstate is not a saved chat \(.*{name}"):
            Chat.load(tmp_path / "x.rgstate", demo)


@pytest.mark.parametrize("where", ["a setting", "a field"])
def test_a_saved_chat_of_a_newer_version_says_so(
    where: str, demo: rgmlx.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting or a field that this version does not know is not dropped: the reply would be another one."""
    file = tmp_path / "x.rgstate"
    saved = SavedChat((), {NOW: CachedState(demo.new_state())}, None, {"colour": 1} if where == "a setting" else {})
    if where == "a field":
        monkeypatch.setattr(turns, "save_states", lambda path, states, extra: _with_field(path, states, extra))
    saved.write(file)
    with pytest.raises(ChatError, match=r"x\.rgstate was written by a newer rgmlx, which knows 'colour': update rgmlx"):
        Chat.load(file, demo)


def _with_field(path: Path, states: Any, extra: dict[str, Any]) -> None:
    save_states(path, states, {"chat": {**extra["chat"], "colour": 1}})


def test_a_conversation_with_a_setting_out_of_range_says_so_and_can_be_put_right(begin: Open) -> None:
    """As one that was imported may have."""
    session = begin()
    session.add_user_message("Hello")
    for name in OFFERED:
        for value in ("hot", math.nan, SETTINGS[name].low - 1, [1], True):
            assert session.conversation is not None
            session.store.conversations.set_settings(session.conversation.id, {name: value})
            session.open(session.conversation.id)
            with pytest.raises(RgmlxError) as caught:
                next(session.generate_reply())
            assert a_sentence(caught.value, name)
            assert operations.change_setting(session, f"{name} default").startswith(f"{name}: ")
            assert session.settings.get(name) is None
            session.check(session.settings)


# --- extreme values -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "drawn"),
    [
        *(({"temperature": t}, {5}) for t in (0, 5e-324, 1e-39, 1e-30, 1e-7, 0.01)),
        *(({"temperature": t, "top_k": 2}, {1, 5}) for t in (10, 1e7, 1e39, DRAWING["temperature"].high)),
        *(({"temperature": t, "top_p": 0.3}, {5}) for t in (1e39, DRAWING["temperature"].high)),
        *(({"repetition_penalty": p}, {1}) for p in (5e-324, 1e-39, 1e-7)),  # 1 and 3 were just used
        *(({"repetition_penalty": p, "top_k": 2}, {2, 5}) for p in (1e7, 1e39, DRAWING["repetition_penalty"].high)),
        *(({f"{which}_penalty": p}, {3}) for which in ("presence", "frequency") for p in (-100,)),
        *(({f"{which}_penalty": p, "top_k": 2}, {2, 5}) for which in ("presence", "frequency") for p in (100,)),
        ({"min_p": 1, "top_p": 0}, {5}),
        ({"top_p": 5e-324}, {5}),
        ({"min_p": 5e-324, "top_k": 2}, {1, 5}),
        ({"top_k": 2**31 - 1, "min_p": 0.9}, {5}),
        ({"seed": 2**63 - 1, "top_k": 2}, {1, 5}),
    ],
)
def test_numbers_at_the_ends_of_a_range_do_what_they_say(settings: dict[str, Any], drawn: set[int]) -> None:
    """float32 has no 1e39 and no 1e-46: where they gave NaN or infinity, any token could be drawn."""
    logits = mx.array([[-30.0, 29.5, 28.75, 28.9 if "presence_penalty" in settings else 0.0, -29.0, 30.0]])
    settings = {"temperature": 1.0, "top_p": 0.0, "seed": 1, **settings}
    recent = [3] if -100 in settings.values() else [1, 3]
    sampled = {int(Sampler(Sampling(**settings), [recent])(logits, [position])[0]) for position in range(40)}
    assert sampled == drawn


# --- two halves equal one run -------------------------------------------------------------

BASE: dict[str, Any] = {"temperature": 1.5, "top_p": 0.0, "repetition_penalty": 1.2, "seed": 1}
OTHERS: dict[str, Any] = {
    "temperature": 0.7,
    "top_p": 0.3,
    "min_p": 0.2,
    "top_k": 2,
    "repetition_penalty": 2.5,
    "presence_penalty": 20.0,
    "frequency_penalty": 10.0,
    "penalty_window": 2,
    "seed": 5,
}


@pytest.mark.parametrize("name", DRAWING)
def test_two_halves_equal_one_run(name: str, tiny: rgmlx.Model, tmp_path: Path) -> None:
    """For every setting, at a value with which the run is another one."""
    settings = {**BASE, name: OTHERS[name]}

    def run(state: Any, prompt: list[int], count: int, **options: Any) -> list[int]:
        return list(Generation(tiny, state, prompt, sampling=Sampling(**options), max_tokens=count))

    prompt = [*range(5, 15), 7, 7, 9]
    whole = run(tiny.new_state(), prompt, 24, **settings)
    assert whole != run(tiny.new_state(), prompt, 24, **BASE)
    state = tiny.new_state()
    first = run(state, prompt, 9, **settings)
    state.save(tmp_path / "half.rgstate")
    loaded = type(state).load(tmp_path / "half.rgstate", tiny)
    kept = json.loads(json.dumps(vars(Sampling(**settings))))  # as a saved chat keeps it
    assert first + run(loaded, [], 15, **kept) == whole


@pytest.mark.parametrize("name", OFFERED)
def test_two_halves_of_a_reply_equal_one(name: str, begin: Open) -> None:
    """For every setting that a conversation may have: one half here, the other after it was opened again."""
    settings: dict[str, Any] = {"temperature": 1.2, "top_p": 0.0, "seed": 3, "max_tokens": 16}

    def reply(settings: dict[str, Any]) -> str:
        session = begin()
        session.set_settings(settings)
        session.add_user_message("Tell me a story")
        return "".join(session.generate_reply())

    changed = {**settings, name: 8 if name == "max_tokens" else OTHERS[name]}
    whole = reply({**changed, "max_tokens": 16})
    session = begin()
    session.set_settings({**changed, "max_tokens": 8})
    session.add_user_message("Tell me a story")
    half = "".join(session.generate_reply())
    assert session.head is not None and not session.head.closed and whole.startswith(half) and whole != half
    session.close()
    other = begin(session.store.directory)
    assert session.conversation is not None and other.open(session.conversation.id)
    assert other.settings["max_tokens"] == 8
    assert half + "".join(other.continue_reply()) == whole


def test_an_endless_reply_has_no_limit_of_tokens(begin: Open) -> None:
    session = begin(max_tokens=3)
    session.add_user_message("Hello")
    written = 0
    for written, _ in enumerate(session.generate_reply(endless=True), 1):
        if written == 8:
            session.stop()
    assert written >= 8


def test_max_tokens_goes_into_a_file_with_what_the_model_remembers(begin: Open, tmp_path: Path) -> None:
    from rgmlx.conversation.rgstate import open_file, save_file

    session = begin()
    session.set_settings({"max_tokens": 3, "seed": 4})
    session.say("Hello", 99)
    save_file(session, tmp_path / "x.rgstate")
    other = begin()
    open_file(other, tmp_path / "x.rgstate")
    assert (other.settings["max_tokens"], other.settings["seed"]) == (3, 4)


# --- the numbers that hold ----------------------------------------------------------------


def test_set_shows_the_numbers_that_hold(begin: Open) -> None:
    """/set shows all, /set NAME shows one and does not reset it, /set NAME default leaves it to the model."""
    session = begin()
    session.set_settings({"temperature": None})
    assert operations.change_setting(session, "").split("\n") == [
        "temperature: 0.5, the model's own",  # of its generation_config.json
        "top_p: 0.9, the model's own",
        "min_p: 0, the model's own",
        "repetition_penalty: 0, the model's own",
        "seed: another each time",
        "max_tokens: no limit",
    ]
    for typed, shown in (
        ("temperature 0.25", "temperature: 0.25"),
        ("temperature", "temperature: 0.25"),
        ("temperature=", "temperature: 0.25"),
        ("temperature = 0.75", "temperature: 0.75"),
        ("temperature", "temperature: 0.75"),
        ("max-tokens 40", "max_tokens: 40"),
        ("max_tokens", "max_tokens: 40"),
        ("max_tokens default", "max_tokens: no limit"),
        ("temperature default", "temperature: 0.5, the model's own"),
    ):
        assert operations.change_setting(session, typed) == shown
    assert "temperature" in session.settings  # a default of new conversations, and so kept as none
    for name in OFFERED:
        assert operations.change_setting(session, name) in operations.change_setting(session, "").split("\n")


def test_before_a_model_is_there_nothing_is_made_up(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        session = Session(store)
        assert operations.change_setting(session, "temperature") == "temperature: the model's own"
        assert operations.change_setting(session, "seed") == "seed: another each time"
