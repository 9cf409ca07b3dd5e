"""What recipes do with a text, a file, a folder: the model gets it by a pipe, and nothing in it is obeyed on the way back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from recorders import HOSTILE, Recorder, desk, other_desk

from rgmlx.desktop import applescript, asking, calls, cleaning, contents, digest, folders, places, running
from rgmlx.desktop.recipes import RECIPES, Kind, named
from rgmlx.errors import DesktopError

__all__ = ["desk", "other_desk"]

texts = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
files = pytest.mark.parametrize("name", [text.replace("/", "_")[:60] for text in HOSTILE.values()], ids=HOSTILE)
SELECTED = [recipe for recipe in RECIPES if recipe.kind is Kind.TEXT]
GREEDY = ["--temperature", "0"]


def no_wait(seconds: float) -> None:
    """Files keep their size here."""


def answering(answer: str, asked: list[tuple[str, str]] | None = None) -> asking.Ask:
    """A model that always writes this."""

    def ask(question: str, text: str, most: int, *, exact: bool = False) -> str:
        if asked is not None:
            asked.append((question, text))
        return answer

    return ask


# --- the selection ------------------------------------------------------------------------


@texts
def test_the_model_gets_a_text_by_a_pipe_alone(text: str, desk: Recorder) -> None:
    desk.model("An answer")
    ask = asking.asker("a model")
    for recipe in SELECTED:
        desk.forget()
        if len(text) > asking.MAX_TEXT or (recipe.replaces and len(text) > running.MAX_REPLACED):
            with pytest.raises(DesktopError, match=r"more than 200,000|up to 8,000"):
                running.on_text(recipe, text, ask, "English")
            assert not desk.calls("rgmlx")
            continue
        if recipe.replaces:
            desk.model(text.strip())
            assert running.on_text(recipe, text, ask, "English") == text
        else:
            desk.model("An answer")
            assert running.on_text(recipe, text, ask, "English") == "An answer"
        [call] = desk.calls("rgmlx")
        most = str(len(text.strip()) + 100) if recipe.replaces else "600"
        question = recipe.question.replace("{language}", "English")
        assert call == [
            "ask",
            "--model",
            "a model",
            *(GREEDY if recipe.replaces else []),
            "--max-tokens",
            most,
            "--",
            question,
        ]
        assert desk.given("rgmlx") == (text.strip() if recipe.replaces else text).encode()


@texts
def test_an_answer_is_shown_and_copied_as_it_is(text: str, desk: Recorder) -> None:
    desk.answers("osascript", "=Copy\n")
    desk.program("pbcopy")
    running.show("Title", text)
    assert desk.calls("osascript") == [["-e", applescript.SHOW, f"={applescript.shown(text)}", "=Title"]]
    assert desk.given("pbcopy") == text.encode()
    desk.forget()
    desk.answers("osascript", "=OK\n")
    running.show("Title", text)
    assert not desk.calls("pbcopy")


@pytest.mark.parametrize(
    ("answer", "is_taken"),
    [
        ("I have an apple.", True),
        ("I have an apple and a pear.", True),
        ("", False),
        ("No.", False),
        ("Well, they ate her.", False),
        ("I have an apple. " * 20, False),
    ],
)
def test_what_does_not_look_like_the_selection_does_not_replace_it(answer: str, is_taken: bool) -> None:
    recipe, text = named("fix-grammar"), " \n I has a apple.\n\n"
    if is_taken:
        assert running.on_text(recipe, text, answering(answer), "English") == f" \n {answer}\n\n"
    else:
        with pytest.raises(DesktopError, match="stays as it is"):
            running.on_text(recipe, text, answering(answer), "English")


def test_a_corrected_text_is_told_from_another() -> None:
    pairs = [
        ("teh quik brwn fox jumsp ovr the layz dog", "The quick brown fox jumps over the lazy dog.", True),
        ("I has two apple and a banana.", "True, text the letter made her one.", False),
        ("He go. " * 400, "He goes. " * 400, True),
        ("She don't likes it at all today. " * 200, "She doesn't like it at all today. " * 200, True),
        ("She don't likes it at all today. " * 200, "Another story begins with a fox here. " * 180, False),
    ]
    for text, answer, is_like in pairs:
        assert running.looks_like(answer, text) == is_like, text[:40]


@pytest.mark.parametrize("text", ["", "  \n\t"])
def test_nothing_selected(text: str) -> None:
    for recipe in SELECTED:
        with pytest.raises(DesktopError, match="no text is selected"):
            running.on_text(recipe, text, answering("x"), "English")


def test_what_rgmlx_says_about_an_error_is_passed_on(desk: Recorder) -> None:
    desk.program("rgmlx", "echo 'rgmlx: the model is not here: download it' >&2; exit 1")
    with pytest.raises(DesktopError, match=r"^the model is not here: download it$"):
        asking.asker(None)("Why?", "text", 10)
    desk.model("")
    with pytest.raises(DesktopError, match="had nothing to say"):
        asking.asker(None)("Why?", "text", 10)
    assert desk.calls("rgmlx")[-1] == ["ask", "--max-tokens", "10", "--", "Why?"]


# --- the clipboard ------------------------------------------------------------------------

CLEANED = {
    "plain": "plain",
    "a\u00a0b\u2003c\u202fd": "a b c d",
    "a\r\nb\rc\u2028d": "a\nb\nc\nd",
    "  a  \n    b\t\n\n\n\n  c\n\n": "a\n  b\n\nc",
    "ze\u200bro\ufeff so\u00adft": "zero soft",
    "evil\u202egnp \x1b[31mred\x07\0": "evilgnp [31mred",
    "emoji 👩🏽‍👧‍👦 ✈️": "emoji 👩🏽‍👧‍👦 ✈️",
    "\n \n": "",
}


@pytest.mark.parametrize(("text", "clean"), CLEANED.items())
def test_a_text_is_cleaned(text: str, clean: str) -> None:
    assert cleaning.cleaned(text) == clean


@texts
def test_cleaning_twice_is_cleaning_once(text: str, desk: Recorder) -> None:
    clean = cleaning.cleaned(text)
    assert cleaning.cleaned(clean) == clean
    desk.answers("pbpaste", text)
    desk.program("pbcopy")
    assert "characters of plain text" in running.clean_clipboard()
    assert desk.given("pbcopy") == clean.encode()


def test_an_empty_clipboard_stays_as_it_is(desk: Recorder) -> None:
    desk.answers("pbpaste", " \n")
    desk.program("pbcopy")
    with pytest.raises(DesktopError, match="no text on the clipboard"):
        running.clean_clipboard()
    assert not desk.calls("pbcopy")


# --- files --------------------------------------------------------------------------------


@files
def test_a_file_is_read_by_macos_as_an_argument(name: str, desk: Recorder, tmp_path: Path) -> None:
    desk.answers("osascript", "=text of it\n")
    desk.answers("textutil", "text of it")
    for suffix, program in ((".png", "osascript"), (".pdf", "osascript"), (".docx", "textutil"), (".html", "textutil")):
        desk.forget()
        file = tmp_path / f"{name}{suffix}"
        file.write_bytes(b"\x89")
        assert contents.text_of(file, 100).strip() == "text of it"
        [call] = desk.calls(program)
        script = applescript.PDF if suffix == ".pdf" else applescript.IMAGE
        convert = ["-convert", "txt", "-encoding", "UTF-8", "-stdout", str(file)]
        assert call == (["-e", script, f"={file}"] if program == "osascript" else convert)


@texts
def test_a_text_file_is_read_here(text: str, desk: Recorder, tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text(text, encoding="utf-8", newline="")
    expected = text.replace("\r\n", "\n")[:1_000]
    assert contents.text_of(file, 1_000) == expected


def test_what_has_no_text_is_a_sentence(desk: Recorder, tmp_path: Path) -> None:
    for name, data in {"a.txt": b"", "b.txt": b" \n", "c.bin": b"\0\x01", "d.txt": b"\xff\xfe\xff"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DesktopError):
            contents.text_of(tmp_path / name, 100)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DesktopError, match="it is a pipe"):
        contents.text_of(tmp_path / "pipe.png", 100)
    desk.program("osascript", "echo 'error (-1728)' >&2; exit 1")
    (tmp_path / "e.pdf").write_bytes(b"x")
    with pytest.raises(DesktopError, match="there is no text"):
        contents.text_of(tmp_path / "e.pdf", 100)


def test_a_character_that_is_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("日" * 10)
    assert contents.text_of(tmp_path / "a.txt", 3) == "日日日"
    (tmp_path / "b.txt").write_bytes("日本".encode()[:-1])
    assert contents.text_of(tmp_path / "b.txt", 3) == "日"


def test_elsewhere_documents_need_a_mac(other_desk: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(DesktopError, match="another system"):
        contents.text_of(tmp_path / "a.pdf", 10)


@texts
def test_a_question_about_files(text: str, desk: Recorder, tmp_path: Path) -> None:
    """The user's question is an argument of the model's, names and contents are its input."""
    asked = text[:1_000]
    desk.answers("osascript", f"={asked}\n")
    desk.model("An answer")
    file = tmp_path / f"{text.replace('/', '_')[:60]}.txt"
    file.write_text("of the file", encoding="utf-8")
    recipe = named("ask-file")
    assert running.on_files(recipe, [file], asking.asker(None)) == "An answer"
    [[_, script, what, title, default]] = desk.calls("osascript")
    assert script == applescript.QUESTION and what.startswith("=What would you like to know about ")
    assert title == "=Ask rgmlx about File" and default == "=What is this about?"
    assert desk.calls("rgmlx") == [["ask", "--max-tokens", "600", "--", asked.strip()]]
    assert desk.given("rgmlx") == b"of the file"
    running.on_files(recipe, [file, file], asking.asker(None))
    assert desk.given("rgmlx").decode() == "\n\n".join([f"== {file.name} ==\nof the file"] * 2)


def test_no_question_is_no_answer(desk: Recorder, tmp_path: Path) -> None:
    desk.program("osascript", "echo 'execution error: User canceled. (-128)' >&2; exit 1")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(applescript.Canceled):
        running.on_files(named("ask-file"), [tmp_path / "a.txt"], answering("x"))
    with pytest.raises(DesktopError, match="no file is chosen"):
        running.on_files(named("ask-file"), [], answering("x"))
    with pytest.raises(DesktopError, match="5 files at most"):
        running.on_files(named("ask-file"), [tmp_path / "a.txt"] * 6, answering("x"))


# --- folders ------------------------------------------------------------------------------


def folder(tmp_path: Path, *names: str) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    for name in names:
        (made / name).write_text(f"text of {name}")
    return made


def named_files(where: Path, answer: str, **options: object) -> list[str]:
    told: list[str] = []
    folders.name_files(where, answering(answer), "name it", told.append, wait=no_wait, **options)
    return told


@texts
def test_whatever_the_model_writes_files_stay_in_their_folder(text: str, desk: Recorder, tmp_path: Path) -> None:
    where = folder(tmp_path, "IMG_0001.txt", "notes.txt")
    named_files(where, text)
    assert len(list(where.iterdir())) == 2 and (where / "notes.txt").exists()
    [file] = [path for path in where.iterdir() if path.name != "notes.txt"]
    assert file.suffix == ".txt" and file.read_text() == "text of IMG_0001.txt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "folder", "home"]


def test_new_files_with_names_of_machines_get_better_ones(desk: Recorder, tmp_path: Path) -> None:
    where = folder(
        tmp_path, "IMG_1.txt", "IMG_2.txt", "A name of mine.txt", ".IMG_3.txt", "IMG_4.txt.crdownload", "IMG_5"
    )
    (where / "IMG_6.txt").touch()
    (where / "IMG_7.txt").symlink_to(where / "A name of mine.txt")
    (where / "IMG_8.txt").mkdir()
    os.mkfifo(where / "IMG_9.txt")
    asked: list[tuple[str, str]] = []
    told: list[str] = []
    ask = answering("The plan", asked)
    assert folders.name_files(where, ask, "name it", told.append, wait=no_wait) == 2
    assert sorted(text for _, text in asked) == ["text of IMG_1.txt", "text of IMG_2.txt"]
    names = {path.name for path in where.iterdir()}
    assert {"The plan.txt", "The plan 2.txt", "A name of mine.txt", "IMG_5", "IMG_6.txt", "IMG_7.txt"} <= names
    assert sorted(line.split(" to ")[1] for line in told) == ["The plan 2.txt", "The plan.txt"]
    assert folders.name_files(where, ask, "name it", told.append, wait=no_wait) == 0 and len(asked) == 2


def test_old_files_are_left_alone(desk: Recorder, tmp_path: Path) -> None:
    where = folder(tmp_path, "IMG_1.txt")
    assert folders.new_files(where) == [where / "IMG_1.txt"]
    assert not folders.new_files(where, now=time.time() + 3_601) and not folders.new_files(where, minutes=-1)


def test_a_file_that_still_grows_is_waited_for(tmp_path: Path) -> None:
    where = folder(tmp_path, "a.txt", "b.txt", "c.txt", "d.txt")
    rounds = iter(range(1_000))

    def wait(seconds: float) -> None:
        n = next(rounds)
        if n < 3:
            with open(where / "a.txt", "a") as file:
                file.write("more")
        if n == 0:
            (where / "b.txt").unlink()
        with open(where / "c.txt", "a") as file:
            file.write("for ever")

    found = folders.settled([where / name for name in ("a.txt", "b.txt", "c.txt", "d.txt")], wait)
    assert [one.path.name for one in found] == ["a.txt", "d.txt"]
    assert next(rounds) == folders._ROUNDS, "it gives up"


def test_no_more_than_so_many_a_run(desk: Recorder, tmp_path: Path) -> None:
    where = folder(tmp_path, *(f"IMG_{i}.txt" for i in range(25)))
    counts = [folders.name_files(where, answering("Same"), "name it", lambda _: None, wait=no_wait) for _ in range(4)]
    assert counts == [10, 10, 5, 0] and len({path.read_text() for path in where.iterdir()}) == 25


def test_what_could_not_be_named_is_not_asked_about_again(desk: Recorder, tmp_path: Path) -> None:
    where = folder(tmp_path, "IMG_1.txt", "IMG_2.txt")
    (where / "IMG_2.txt").write_bytes(b"\0\0")
    told = named_files(where, "...")
    assert len(told) == 2 and any("keeps its name" in line for line in told)
    assert not named_files(where, "Better") and (where / "IMG_1.txt").exists()
    (where / "IMG_1.txt").write_text("another text")
    assert len(named_files(where, "Better")) == 1 and (where / "Better.txt").exists()


def test_a_dry_run_renames_nothing(desk: Recorder, tmp_path: Path) -> None:
    where = folder(tmp_path, "IMG_1.txt")
    assert named_files(where, "The plan", dry_run=True) == [f"would rename {where}/IMG_1.txt to The plan.txt"]
    assert [path.name for path in where.iterdir()] == ["IMG_1.txt"]
    assert not (places.ours() / places.SEEN).exists()


@files
def test_answers_come_beside_files(name: str, desk: Recorder, tmp_path: Path) -> None:
    where = folder(tmp_path)
    (where / f"x{name}.txt").write_text("of the file")
    asked: list[tuple[str, str]] = []
    told: list[str] = []
    assert folders.answer_files(where, answering(name, asked), "why?", told.append, wait=no_wait) == 1
    assert asked == [("why?", "of the file")]
    answer = where / f"x{name}.txt{folders.ANSWER}"
    assert answer.read_bytes().decode() == f"{name}\n" and told == [f"wrote {answer}"]
    assert folders.answer_files(where, answering(name, asked), "why?", told.append, wait=no_wait) == 0
    assert len(asked) == 1 and sorted(path.name for path in tmp_path.iterdir()) == ["bin", "folder", "home"]


def test_an_answer_that_is_there_stays(desk: Recorder, tmp_path: Path) -> None:
    where = folder(tmp_path, "a.txt", "b.txt")
    (where / f"a.txt{folders.ANSWER}").symlink_to(tmp_path / "elsewhere")

    def ask(question: str, text: str, most: int, *, exact: bool = False) -> str:
        (where / f"b.txt{folders.ANSWER}").write_text("somebody's")  # meanwhile
        return "an answer"

    told: list[str] = []
    assert folders.answer_files(where, ask, "why?", told.append, wait=no_wait) == 0
    assert (where / f"b.txt{folders.ANSWER}").read_text() == "somebody's" and not (tmp_path / "elsewhere").exists()


def test_a_long_name_leaves_room_for_the_answer(desk: Recorder, tmp_path: Path) -> None:
    where = folder(tmp_path, "x" * 251 + ".txt")
    assert folders.answer_files(where, answering("yes"), "why?", lambda _: None, wait=no_wait) == 1
    assert folders.answer_files(where, answering("yes"), "why?", lambda _: None, wait=no_wait) == 0


def test_folders_that_can_not_be_read(desk: Recorder, tmp_path: Path) -> None:
    told: list[str] = []

    def run(*names: Path) -> int:
        recipe = named("name-files")
        return running.on_folders(recipe, names, answering("x"), "?", told.append, minutes=60, dry_run=True)

    with pytest.raises(DesktopError, match="no-such can't be read"):
        run(tmp_path / "no-such")
    assert run(tmp_path / "no-such", folder(tmp_path)) == 0 and len(told) == 1
    with pytest.raises(DesktopError, match="name a folder"):
        run()


# --- the digest ---------------------------------------------------------------------------


@texts
def test_logs_are_input_and_the_digest_is_kept(text: str, desk: Recorder) -> None:
    logs = desk.home / "Library" / "Logs"
    (logs / "App").mkdir(parents=True)
    (logs / "App" / "app.log").write_text(f"first\n{text}\n", encoding="utf-8")
    desk.model(f"All is well. {text[:500]}")
    answer = running.digest_of([], asking.asker(None), "what?")
    assert desk.calls("rgmlx") == [["ask", "--max-tokens", "600", "--", "what?"]]
    given = desk.given("rgmlx").decode()
    assert given.startswith("== app.log ==\n") and len(given.encode()) < digest.MOST_BYTES * 4
    assert not set(given) & set("\x1b\x07\u202e\u2066")
    kept = (places.ours() / places.DIGESTS).read_text()
    assert answer.split("\n")[0].rstrip("\r") in kept and answer.startswith("All is well.")


def test_the_newest_logs_of_a_day(desk: Recorder) -> None:
    logs = desk.home / "Library" / "Logs"
    deep = logs / "a" / "b" / "c"
    deep.mkdir(parents=True)
    now = time.time()
    for i in range(12):
        (logs / f"{i}.log").write_text("x")
        os.utime(logs / f"{i}.log", (now - i, now - i))
    for name in ("a/old.log", "a/picture.png", "a/.hidden.log", "a/b/c/deep.log"):
        (logs / name).write_text("x")
    os.utime(logs / "a/old.log", (0, 0))
    (logs / "a" / "link.log").symlink_to("/etc/passwd")
    assert [path.name for path in digest.recent_logs()] == [f"{i}.log" for i in range(8)]


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("".join(f"line {i}\n" for i in range(100_000)))
    found = digest.material([tmp_path / "a.log", tmp_path / "none.log"])
    lines = found.splitlines()
    assert lines[0] == "== a.log ==" and lines[-1] == "line 99999" and lines[1].startswith("line ")
    assert len(found) <= digest.MOST_BYTES + 100
    with pytest.raises(DesktopError, match=r"none.log can't be read"):
        digest.material([tmp_path / "none.log"])


def test_no_log_is_a_sentence(desk: Recorder) -> None:
    with pytest.raises(DesktopError, match="no log file was written since yesterday"):
        running.digest_of([], answering("x"), "what?")


def test_our_own_log_is_bounded(desk: Recorder) -> None:
    told: list[str] = []
    note = running.noted(named("name-files"), told.append)
    note("one\nline")
    log = places.ours() / places.LOG
    assert log.read_text().endswith(" name-files: one line\n") and log.stat().st_mode & 0o077 == 0
    for _ in range(30):
        note("x" * 20_000)
    assert log.stat().st_size <= running.MAX_LOG and len(told) == 31


def test_an_error_that_nobody_sees_is_a_notification(desk: Recorder) -> None:
    desk.program("osascript")
    running.announce(DesktopError("what to do"), named("reply"))
    assert desk.calls("osascript") == [["-e", applescript.NOTIFY, "=what to do", "=Reply with rgmlx"]]
    desk.program("osascript", "exit 1")
    running.announce(DesktopError("what to do"), named("reply"))  # and none of its own
    assert calls.MAX_NOTICE < 10_000
