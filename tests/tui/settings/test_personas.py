"""Personas: what the file may say of them, and the conversations that begin with one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from scripted import Held, Scripted, ask, command, idle, notices, said, screen, type_and_send
from test_plain import GatedSession, Terminal, rgchat, talk, terminals
from waiting import wait_until

from rgmlx.errors import RgmlxError
from rgmlx.store import Store
from tui.app import ChatApp
from tui.prompt.prompt import Prompt
from tui.settings.personas import SAMPLE, Persona, find
from tui.settings.settings import Defaults, load, save

__all__ = ["terminals"]

SIZE = (100, 30)
FILE = """
theme = "light"
[personas.teacher]
system = "Explain it step by step."
temperature = 0.25
[personas.poet]
temperature = 1.5
max_tokens = 20
[personas."Old Sailor"]
system = ""
"""
KNOWN = {
    "teacher": Persona("Explain it step by step.", {"temperature": 0.25}),
    "poet": Persona(None, {"temperature": 1.5, "max_tokens": 20}),
    "Old Sailor": Persona("", {}),
}
DEFAULTS = Defaults(personas=KNOWN, system="Be kind.", sampling={"top_p": 0.5})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "rgmlx").mkdir()
    return tmp_path / "rgmlx" / "rgchat.toml"


# --- the file -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        'theme = "light"\npersonas.teacher = {system = "Explain it step by step.", temperature = 0.25}\n'
        "personas.poet = {temperature = 1.5, max_tokens = 20}\n[personas.'Old Sailor']\nsystem = ''",
        'theme = "light"\n[personas]\n"Old Sailor" = {system = ""}\nteacher.system = "Explain it step by step."\n'
        "teacher.temperature = 0.25\npoet = {temperature = 1.5, max_tokens = 20}",
    ],
)
def test_personas_are_read_however_they_are_written(file: Path, text: str) -> None:
    file.write_text(text)
    assert load(file) == (Defaults(theme="light", personas=KNOWN), [])


WRONG = [
    ("personas = 3", "personas must be a table for each persona, such as [personas.teacher]"),
    ("personas = true", "personas must be a table for each persona"),
    ("personas = []", "personas must be a table for each persona"),
    ("personas = 1979-05-27", "personas must be a table for each persona"),
    ("[[personas]]\nsystem = 'x'", "personas must be a table for each persona"),
    ("[personas]\nsystem = 'x'", "personas.system must be a table, such as [personas.teacher]"),
    ("[personas]\ntemperature = 1", "personas.temperature must be a table"),
    ("[[personas.a]]\nsystem = 'x'", "personas.a must be a table"),
    ("[personas.a]", "personas.a is empty: write system or another setting into it"),
    ("personas.a = {}", "personas.a is empty"),
    ("[personas.a]\nsytem = 'x'", "there is no setting personas.a.sytem; the nearest is personas.a.system"),
    ("[personas.a]\ntemprature = 1", "no setting personas.a.temprature; the nearest is personas.a.temperature"),
    ("[personas.a]\nmax-tokens = 1", "no setting personas.a.max-tokens; the nearest is personas.a.max_tokens"),
    ("[personas.a]\nzzz = 1", "no setting personas.a.zzz; there are system, temperature, top_p, "),
    ("[personas.a.sampling]\nseed = 1", "no setting personas.a.sampling; there are system, temperature, "),
    ("[personas.a]\nmodel = 'demo'", "no setting personas.a.model; "),
    ("[personas.a]\n'a\\nb' = 1", "no setting personas.a.a\\nb; "),
    ("[personas.a]\nsystem = 3", "personas.a.system must be a text, not 3"),
    ("[personas.a]\nsystem = ['x']", "personas.a.system must be a text, not "),
    ("[personas.a]\nsystem = false", "personas.a.system must be a text, not false"),
    ("[personas.a]\ntemperature = 'hot'", 'personas.a.temperature must be a finite number, 0 or more, not "hot"'),
    ("[personas.a]\ntemperature = true", "personas.a.temperature must be a finite number, 0 or more, not true"),
    ("[personas.a]\ntemperature = nan", "personas.a.temperature must be a finite number, 0 or more, not nan"),
    ("[personas.a]\ntemperature = -inf", "not -inf"),
    ("[personas.a]\ntemperature = {a = 1}", "personas.a.temperature must be a finite number, 0 or more, not "),
    ("[personas.a]\ntop_p = 1.01", "personas.a.top_p must be a number between 0 and 1, not 1.01"),
    ("[personas.a]\nmin_p = -0.1", "personas.a.min_p must be a number between 0 and 1, not -0.1"),
    ("[personas.a]\nrepetition_penalty = -1", "personas.a.repetition_penalty must be"),
    ("[personas.a]\nseed = 1.5", "personas.a.seed must be a whole number between"),
    ("[personas.a]\nseed = 1979-05-27", "personas.a.seed must be a whole number between"),
    ("[personas.a]\nmax_tokens = 0", "personas.a.max_tokens must be a whole number between 1 and"),
    ("[personas.'']\nsystem = 'x'", 'personas."" can\'t be typed: a name is a line of up to 40 characters'),
    ("[personas.' a']\nsystem = 'x'", 'personas." a" can\'t be typed'),
    ('[personas."a\\nb"]\nsystem = "x"', 'personas."a\\nb" can\'t be typed'),
    ('[personas."a\\u001bb"]\nsystem = "x"', 'personas."a\\u001bb" can\'t be typed'),
    ('[personas."a\\u202eb"]\nsystem = "x"', 'personas."a\\u202eb" can\'t be typed'),
    (f"[personas.{'x' * 41}]\nsystem = 'x'", "can't be typed"),
    ("[persona.a]\nsystem = 'x'", "there is no setting persona.a; the nearest is personas.a"),
    ("[Personas.a]\nsystem = 'x'", "there is no setting Personas.a; the nearest is personas.a"),
    ("personsa = 1", "there is no setting personsa; the nearest is personas"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_is_wrong_is_said_ignored_and_kept(file: Path, text: str, sentence: str) -> None:
    whole = f"snapshot_bytes = 9\n{text}\n" + "[personas.good]\nsystem = 'yes'\n" * ("personas." in text[:11])
    file.write_text(whole)
    defaults, wrong = load(file)
    assert len(wrong) == 1 and sentence in wrong[0]
    assert wrong[0].startswith(f"{file}: ") and wrong[0].endswith(" It is ignored.")
    assert "\x1b" not in wrong[0] and "\u202e" not in wrong[0] and "\n" not in wrong[0]
    good = Persona("yes", {})
    assert defaults.personas.get("good", good) == good and defaults.snapshot_bytes == 9
    assert all(one in (good, Persona()) for one in defaults.personas.values())
    save(file, replace(defaults, theme="light"))  # which leaves them as they are
    assert load(file) == (replace(defaults, theme="light"), wrong)
    assert text.split("\n")[-1] in file.read_text()


def test_the_rest_of_a_persona_holds(file: Path) -> None:
    file.write_text("[personas.a]\nsystem = 'yes'\ntop_p = 2\nseed = 3\nzzz = 1\n")
    defaults, wrong = load(file)
    assert defaults.personas == {"a": Persona("yes", {"seed": 3})} and len(wrong) == 2


def test_many_mistakes_are_few_sentences(file: Path) -> None:
    file.write_text("".join(f"[personas.a{number}]\nzzz = 1\n" for number in range(30)))
    wrong = load(file)[1]
    assert len(wrong) == 5 and all("personas.a" in sentence for sentence in wrong[:4])
    assert wrong[-1].endswith(
        "26 more settings are wrong and ignored; once those before are corrected, the next start names them."
    )


def test_saving_leaves_them_as_they_are(file: Path) -> None:
    file.write_text(FILE)
    defaults = load(file)[0]
    save(file, replace(defaults, theme="dark", sampling={"temperature": 0.5, "seed": 7}, system="Hm", personas={}))
    text = file.read_text()
    assert FILE.partition("[")[2] in text and 'theme = "dark"' in text
    assert load(file) == (Defaults(system="Hm", sampling={"temperature": 0.5, "seed": 7}, personas=KNOWN), [])


def test_a_fresh_file_shows_one(file: Path) -> None:
    save(file, Defaults(theme="light"))
    assert f"\n# {SAMPLE}\n" in file.read_text()
    file.write_text(file.read_text().replace(f"# {SAMPLE}", SAMPLE))
    defaults, wrong = load(file)
    assert wrong == [] and defaults.personas["teacher"].sampling == {"temperature": 0.3}


@pytest.mark.parametrize("name", ["teacher", " teacher ", "TEACHER", "old sailor"])
def test_a_name_in_any_capitals(name: str, file: Path) -> None:
    found, one = find(KNOWN, name, file)
    assert KNOWN[found] is one and found.casefold() == name.strip().casefold()


def test_a_name_that_is_none(file: Path) -> None:
    for name, why in (
        ("taecher", "the nearest is teacher"),
        ("zzz", "there are teacher, poet, Old Sailor"),
        ("", "are"),
    ):
        with pytest.raises(RgmlxError, match=f"there is no persona '{name}': .*{why}"):
            find(KNOWN, name, file)
    with pytest.raises(RgmlxError, match=r"there are no personas: write one into .*rgchat\.toml, such as  personas\."):
        find({}, "teacher", file)
    with pytest.raises(RgmlxError, match=r"there is no persona 'techer': there is only poet$"):
        find({"poet": Persona()}, "techer", file)
    both = {"a": Persona("1"), "A": Persona("2")}
    assert [find(both, name, file)[0] for name in ("a", "A")] == ["a", "A"]


def test_all_of_a_persona_in_a_line() -> None:
    assert KNOWN["teacher"].about == "Explain it step by step. (temperature 0.25)"
    assert KNOWN["poet"].about == "temperature 1.5, max_tokens 20"
    assert KNOWN["Old Sailor"].about == "no system text"
    assert Persona().about == "as other conversations"
    long = Persona("\x1b[2J" + "Be kind.\n" * 1000).about
    assert len(long) == 60 and long.startswith("\ufffd[2J") and long.endswith("…") and "\n" not in long


# --- on the screen ------------------------------------------------------------------------


async def test_a_persona_begins_a_conversation(tmp_path: Path) -> None:
    session = Scripted(tmp_path, ["ok"], past=["one", "1"])
    session.defaults, session.default_system = dict(DEFAULTS.sampling), DEFAULTS.system
    app = ChatApp(session, defaults=DEFAULTS)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        first = session.conversation
        await command(app, "/persona")
        wanted = "\n".join([*(f"{name}: {one.about}" for name, one in KNOWN.items()), "/persona NAME begins"])
        await wait_until(lambda: wanted in notices(app))
        await command(app, "/persona Teacher")
        await wait_until(lambda: "Persona teacher: Explain it step by step. (temperature 0.25)." in notices(app))
        assert session.conversation is None and session.system == "Explain it step by step."
        assert (session.settings["temperature"], session.settings["top_p"]) == (0.25, 0.5)
        await wait_until(lambda: idle(app))
        await ask(app, "Hello")
        row = session.store.conversations.get(session.conversation.id)  # type: ignore[union-attr]
        assert row.system == "Explain it step by step." and row.settings["temperature"] == 0.25
        assert first is not None and session.store.conversations.get(first.id).system is None
        await command(app, "/new")
        await wait_until(lambda: session.conversation is None)
        assert session.system == "Be kind." and "temperature" not in session.settings


async def test_an_empty_conversation_is_changed_and_the_prompt_stays(tmp_path: Path) -> None:
    session = Scripted(tmp_path, ["ok"])
    app = ChatApp(session, defaults=DEFAULTS)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await command(app, "/persona teacher")
        await wait_until(lambda: session.system == "Explain it step by step.")
        await command(app, "/set seed 3")
        await command(app, "/persona poet")
        await wait_until(lambda: session.settings.get("max_tokens") == 20)
        assert session.system is None and session.settings["temperature"] == 1.5, "nothing is left of the first"
        assert "seed" not in session.settings
        app.query_one(Prompt).load_text("half of a sentence")
        await app.actions.run("persona", "old sailor")
        await wait_until(lambda: "no system text" in notices(app))
        assert app.query_one(Prompt).text == "half of a sentence" and session.store.conversations.listed() == []


async def test_a_name_that_is_none_changes_nothing(tmp_path: Path) -> None:
    session = Scripted(tmp_path, ["ok"], past=["one", "1"])
    app = ChatApp(session, defaults=DEFAULTS)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        row = session.conversation
        await command(app, "/persona taecher")
        await wait_until(lambda: "There is no persona 'taecher': the nearest is teacher" in notices(app))
        assert session.conversation is row and len(said(app)) == 2
    bare = ChatApp(Scripted(tmp_path / "other", ["ok"]))
    async with bare.run_test(size=(200, 30)):
        await wait_until(lambda: idle(bare))
        for text in ("/persona", "/persona teacher"):
            await command(bare, text)
            await wait_until(lambda: "There are no personas: write one into" in notices(bare))


async def test_a_reply_goes_on_in_its_own_conversation(tmp_path: Path) -> None:
    session = Held(tmp_path, ["one ", "two ", "three ", "four"])
    app = ChatApp(session, defaults=DEFAULTS)
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "Hello")
        await wait_until(lambda: len(said(app)) == 2)
        await type_and_send(app, "/persona teacher")
        await wait_until(lambda: session.conversation is None and session.system == "Explain it step by step.")
        session.go_on.set()
        await wait_until(lambda: idle(app))
        (row,) = session.store.conversations.listed()
        assert row.system is None and session.store.messages.path(row.head)[-1].text == "one two three four"
        assert any("Persona teacher" in text for text in screen(app))


# --- in lines, and as the program starts --------------------------------------------------


def test_in_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = GatedSession(tmp_path)
    lines = "hello\n/persona\n/persona poet\n/set max_tokens\n/system\nhello again\n/persona zzz\n"
    out = talk(session, lines, capsys, code=1, defaults=DEFAULTS)
    assert "teacher: Explain it step by step. (temperature 0.25)\npoet: temperature 1.5, max_tokens 20\n" in out
    assert "This is a new conversation.\nPersona poet: temperature 1.5, max_tokens 20.\n" in out
    assert "\nmax_tokens: 20\n" in out
    assert "There is no persona 'zzz': there are teacher, poet, Old Sailor." in out
    assert [one.settings.get("max_tokens") for one in session.store.conversations.listed()] == [20, None]


def test_a_persona_that_is_none_ends_what_comes_through_a_pipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What follows is not for this conversation, as after /new and /open."""
    session = GatedSession(tmp_path)
    out = talk(session, "hello\n/persona zzz\nnot for this one\n", capsys, code=1, defaults=DEFAULTS)
    assert "/persona failed" in out
    (row,) = session.store.conversations.listed()
    assert len(session.store.messages.path(row.head)) == 2


def test_the_program_starts_with_one(tmp_path: Path, file: Path) -> None:
    file.write_text(FILE)
    done = rgchat(tmp_path, "/set temperature\n/system\nhello\n", "--persona", "TEACHER", "--max-tokens", "2")
    assert done.returncode == 0, done.stderr
    assert "\ntemperature: 0.25\n" in done.stdout and "System text: Explain it step by step." in done.stdout
    with Store(tmp_path) as store:
        (row,) = store.conversations.listed()
        assert (row.system, row.settings["temperature"]) == ("Explain it step by step.", 0.25)
        assert (row.settings["seed"], row.settings["max_tokens"]) == (1, 2)


def test_what_the_command_line_says_goes_before(tmp_path: Path, file: Path) -> None:
    file.write_text(FILE)
    given = ["--persona", "teacher", "--temperature", "0.75", "--system", "Be brief."]
    done = rgchat(tmp_path, "/set temperature\n/system\n", *given)
    assert "\ntemperature: 0.75\n" in done.stdout and "System text: Be brief." in done.stdout


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["taecher"], "rgchat: there is no persona 'taecher': the nearest is teacher\n"),
        ([""], "rgchat: there is no persona '': "),
        (["\x1b[2J"], "there is no persona '\ufffd[2J': "),
        (["teacher", "--session", "diary"], "--persona begins a conversation and --session goes on with one: give one"),
        (["teacher", "--open", __file__], "--persona begins a conversation and --open goes on with one: give one"),
    ],
)
def test_a_start_that_can_not_be(tmp_path: Path, file: Path, given: list[str], sentence: str) -> None:
    file.write_text(FILE)
    done = rgchat(tmp_path, "hello\n", "--persona", *given)
    assert (done.returncode, done.stdout) == (1, "") and sentence in done.stderr
    assert not (tmp_path / "chats.db").exists()


def test_why_a_persona_is_none_is_said_first(tmp_path: Path, file: Path) -> None:
    file.write_text("[personas.teacher]\n")
    done = rgchat(tmp_path, "hello\n", "--persona", "teacher")
    first, second = done.stderr.splitlines()
    assert "personas.teacher is empty" in first and second.startswith("rgchat: there are no personas: write one into")


def test_on_a_terminal_it_is_a_new_conversation(tmp_path: Path, file: Path, terminals: Callable[..., Terminal]) -> None:
    file.write_text(FILE)
    assert rgchat(tmp_path, "hello\n", "--max-tokens", "2").returncode == 0
    one = terminals("-m", "tui", "--plain", "--data", str(tmp_path), "--persona", "poet")
    one.wait("This is a new conversation.")
    one.wait("You: ")
    one.send("/set max_tokens\r")
    one.wait("max_tokens: 20")
    one.send("/quit\r")
    assert one.end() == 0
