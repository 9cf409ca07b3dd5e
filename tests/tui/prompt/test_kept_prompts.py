"""Prompts kept as files: what is one and what is not, and what becomes of one on the screen and in lines."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted import Held, Scripted, ask, command, idle, notices, said, screen, type_and_send
from test_plain import GatedSession, rgchat, talk
from textual.command import CommandList
from textual.content import Content
from waiting import wait_until

from rgmlx.errors import RgmlxError
from rgmlx.store import USER
from tui.app import ChatApp
from tui.commands import ALIASES, BY_NAME, RESERVED
from tui.palette import _literal
from tui.plain.commands import TABLE
from tui.prompt.completions import Completions
from tui.prompt.history import History
from tui.prompt.kept import INPUT, MAX_CHARS, MAX_FILE, MAX_FILES, KeptPrompts
from tui.prompt.prompt import Prompt

SIZE = (100, 40)
REVIEW = "Review this:\n\n{{input}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "config" / "prompts"
    made.mkdir(parents=True)
    return made


def write(folder: Path, **texts: str | bytes) -> KeptPrompts:
    for name, text in texts.items():
        (folder / f"{name}.md").write_bytes(text if isinstance(text, bytes) else text.encode())
    return KeptPrompts(folder)


def names(kept: KeptPrompts) -> list[str]:
    return [name for name, _ in kept.offered]


def sent(kept: KeptPrompts, text: str) -> str:
    found = kept.given(text)
    assert found is not None
    return found[0].text(found[1])


# --- what is sent -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "typed", "wanted"),
    [
        (REVIEW, "/p my code", "Review this:\n\nmy code"),
        (REVIEW, "/p   my  code ", "Review this:\n\nmy  code"),
        (REVIEW, "/p def f():\n    return 1\n", "Review this:\n\ndef f():\n    return 1"),
        (REVIEW, "/p\ndef f():\n    return 1", "Review this:\n\ndef f():\n    return 1"),
        (REVIEW, "/P code", "Review this:\n\ncode"),
        ("{{input}} or {{input}}?", "/p tea", "tea or tea?"),
        ("Say {{input}}.", "/p {{input}} {{input}}", "Say {{input}} {{input}}."),
        ("{{ input }} {input}", "/p x", "{{ input }} {input}\n\nx"),
        ("Tell me a joke\n", "/p", "Tell me a joke"),
        ("\n\nTell me a joke\n\n\n", "/p about cats", "Tell me a joke\n\nabout cats"),
        (b"\xef\xbb\xbfCaf\xc3\xa9\r\nline\rend\r\n", "/p", "Café\nline\nend"),
        ("Grüße: {{input}}".encode("utf-16"), "/p 狐狸 🦊", "Grüße: 狐狸 🦊"),
        ("Grüße".encode("utf-16-be").join([b"\xfe\xff", b""]), "/p", "Grüße"),
        ("/help {{input}}", "/p me", "/help me"),
        ("// a comment", "/p", "// a comment"),
        ("%s {0} \\1 $x {{input}}", "/p \\1 %d", "%s {0} \\1 $x \\1 %d"),
    ],
)
def test_the_words_go_into_the_text(folder: Path, file: str | bytes, typed: str, wanted: str) -> None:
    kept = write(folder, p=file)
    assert kept.problems == [] and sent(kept, typed) == wanted


@pytest.mark.parametrize("text", ["", "/", "//p", "p", " /p", "/ p", "/\np", "/q", "/p/q", "a /p", "/pp", "\\/p"])
def test_another_text_is_none(folder: Path, text: str) -> None:
    assert write(folder, p=REVIEW).given(text) is None


def test_words_are_needed_where_the_file_has_a_place_for_them(folder: Path) -> None:
    kept = write(folder, a=REVIEW, b="Tell me a joke\nof two lines")
    assert [one.usage for one in kept.commands] == ["/a WORDS", "/b [WORDS]"]
    assert [one.needs_argument for one in kept.commands] == [True, False]
    assert kept.offered == [("a", "Review this:"), ("b", "Tell me a joke")]


def test_the_file_is_read_when_it_is_sent(folder: Path) -> None:
    kept = write(folder, p="first")
    write(folder, p="second {{input}}")
    assert sent(kept, "/p x") == "second x"
    (folder / "p.md").write_bytes(b"\xff")
    with pytest.raises(RgmlxError, match=r"p\.md is not UTF-8 text"):
        sent(kept, "/p x")
    (folder / "p.md").unlink()
    with pytest.raises(RgmlxError, match=r"p\.md can't be read \(No such file"):
        sent(kept, "/p x")


def test_many_places_for_long_words_are_refused(folder: Path) -> None:
    kept = write(folder, p=INPUT * 20_000)
    with pytest.raises(RgmlxError, match=f"longer than {MAX_CHARS:,} characters: give fewer words"):
        sent(kept, "/p " + "x" * 1_000)
    assert sent(kept, "/p xy") == "xy" * 20_000


# --- what is a prompt ---------------------------------------------------------------------

UNUSED: dict[str, tuple[str, str]] = {
    "of a command": ("help", "/help is a command of rgchat: rename it"),
    "of a command, in capitals": ("HELP", "/help is a command of rgchat: rename it"),
    "of an alias": ("clear", "/clear is a command of rgchat: rename it"),
    "of a command of lines": ("find", "/find is a command of rgchat: rename it"),
    "two words": ("two words", "the name of a command has up to 40 letters"),
    "a tab": ("a\tb", "the name of a command"),
    "a line break": ("a\nb", "the name of a command"),
    "an escape": ("a\x1b[2Jb", "the name of a command"),
    "turned around": ("a\u202eb", "the name of a command"),
    "not to be seen": ("a\u200bb", "the name of a command"),
    "markup": ("[bold]", "the name of a command"),
    "a flag": ("🏴", "the name of a command"),
    "too long": ("x" * 41, "the name of a command"),
    "a place": ("{{input}}", "the name of a command"),
}


@pytest.mark.parametrize("what", UNUSED)
def test_a_name_that_is_none_is_said_and_names_the_file(folder: Path, what: str) -> None:
    name, why = UNUSED[what]
    kept = write(folder, good="yes", **{name: "Hello"})
    assert names(kept) == ["good"] and len(kept.problems) == 1
    said = kept.problems[0]
    assert why in said and said.startswith(str(folder)) and " is not used: " in said and said.endswith(".")
    assert "\x1b" not in said and "\u202e" not in said and "\n" not in said


@pytest.mark.parametrize("name", ["review", "Review-2", "a.b_c", "überblick", "狐狸", "हिन्दी", "9", "-x", "x" * 40])
def test_names_of_all_languages(folder: Path, name: str) -> None:
    kept = write(folder, **{name: REVIEW})
    assert kept.problems == [] and sent(kept, f"/{name} x").endswith("x")
    for form in ("NFC", "NFD"):  # as a disk or a keyboard has it
        assert sent(kept, f"/{unicodedata.normalize(form, name)} x").endswith("x")  # type: ignore[arg-type]


@pytest.mark.skipif(os.uname().sysname == "Darwin", reason="its disks have no such names")
def test_a_name_that_is_no_utf_8(folder: Path) -> None:
    (folder / os.fsdecode(b"a\xff.md")).write_text("Hello")
    kept = KeptPrompts(folder)
    assert names(kept) == [] and "a\ufffd.md is not used" in kept.problems[0]
    kept.problems[0].encode()


def test_of_two_names_that_are_one_the_first_is_used(folder: Path) -> None:
    kept = write(folder, Review="first", review="second")
    if len(list(folder.iterdir())) == 2:  # where capitals count
        assert sent(kept, "/review") == "first"
        assert kept.problems == [f"{folder}/review.md is not used: Review.md is /review already: rename it."]


CONTENTS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "is empty: write a prompt into it"),
    "blank": (b" \n\t\r\n\n", "is empty: write a prompt into it"),
    "a mark alone": (b"\xef\xbb\xbf", "is empty: write a prompt into it"),
    "latin 1": (b"caf\xe9", "is not UTF-8 text: convert it first"),
    "NULs": (b"a\0b", "is not a text file: give one that holds UTF-8 text"),
    "half of UTF-16": (b"\xff\xfea", "is not"),
    "too large": (b"x" * (MAX_FILE + 1), "can't be read (it is larger than"),
}


@pytest.mark.parametrize("what", CONTENTS)
def test_a_content_that_is_none_is_said_and_names_the_file(folder: Path, what: str) -> None:
    data, why = CONTENTS[what]
    kept = write(folder, good="yes", bad=data)
    assert names(kept) == ["good"] and len(kept.problems) == 1
    assert kept.problems[0].startswith(f"{folder}/bad.md {why}")


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def _circle(path: Path) -> None:
    path.symlink_to(path.name)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


ENTRIES: dict[Callable[[Path], None], str] = {
    Path.mkdir: "it is a directory",
    _pipe: "it is a pipe or a device",
    _device: "it is a pipe or a device",
    _nowhere: "No such file",
    _circle: "Too many levels of symbolic links",
}


@pytest.mark.parametrize("make", ENTRIES, ids=lambda make: make.__name__.strip("_"))
def test_only_regular_files_are_read(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder / "bad.md")
    kept = write(folder, good="yes")
    assert names(kept) == ["good"]
    assert f"{folder}/bad.md can't be read ({ENTRIES[make]}" in kept.problems[0]


def test_a_link_to_a_file_is_one_and_other_files_are_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("Hello")
    (folder / "linked.md").symlink_to(tmp_path / "elsewhere")
    for name in (".hidden.md", "notes.txt", "back.md~", "README", "#x.md#", ".md"):
        (folder / name).write_bytes(b"\xff")
    kept = KeptPrompts(folder)
    assert (names(kept), kept.problems) == (["linked"], [])


def test_folders_that_are_none(tmp_path: Path) -> None:
    assert KeptPrompts(None).commands == KeptPrompts(tmp_path / "none").commands == []
    assert KeptPrompts(tmp_path / "none").problems == []
    (tmp_path / "file").write_text("x")
    _circle(tmp_path / "circle")
    for name in ("file", "circle"):
        kept = KeptPrompts(tmp_path / name)
        assert kept.commands == [] and f"the prompts in {tmp_path / name} can't be read (" in kept.problems[0]


def test_many_bad_files_are_few_sentences_and_said_once(folder: Path) -> None:
    for number in range(30):
        (folder / f"bad {number:02}.md").write_text("x")
    kept = KeptPrompts(folder)
    assert len(kept.problems) == 5 and kept.problems[-1] == f"26 more files in {folder} are no prompts."
    kept.problems.clear()
    kept.look()
    assert kept.problems == []
    write(folder, help="x")
    (folder / "bad 00.md").unlink()
    kept.look()
    assert len(kept.problems) == 1


def test_there_is_room_for_some_prompts(folder: Path) -> None:
    for number in range(MAX_FILES + 3):
        (folder / f"p{number:04}.md").write_text("x")
    kept = KeptPrompts(folder)
    assert len(kept.commands) == MAX_FILES and len(kept.problems) == 3
    assert f"there are {MAX_FILES} prompts before it" in kept.problems[0]


def test_the_first_line_is_safe_to_show(folder: Path) -> None:
    kept = write(folder, p=f"\n  \n\x1b]0;pwned\x07[bold]\u202e {'x' * 1000}\nsecond")
    (about,) = (about for _, about in kept.offered)
    assert about.startswith("\ufffd]0;pwned\ufffd[bold]\ufffd x") and len(about) == 80 and about.endswith("…")


@pytest.mark.parametrize(
    "text", ["[b]x[/b] [/no", "\\[x]", "[@click=app.quit]x[/]", "$x [$primary] \\", "[[", "a\\\\[b"]
)
def test_the_palette_shows_brackets(text: str) -> None:
    shown = Content.from_markup(_literal(text))
    assert str(shown) == text and not shown.spans


def test_no_command_of_either_chat_can_be_taken() -> None:
    assert {*BY_NAME, *ALIASES, *TABLE} == RESERVED


# --- on the screen ------------------------------------------------------------------------


async def test_it_is_offered_completed_and_sent(folder: Path, tmp_path: Path) -> None:
    history = History(None)
    kept = write(folder, review=REVIEW, joke="[bold]Tell me a joke[/nonsense")
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]), prompts=kept, history=history)
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: idle(app))
        offered, prompt = app.query_one(Completions), app.query_one(Prompt)
        await pilot.press(*"/re")
        await wait_until(lambda: offered.is_open)
        assert [str(row.prompt).split()[0] for row in offered.options] == [
            "/regenerate",
            "/rename",
            "/recall",
            "/review",
        ]
        assert str(offered.options[3].prompt).endswith("Review this:")
        await pilot.press("v", "tab")
        await wait_until(lambda: prompt.text == "/review ")
        app.simulate_key("enter")
        await wait_until(lambda: any("/review needs WORDS" in n.message for n in app._notifications))
        assert prompt.text == "/review " and prompt.submitted == "" and said(app) == []
        prompt.load_text("")
        await ask(app, "/review my code")
        await ask(app, "/joke")
        assert [m.text for m in said(app) if m.role == USER] == [
            "Review this:\n\nmy code",
            "[bold]Tell me a joke[/nonsense",
        ]
        assert history.entries == ("/review my code", "/joke")
        assert app.session.conversation is not None and app.session.conversation.title == "my code"


async def test_many_lines_and_files_go_into_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("x = 1\n")
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]), prompts=write(folder, review=REVIEW))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, "/review def f():\n    pass")
        assert said(app)[0].text == "Review this:\n\ndef f():\n    pass"
        await ask(app, f"/review @{tmp_path / 'main.py'} ")
        assert said(app)[2].text.startswith("Review this:\n\n") and "x = 1" in said(app)[2].text
        await ask(app, "//review this as it is")
        assert said(app)[4].text == "/review this as it is"


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("/review @code500.py please", "code500.py please"),
        ("/review @code500.py", "code500.py"),
        ("/review some other text, @someone\nand more", "some other text, @someone"),
        (r"/review \@code500.py as a word", "@code500.py as a word"),
        ("/joke", "A joke"),
    ],
)
async def test_a_conversation_is_called_after_what_was_typed(
    folder: Path, tmp_path: Path, typed: str, title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not after the prompt's own first line, which is the same for all of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code500.py").write_text("x = 1\n")
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]), prompts=write(folder, review=REVIEW, joke="A joke"))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await ask(app, typed)
        assert app.session.conversation is not None and app.session.conversation.title == title


async def test_one_that_can_no_longer_be_read_is_in_the_prompt_again(folder: Path, tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]), prompts=write(folder, review=REVIEW))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        (folder / "review.md").write_bytes(b"\0")
        await command(app, "/review my code")
        await wait_until(lambda: "review.md is not a text file" in notices(app).replace("\n", ""))
        await wait_until(lambda: idle(app) and app.query_one(Prompt).text == "/review my code")
        assert said(app) == []
        write(folder, review="Now: {{input}}")
        app.query_one(Prompt).load_text("")
        await ask(app, "/review my code")
        assert said(app)[0].text == "Now: my code"


async def test_during_a_reply_it_waits_as_it_was_typed(folder: Path, tmp_path: Path) -> None:
    session = Held(tmp_path / "data", ["one ", "two ", "three ", "four"])
    app = ChatApp(session, prompts=write(folder, review=REVIEW))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await type_and_send(app, "Hello")
        await wait_until(lambda: len(said(app)) == 2)
        await type_and_send(app, "/review this")
        await wait_until(lambda: app.outbox.items and app.outbox.items[0].text == "/review this")
        app.simulate_key("escape")
        await wait_until(lambda: app.query_one(Prompt).text == "/review this")
        app.simulate_key("enter")
        await wait_until(lambda: app.outbox.items)
        session.go_on.set()
        await wait_until(lambda: idle(app) and len(said(app)) == 4)
        assert said(app)[2].text == "Review this:\n\nthis"


async def test_a_new_file_is_a_command_at_once(folder: Path, tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]), prompts=KeptPrompts(folder))
    async with app.run_test(size=SIZE):
        await wait_until(lambda: idle(app))
        await command(app, "/reviw this")
        await wait_until(lambda: "There is no command /reviw" in notices(app))
        write(folder, review=REVIEW, bad=b"\xff")
        app.query_one(Prompt).load_text("")
        await ask(app, "/review this")
        assert said(app)[0].text == "Review this:\n\nthis"
        assert "bad.md is not UTF-8 text" in notices(app).replace("\n", "")
        assert ("review", "Review this:") in app.query_one(Prompt).commands
        await command(app, "/reviw this")
        await wait_until(lambda: "did you mean /review?" in notices(app))


async def test_the_palette_and_the_help_have_it(folder: Path, tmp_path: Path) -> None:
    kept = write(folder, zebra="[b]Stripes[/nonsense of {{input}}")
    app = ChatApp(Scripted(tmp_path / "data", ["ok"]), prompts=kept)
    async with app.run_test(size=(100, 140)) as pilot:
        await wait_until(lambda: idle(app))
        await pilot.press("f1")
        await wait_until(lambda: any("Your prompts" in text for text in screen(app)))
        await wait_until(lambda: any("/zebra WORDS" in text for text in screen(app)))
        assert any("[b]Stripes[/nonsense of {{input}}" in text for text in screen(app))
        await pilot.press("escape", "ctrl+p")
        await wait_until(lambda: app.screen.query(CommandList))
        await wait_until(lambda: app.screen.query_one(CommandList).option_count == len(BY_NAME) + 1)
        await pilot.press(*"stripes")
        await wait_until(lambda: app.screen.query_one(CommandList).option_count < len(BY_NAME))
        await wait_until(lambda: any("[b]Stripes[/nonsense" in text for text in screen(app)))
        await pilot.press("enter")
        await wait_until(lambda: len(app.screen_stack) == 1 and app.query_one(Prompt).text == "/zebra ")


# --- in lines -----------------------------------------------------------------------------


def test_in_lines(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = GatedSession(tmp_path / "data")
    lines = '/review my code\n/review\n/help\n/reviw x\n/review two \\\nlines\n"""\n/review as it is\n"""\n/joke\n'
    out = talk(session, lines, capsys, code=1, prompts=write(folder, review=REVIEW, joke="A joke"))
    assert _asked(session) == ["Review this:\n\nmy code", "Review this:\n\ntwo \nlines", "/review as it is", "A joke"]
    assert out.count("\n/review WORDS: Review this:\n") == 2 and "\n/joke [WORDS]: A joke\n" in out
    assert "There is no command /reviw: did you mean /review?" in out
    assert "A file NAME.md in the folder prompts, beside rgchat.toml, is the command /NAME WORDS" in out


def _asked(session: GatedSession) -> list[str]:
    (one,) = session.store.conversations.listed()
    assert one.title == "my code"
    return [m.text for m in session.store.messages.path(one.head) if m.role == USER]


def test_in_lines_a_bad_file_is_a_sentence(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session, kept = GatedSession(tmp_path / "data"), write(folder, review=REVIEW)
    (folder / "review.md").write_bytes(b"caf\xe9")
    (folder / "late.md").write_bytes(b"caf\xe9")
    out = talk(session, "/review x\n/late y\n", capsys, code=1, prompts=kept)
    assert "review.md is not UTF-8 text: convert it first" in out.replace("\n", "")
    assert "late.md is not UTF-8 text" in out and "There is no command /late" in out
    assert session.store.conversations.listed() == []


def test_the_program_reads_them_and_bad_ones_stop_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "rgmlx" / "prompts"
    folder.mkdir(parents=True)
    write(folder, hello="Hello {{input}}!", quit="x", bad=b"\0")
    os.mkfifo(folder / "pipe.md")
    done = rgchat(tmp_path, "/hello Griff\n", "--max-tokens", "2")
    assert done.returncode == 0 and "Assistant: " in done.stdout
    out = done.stdout.replace("\n", " ")
    assert "/quit is a command of rgchat: rename it" in out and "bad.md is not a text file" in out
    assert "pipe.md can't be read (it is a pipe or a device" in out
