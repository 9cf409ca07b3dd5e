"""`rgmlx ask --choice`, `--schema`, `--regex`, `--grammar`: the answer has the form, or it is an error."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from asked import Ask, ask, objects, piped, sentence

from rgmlx.cli import forms
from rgmlx.generation.constrained.output import FORMS

__all__ = ["ask", "piped"]

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "person.json").write_text(json.dumps(PERSON))
    (tmp_path / "sum.lark").write_text('start: NUMBER " + " NUMBER\nNUMBER: /[0-9]{1,2}/\n')
    (tmp_path / "not.json").write_text("{")
    (tmp_path / "bytes.json").write_bytes(b'"caf\xe9"')
    (tmp_path / "none.json").write_text('{"type": "integer", "minimum": 2, "maximum": 1}')
    monkeypatch.chdir(tmp_path)
    return tmp_path


FITS = [
    (["--choice", "yes", "no, thanks"], r"yes|no, thanks"),
    (["--choice", "yes", "--choice", "no"], r"yes|no"),
    (["--regex", "[a-c]{2}-[0-9]{2}"], r"[a-c]{2}-[0-9]{2}"),
    (["--grammar", "sum.lark"], r"[0-9]{1,2} \+ [0-9]{1,2}"),
]


@pytest.mark.parametrize("where", [[], ["--raw"], ["--session", "a"]])
@pytest.mark.parametrize(("form", "fits"), FITS)
def test_an_answer_has_the_form(form: list[str], fits: str, where: list[str], ask: Ask, files: Path) -> None:
    both = objects(ask("Is it?", *form, *where, "--json", "-n", "2", "--temperature", "1"))
    assert all(re.fullmatch(fits, one["text"]) and one["finish_reason"] == "stop" for one in both)
    assert "result" not in both[0]


@pytest.mark.parametrize("where", [[], ["--session", "a"]])
def test_a_schema_gives_the_object_as_well(where: list[str], ask: Ask, files: Path) -> None:
    for one in objects(ask("Who is it?", "--schema", "person.json", *where, "--json", "-n", "2")):
        assert one["result"] == json.loads(one["text"]) and set(one["result"]) == {"name", "age"}


def test_choices_can_be_counted(ask: Ask) -> None:
    done = ask("Is it?", "--choice", "yes", "no", "-n", "5", "--temperature", "1")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 5 and set(done.stdout.split()) <= {"yes", "no"}


@pytest.mark.parametrize("where", [[], ["-n", "2"], ["--session", "a"]])
def test_an_answer_that_is_cut_is_an_error_and_no_file(where: list[str], ask: Ask, files: Path) -> None:
    done = ask("Who is it?", "--schema", "person.json", "--max-tokens", "2", "-o", "out.json", *where)
    assert "was cut before it was whole" in sentence(done) and not (files / "out.json").exists()


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (["--schema", "nowhere.json"], "there is no file nowhere.json: --schema takes the name of one"),
        (["--schema", "not.json"], "not.json is not JSON (Expecting property name"),
        (["--schema", "bytes.json"], "bytes.json is not UTF-8 text"),
        (["--schema", "."], "can't be read (it is a directory"),
        (["--grammar", "nowhere.lark"], "--grammar takes the name of one"),
        (["--regex", "\udce9"], "--regex is not UTF-8 text"),
        (["--choice", "\udce9"], "--choice is not UTF-8 text"),
        (["--schema", "none.json"], "the schema"),
        (["--regex", "("], "the regex can't be used"),
        (["--grammar", "not.json"], "the grammar"),
    ],
)
def test_a_form_that_is_none_is_refused(form: list[str], said: str, ask: Ask, files: Path) -> None:
    done = ask("Is it?", *form)
    assert said in sentence(done)
    assert done.args == (["demo"] if said.startswith("the ") else []), (
        "what can be seen without the model is seen first"
    )


def test_two_forms_are_a_wrong_command_line(ask: Ask) -> None:
    done = ask("Is it?", "--regex", "a", "--choice", "b")
    assert done.returncode == 2 and "not allowed with argument" in done.stderr


def test_the_names_are_those_of_the_library() -> None:
    assert forms.FORMS == FORMS
