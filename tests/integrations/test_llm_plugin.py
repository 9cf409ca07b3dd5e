"""The plugin in llm itself, which is no dependency: `scripts/check_llm.py` runs these where it has installed it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rooms

from rgmlx.errors import RgmlxError
from rgmlx.settings import SETTINGS
from rgmlx.weights import hub

llm: Any = pytest.importorskip("llm", reason="llm is not installed; scripts/check_llm.py runs this with it")

from click.testing import CliRunner  # noqa: E402
from llm.cli import cli  # noqa: E402

from rgmlx.integrations import llm_plugin  # noqa: E402

SHORT = {"temperature": 0, "max_tokens": 4}
FEW = ["-o", "max_tokens", "3"]


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """llm with our plugin alone, its log and our states in a place of their own."""
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path / "llm"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LLM_LOAD_PLUGINS", "")
    llm_plugin._chats.cache_clear()
    llm.get_models()
    if not llm.pm.is_registered(llm_plugin):
        llm.pm.register(llm_plugin, "rgmlx")
    yield


def states(tmp_path: Path) -> int:
    return len(list((tmp_path / "cache").rglob("*.rgstate")))


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments: str) -> str:
    done = CliRunner().invoke(cli, list(arguments))
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
    return done.output


# --- models and options -------------------------------------------------------------------


def test_every_model_that_is_here_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "a/same", "b/same", "bad\nname"):
        directory = tmp_path / "home" / "models" / name
        directory.mkdir(parents=True)
        for file in hub.demo_directory().iterdir():
            (directory / file.name).symlink_to(file)
    found = [tmp_path / "home" / "models", *(tmp_path / "home" / "models" / name for name in "ab")]
    monkeypatch.setattr("rgmlx.weights.catalog.default_directories", lambda: found)
    models = {
        one.model.model_id: one for one in llm.get_models_with_aliases() if one.model.model_id.startswith("rgmlx/")
    }
    place = f"rgmlx/{tmp_path}/home/models"
    assert set(models) == {"rgmlx/demo", f"{place}/one", f"{place}/a/same", f"{place}/b/same"}
    assert [models[f"{place}/{name}"].aliases for name in ("one", "a/same", "b/same")] == [["rgmlx/one"], [], []]
    assert all(str(one.model) == str(one.async_model) == f"rgmlx: {name}" for name, one in models.items())
    assert llm.get_model("rgmlx/one").prompt("Hi", **SHORT).text()


def test_options_are_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    properties = llm.get_model("rgmlx/demo").Options.model_json_schema()["properties"]
    assert list(properties) == list(SETTINGS)
    for name, setting in SETTINGS.items():
        assert properties[name]["description"].startswith(setting.about)
        kind = {int: "integer", float: "number"}[setting.kind]
        assert [one["type"] for one in properties[name]["anyOf"]] == [kind, "null"]
        said = refused("-m", "rgmlx/demo", "-o", name, str(setting.low - 1), "Hi")
        assert f"{name} must be {setting.wanted}" in said


def test_help_and_the_list_of_models_import_no_mlx(tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path)}
    for arguments in (["--help"], ["models"]):
        code = f"import sys; sys.argv[1:] = {arguments!r}\nimport llm, rgmlx.integrations.llm_plugin as p\nllm.pm.register(p)\n"
        code += "from llm.cli import cli\ntry:\n cli()\nfinally:\n assert 'mlx.core' not in sys.modules"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, done.stderr
        assert arguments == ["--help"] or "rgmlx/demo" in done.stdout


# --- replies ------------------------------------------------------------------------------


def test_a_conversation_object_goes_on_by_its_state(tmp_path: Path) -> None:
    conversation = llm.get_model("rgmlx/demo").conversation()
    first = conversation.prompt("My name is Anna.", system="Be kind.", **SHORT)
    assert list(first) and first.response_json == {"finish_reason": "length"}
    second = conversation.prompt("Who are you?", **SHORT)
    one, two = first.usage(), second.usage()
    assert one.details is None and one.output == 4
    assert two.details == {"cached_tokens": one.input + one.output} and two.input < one.input
    third = second.reply("And I?", options=SHORT)
    assert third.usage().details == {"cached_tokens": one.input + one.output + two.input + two.output}
    assert states(tmp_path) == 0  # nobody logs what a program says


def test_a_schema_is_kept_to() -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 1, "maximum": 9}},
        "required": ["age"],
    }
    schema["additionalProperties"] = False
    model = llm.get_model("rgmlx/demo")
    assert 1 <= json.loads(model.prompt("How old is the fox?", schema=schema, temperature=0).text())["age"] <= 9
    with pytest.raises(llm.ModelError):
        model.prompt("Hi", schema={"type": "nothing"}).text()


def test_await_gives_the_same() -> None:
    async def talk(text: str) -> tuple[str, Any]:
        conversation = llm.get_async_model("rgmlx/demo").conversation()
        await conversation.prompt("Hi", **SHORT)
        response = conversation.prompt(text, **SHORT)
        pieces = [piece async for piece in response]
        return "".join(pieces), await response.usage()

    async def both() -> list[tuple[str, Any]]:
        return await asyncio.gather(talk("Who are you?"), talk("Tell me a story."))

    for (text, usage), question in zip(asyncio.run(both()), ("Who are you?", "Tell me a story."), strict=True):
        conversation = llm.get_model("rgmlx/demo").conversation()
        conversation.prompt("Hi", **SHORT).text()
        response = conversation.prompt(question, **SHORT)
        assert (response.text(), response.usage()) == (text, usage)


def test_a_task_that_is_cancelled_leaves_the_thread_to_others() -> None:
    async def cancelled() -> str:
        model, begun = llm.get_async_model("rgmlx/demo"), asyncio.Event()

        async def endless() -> None:
            async for _ in model.prompt("Tell me a long story about a fox.", temperature=0):
                begun.set()

        task = asyncio.create_task(endless())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await model.prompt("Hi", **SHORT).text()

    assert asyncio.run(cancelled()) == llm.get_model("rgmlx/demo").prompt("Hi", **SHORT).text()


def test_errors_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llm.get_model("rgmlx/demo")
    with pytest.raises(llm.ModelError, match="nothing to answer"):
        model.prompt(" ").text()

    def load(name: str) -> None:
        raise RgmlxError("its weights are cut off: download or convert it again")

    monkeypatch.setattr("rgmlx.model.load", load)
    llm_plugin._load.cache_clear()
    assert refused("-m", "rgmlx/demo", "Hi") == "Error: its weights are cut off: download or convert it again\n"
    llm_plugin._load.cache_clear()


# --- the command line ---------------------------------------------------------------------


def test_llm_c_goes_on_in_another_process(tmp_path: Path) -> None:
    run("-m", "rgmlx/demo", *FEW, "My name is Anna.")
    assert states(tmp_path) == 1
    llm_plugin._chats.cache_clear()  # as in another process
    assert '{"cached_tokens": ' in run("-c", "-u", *FEW, "Who are you?")
    for file in (tmp_path / "cache").rglob("*.rgstate"):
        file.unlink()
    llm_plugin._chats.cache_clear()
    assert "cached_tokens" not in run("-c", "-u", *FEW, "Who are you?")
    assert states(tmp_path) == 1


@pytest.mark.parametrize("way", ["--no-log", "logs off", "--log"])
def test_what_llm_does_not_log_leaves_no_state(way: str, tmp_path: Path) -> None:
    if way != "--no-log":
        run("logs", "off")
    run("-m", "rgmlx/demo", *FEW, *([way] if way.startswith("-") else []), "My name is Anna.")
    assert states(tmp_path) == (1 if way == "--log" else 0)


def test_llm_chat_goes_on_by_the_state(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["chat", "-m", "rgmlx/demo", *FEW], input="Hi\nWho are you?\nquit\n")
    assert done.exit_code == 0 and states(tmp_path) == 1
    assert '"cached_tokens"' in run("logs", "-c", "-u")


def test_the_entry_point_is_this_module() -> None:
    assert importlib.util.find_spec(llm_plugin.__name__) is not None
    assert f'rgmlx = "{llm_plugin.__name__}"' in (rooms.ROOT / "pyproject.toml").read_text()
