"""`rgmlx ask`: answers as text and JSON, in files, in conversations by name; what ends it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from asked import Ask, ask, objects, piped, sentence
from rooms import ROOT
from waiting import PATIENCE

import rgmlx
import rgmlx.model
from rgmlx.cli import answers, main, results
from rgmlx.conversation.turns import MODEL
from rgmlx.errors import RgmlxError
from rgmlx.store import Store
from rgmlx.tokenizer import turn_ids

__all__ = ["ask", "piped"]

BRIEF = ("--temperature", "0", "--max-tokens", "8")


# --- forms --------------------------------------------------------------------------------


def test_the_answer_to_a_question_with_its_material(ask: Ask, demo: rgmlx.Model) -> None:
    sent = "Input:\n```\nAnna has a red kite.\n```\n\nWhat color is the kite?"
    want = "".join(demo.chat(temperature=0).send(sent, max_tokens=8))
    done = ask("What color is the kite?", *BRIEF, data=b"Anna has a red kite.\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{want}\n", "")


def test_json_is_one_object_with_what_was_read_and_written(ask: Ask, demo: rgmlx.Model) -> None:
    question = "Tell me a story"
    (one,) = objects(ask(question, *BRIEF, "--json", "--seed", "3"))
    text = "".join(demo.chat(temperature=0).send(question, max_tokens=8))
    tokenizer = demo.text_tokenizer()
    assert one.pop("seconds") > 0
    assert one == {
        "text": text,
        "ids": tokenizer.encode(text),
        "finish_reason": "length",
        "tokens_read": len(turn_ids(tokenizer, question)) + 1,
        "tokens_known": 0,
        "tokens_written": 8,
        "seed": 3,
        "model": "demo",
        "session": None,
    }


def test_json_of_a_text_that_is_continued(ask: Ask, demo: rgmlx.Model) -> None:
    first, second = objects(ask("Once upon a", "--raw", *BRIEF, "--json", "-n", "2", "--seed", "5"))
    assert first["text"] == demo.generate("Once upon a", raw=True, temperature=0, max_tokens=8)
    assert first["ids"] == demo.text_tokenizer().encode(f"Once upon a{first['text']}")[-8:]
    assert (first["finish_reason"], first["tokens_written"]) == ("length", 8)
    assert (second["text"], second["ids"], second["seed"]) == (first["text"], first["ids"], 6)
    assert (first["tokens_known"], second["tokens_read"]) == (0, 0) and first["tokens_read"] == second["tokens_known"]


def test_json_obeys_nothing_and_needs_no_encoding(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rgmlx.tokenizer.Detokenizer, "add", lambda self, token: "\x1b[2J\u202eé\n")
    done = ask("Hi", "--json", "--max-tokens", "1")
    assert done.stdout.isascii() and done.stdout.count("\n") == 1
    assert json.loads(done.stdout)["text"] == "\x1b[2J\u202eé\n"


def test_several_answers_have_seeds_of_their_own_and_read_once(ask: Ask) -> None:
    lively = ("Tell me a story", "--temperature", "1", "--max-tokens", "8", "--json")
    both = objects(ask(*lively, "-n", "2", "--seed", "7"))
    alone = [objects(ask(*lively, "--seed", seed))[0] for seed in ("7", "8")]
    assert [one["ids"] for one in both] == [one["ids"] for one in alone]
    assert both[0]["text"] != both[1]["text"] and [one["seed"] for one in both] == [7, 8]
    assert [one["tokens_read"] for one in both] == [alone[0]["tokens_read"], 0]
    assert ask(*lively[:-1], "-n", "2", "--seed", "7").stdout == "".join(f"{one['text']}\n" for one in both)


def test_more_answers_than_are_written_at_once(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    lively = ("Hi", "--temperature", "1", "--max-tokens", "4", "--json", "-n", "3", "--seed", "7")
    want = objects(ask(*lively))
    monkeypatch.setattr(answers, "AT_ONCE", 2)
    found = objects(ask(*lively))
    assert [one | {"seconds": 0} for one in found] == [one | {"seconds": 0} for one in want]


def test_after_the_greatest_seed_comes_the_least(ask: Ask) -> None:
    both = objects(ask("Hi", "--max-tokens", "1", "--json", "--seed", str(2**63 - 1), "-n", "2"))
    assert [one["seed"] for one in both] == [2**63 - 1, 0]


def test_several_answers_in_a_pipe_are_lines_to_count(ask: Ask) -> None:
    done = ask("What is 3 + 4?", *BRIEF, "-n", "3")
    assert len(done.stdout.splitlines()) == 3 and len(set(done.stdout.splitlines())) == 1


def test_a_seed_that_nobody_chose_is_told(ask: Ask) -> None:
    lively = ("Tell me a story", "--temperature", "1", "--max-tokens", "12", "--json")
    (one,) = objects(ask(*lively))
    (again,) = objects(ask(*lively, "--seed", str(one["seed"])))
    assert one["ids"] == again["ids"] and one["seed"] < 2**53


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("error", "shown"),
    [(None, "a\n\nb \ufffd[2J"), (RgmlxError, "a\n\nb \ufffd[2J\n"), (KeyboardInterrupt, "a\n\nb \ufffd[2J")],
)
def test_answers_on_a_terminal(error: type[BaseException] | None, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty line stands between two, nothing is obeyed, and a sentence about an error begins a line."""
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    with contextlib.suppress(RgmlxError, KeyboardInterrupt), results.Results(None, as_json=False) as out:
        out.piece("a")
        out.end({})
        out.between()
        out.piece("b \x1b[2J")
        if error is not None:
            raise error
    assert screen.getvalue() == shown


def test_stats_are_on_stderr(ask: Ask) -> None:
    done = ask("Tell me a story", *BRIEF, "--stats", "-n", "2")
    first, second = done.stdout.splitlines()
    assert done.returncode == 0 and first and first == second
    assert done.stderr.startswith("rgmlx: 14 tokens read, 16 written, cut at --max-tokens, in ")
    assert done.stderr.endswith(" MB of memory\n") and done.stderr.count("\n") == 1


def test_help_has_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["ask", "--help"], ["sessions", "--help"]):
        with pytest.raises(SystemExit):
            main(arguments)
        out = capsys.readouterr().out
        assert all(f"\n  {code}    " in out for code in (0, 1, 2)) and "130  Ctrl-C" in out


@pytest.mark.parametrize("number", ["0", "-1", "x", "1.5", ""])
def test_a_wrong_number_of_answers_is_a_wrong_command_line(number: str, ask: Ask) -> None:
    done = ask("Hi", "-n", number)
    assert done.returncode == 2 and "-n" in done.stderr


# --- conversations by name ----------------------------------------------------------------


def test_a_second_call_reads_only_what_is_new_and_says_so(ask: Ask, demo: rgmlx.Model, tmp_path: Path) -> None:
    first = ask("--session", "diary", "My cat is called Zibo.", "--temperature", "0", "--stats")
    assert "tokens read after 0 that “diary” had" in first.stderr
    done = ask("--session", "diary", "What is my cat called?", "--temperature", "0", "--stats")
    assert "Zibo" in done.stdout
    new = len(turn_ids(demo.text_tokenizer(), "What is my cat called?")) + 1  # and what ends the reply before
    assert done.stderr.startswith(f"rgmlx: {new} tokens read after ") and "after 0 that" not in done.stderr
    (third,) = objects(ask("--session", "diary", "Thanks!", *BRIEF, "--json"))
    assert third["tokens_known"] > new > third["tokens_read"] > 0 and third["session"] == "diary"
    with Store(tmp_path / "data") as store:
        (row,) = store.conversations.listed()
        assert (row.title, row.model) == ("diary", "demo")
        assert len(store.messages.path(row.head)) == 6


def test_several_answers_stand_beside_each_other_in_a_conversation(ask: Ask, tmp_path: Path) -> None:
    three = objects(
        ask("--session", "diary", "Tell me a joke", "-n", "3", "--seed", "4", "--temperature", "1", "--json")
    )
    with Store(tmp_path / "data") as store:
        (row,) = store.conversations.listed()
        assert row.head is not None
        found = [store.messages.get(number) for number in store.messages.siblings(row.head)]
    assert [m.text for m in found] == [one["text"] for one in three]
    assert all(m.role == MODEL for m in found) and found[-1].id == row.head


def test_a_conversation_goes_on_with_its_own_model(ask: Ask, tmp_path: Path) -> None:
    ask("--session", "diary", "Hello", *BRIEF)
    with Store(tmp_path / "data") as store:
        store.conversations.set_model(store.conversations.listed()[0].id, "some/other")
    loaded = ask("--session", "diary", "Hello", *BRIEF).args
    assert loaded == ["demo", "some/other"]
    assert ask("--session", "diary", "Hello", *BRIEF, "--model", "demo").args[-1] == "demo"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--session", "diary", "--raw"], "--session has no place with --raw"),
        (["--session", ""], "1 to 200 characters on one line"),
        (["--session", "a\nb"], "1 to 200 characters on one line"),
        (["--session", "\udce9"], "--session is not UTF-8 text"),
        (["--session", "taken"], "“taken” is open in another program: close it there"),
        (["--session", "known", "--system", "Be brief."], "“known” has another system text"),
        (["--session", "known", "--temperature", "-1"], "temperature must be"),
        (["--session", "twice"], "there are 2 conversations “twice”: give the number of one, :4, :3"),
        (["--session", ":2"], "“taken” is open in another program: close it there"),
        (["--session", ":9"], "there is no conversation “:9”: "),
    ],
)
def test_conversations_that_are_refused(
    arguments: list[str], said: str, ask: Ask, demo: rgmlx.Model, tmp_path: Path
) -> None:
    with demo.chat("known", store=tmp_path / "data") as chat:
        list(chat.send("Hi", max_tokens=1))
    with demo.chat("taken", store=tmp_path / "data"), Store(tmp_path / "data") as store:
        for _ in range(2):
            store.conversations.create("demo", "twice")
        assert said in sentence(ask("Hello", *arguments))
        assert [row.title for row in store.conversations.listed()] == ["twice", "twice", "taken", "known"]


# --- files --------------------------------------------------------------------------------


def test_an_answer_in_a_file(ask: Ask, tmp_path: Path) -> None:
    place = tmp_path / "answer.txt"
    want = ask("Tell me a story", *BRIEF).stdout
    done = ask("Tell me a story", *BRIEF, "-o", str(place))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert place.read_text() == want
    (one,) = objects(ask("Tell me a story", *BRIEF, "--json", "-o", "-"))
    assert ask("Tell me a story", *BRIEF, "--json", "-n", "2", "-o", str(place)).stdout == ""
    assert [json.loads(line)["text"] for line in place.read_text().splitlines()] == [one["text"]] * 2


def test_a_file_is_refused_before_anything_is_done(ask: Ask, tmp_path: Path) -> None:
    done = ask("Hello", "-o", str(tmp_path / "nowhere" / "answer.txt"))
    assert "can't be written (No such file or directory)" in sentence(done) and done.args == []


def test_an_error_leaves_a_file_as_it_was(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "answer.txt"
    place.write_text("before")
    seen = 0

    def fail(self: Any, token: int) -> str:
        nonlocal seen
        seen += 1
        if seen > 3:
            raise rgmlx.RgmlxError("it broke off")
        return "x"

    monkeypatch.setattr(rgmlx.tokenizer.Detokenizer, "add", fail)
    assert "it broke off" in sentence(ask("Hello", "-o", str(place)))
    assert seen > 3 and place.read_text() == "before" and os.listdir(tmp_path) == ["answer.txt"]


# --- ends, in processes of their own ------------------------------------------------------


def begun(*arguments: str, place: Path) -> subprocess.Popen[bytes]:
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-m", "rgmlx", "ask", "--data", str(place / "data"), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, **pipes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_half_written(number: signal.Signals, tmp_path: Path) -> None:
    place = tmp_path / "answer.txt"
    place.write_text("before")
    place.chmod(0o640)
    told = tmp_path / "told"
    os.mkfifo(told)
    # Two answers: the first goes to the file, and its end is seen in what is said of the loading of the second.
    code = (
        "import sys\n"
        "from rgmlx.cli import main, results\n"
        "piece = results.Results.piece\n"
        f"def tell(self, text):\n    piece(self, text)\n    open({str(told)!r}, 'w').close()\n"
        "results.Results.piece = tell\n"
        "main(sys.argv[1:])"
    )
    options = ("--raw", "Once", "--temperature", "0", "-o", str(place))
    process = subprocess.Popen(
        [sys.executable, "-c", code, "ask", *options], cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    told.read_bytes()  # it writes
    process.send_signal(number)
    while process.poll() is None:
        os.close(os.open(told, os.O_RDONLY | os.O_NONBLOCK))
    assert process.returncode == 128 + number
    assert process.stderr is not None and b"Traceback" not in process.stderr.read()
    assert place.read_text() == "before" and stat.S_IMODE(place.stat().st_mode) == 0o640
    assert sorted(os.listdir(tmp_path)) == ["answer.txt", "told"]


def test_a_reader_that_goes_away_leaves_a_conversation_in_order(ask: Ask, tmp_path: Path) -> None:
    """`rgmlx ask --session diary ... | head -c 1`: what was written is kept, and the next call goes on after it."""
    process = begun("--session", "diary", "Tell me a story", "--temperature", "0", place=tmp_path)
    assert process.stdout is not None and process.stderr is not None
    assert len(process.stdout.read(1)) == 1
    process.stdout.close()
    assert process.wait(PATIENCE) in (0, 141)
    assert process.stderr.read() == b""
    (after,) = objects(ask("--session", "diary", "Who are you?", *BRIEF, "--json"))
    assert after["tokens_known"] > 0
    with Store(tmp_path / "data") as store:
        (row,) = store.conversations.listed()
        roles = [(m.role, bool(m.text)) for m in store.messages.path(row.head)]
    assert roles == [("user", True), ("model", True)] * 2
