"""The property lists of recipes, read back: as Automator and launchd have them, and nothing of a user's in what is run."""

from __future__ import annotations

import plistlib
import shlex
import subprocess
import sys
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from recorders import HOSTILE, Recorder, desk

from rgmlx.desktop import agent, installation, workflow
from rgmlx.desktop.recipes import RECIPES, Kind, Recipe
from rgmlx.errors import DesktopError

__all__ = ["desk"]

BUNDLES = [recipe for recipe in RECIPES if recipe.kind in (Kind.TEXT, Kind.NO_INPUT, Kind.FILES)]
AGENTS = [recipe for recipe in RECIPES if recipe.kind is Kind.AGENT]
PROGRAM = Path("/opt/rgmlx/bin/rgmlx")
bundles = pytest.mark.parametrize("recipe", BUNDLES, ids=lambda recipe: recipe.name)
ODD = {
    name: text.replace("/", ":").replace("\r", "")[:80]
    for name, text in HOSTILE.items()
    if not set(text) & set("\x1b\x08\x7f\x9b")  # which XML has not
}


def read(recipe: Recipe, program: Path = PROGRAM) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its document and its Info.plist, as plutil reads them."""
    document, info = workflow.files(recipe, program).values()
    return lint(document), lint(info)


def lint(data: bytes) -> dict[str, Any]:
    """A property list, checked by its structure: XML with Apple's DOCTYPE, one dictionary, keys and values in turn."""
    assert data.startswith(
        b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN"'
    )
    root = ET.fromstring(data)
    assert root.tag == "plist" and root.attrib == {"version": "1.0"} and [child.tag for child in root] == ["dict"]
    for element in root.iter("dict"):
        keys = [child.tag for child in element][::2]
        assert keys == ["key"] * len(keys) and len(element) == 2 * len(keys)
        assert len({key.text for key in element[::2]}) == len(keys), "a key twice"
    tags = {element.tag for element in root.iter()} - {
        "plist",
        "dict",
        "key",
        "array",
        "string",
        "integer",
        "true",
        "false",
    }
    assert not tags
    return plistlib.loads(data)


@bundles
def test_a_bundle_has_what_automator_writes(recipe: Recipe) -> None:
    document, info = read(recipe)
    assert set(document) == {
        "AMApplicationBuild",
        "AMApplicationVersion",
        "AMDocumentVersion",
        "actions",
        "connectors",
        "workflowMetaData",
    }
    assert document["AMDocumentVersion"] == "2" and document["connectors"] == {}
    [one] = document["actions"]
    action = one["action"]
    assert action["BundleIdentifier"] == "com.apple.RunShellScript" and action["Class Name"] == "RunShellScriptAction"
    assert action["ActionBundlePath"] == "/System/Library/Automator/Run Shell Script.action"
    parameters = action["ActionParameters"]
    assert set(parameters) == set(action["AMParameterProperties"]) == {a["name"] for a in action["arguments"].values()}
    assert parameters["shell"] == "/bin/sh" and parameters["source"] == ""
    assert parameters["inputMethod"] == (1 if recipe.kind is Kind.FILES else 0)
    identities = [action[name] for name in ("InputUUID", "OutputUUID", "UUID")]
    assert len(set(identities)) == 3 and all(str(uuid.UUID(one)).upper() == one for one in identities)

    [service] = info["NSServices"]
    assert service["NSMessage"] == "runWorkflowAsService" and service["NSMenuItem"] == {"default": recipe.title}
    assert int(service["NSTimeout"]) > 60_000 and isinstance(service["NSRequiredContext"], dict)
    about = document["workflowMetaData"]
    assert about["workflowTypeIdentifier"] == "com.apple.Automator.servicesMenu"
    for prefix in ("i", "serviceI"):
        given = {
            Kind.TEXT: "com.apple.Automator.text",
            Kind.NO_INPUT: "com.apple.Automator.nothing",
            Kind.FILES: "com.apple.Automator.fileSystemObject",
        }
        assert about[f"{prefix}nputTypeIdentifier"] == given[recipe.kind]
        answer = "text" if recipe.replaces else "nothing"
        assert about[f"{'serviceO' if prefix != 'i' else 'o'}utputTypeIdentifier"] == f"com.apple.Automator.{answer}"
    assert service.get("NSSendTypes") == (["public.utf8-plain-text"] if recipe.kind is Kind.TEXT else None)
    assert service.get("NSReturnTypes") == (["public.utf8-plain-text"] if recipe.replaces else None)
    assert service.get("NSSendFileTypes") == (["public.item"] if recipe.kind is Kind.FILES else None)
    finder = {"NSApplicationIdentifier": "com.apple.finder"} if recipe.kind is Kind.FILES else {}
    assert service["NSRequiredContext"] == finder


def test_only_what_corrects_takes_the_place_of_the_selection() -> None:
    assert [recipe.name for recipe in RECIPES if recipe.replaces] == ["fix-grammar"]


def test_names_and_identities_are_of_one_recipe_only() -> None:
    names = [name for recipe in BUNDLES for name in workflow.files(recipe, PROGRAM)]
    names += [name for recipe in AGENTS for name in agent.files(recipe, PROGRAM, agent.Start())]
    assert len(set(names)) == len(names)
    found = [read(recipe)[0]["actions"][0]["action"][name] for recipe in BUNDLES for name in ("UUID", "InputUUID")]
    assert len(set(found)) == len(found)


@bundles
def test_the_line_that_a_shell_reads_is_constant(recipe: Recipe) -> None:
    line = read(recipe)[0]["actions"][0]["action"]["ActionParameters"]["COMMAND_STRING"]
    files = ' -- "$@"' if recipe.kind is Kind.FILES else ""
    assert line == f"exec /opt/rgmlx/bin/rgmlx desktop run {recipe.name}{files}"
    assert workflow.files(recipe, PROGRAM) == workflow.files(recipe, PROGRAM), "the same each time"


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_the_path_of_the_program_is_quoted(odd: str, desk: Recorder, tmp_path: Path) -> None:
    """By running the line with the shell that Automator would run it with."""
    folder = f"{odd.strip()}x" if odd.strip() in (".", "..") else odd
    program = desk.program(f"{folder}/rgmlx")
    for recipe in BUNDLES:
        line = read(recipe, program)[0]["actions"][0]["action"]["ActionParameters"]["COMMAND_STRING"]
        assert shlex.split(line)[:2] == ["exec", str(program)]
        subprocess.run(["/bin/sh", "-c", line, "sh", "$(touch pwned)", "-x\n"], input=b"text", cwd=tmp_path, check=True)
    calls = desk.calls(f"{folder}/rgmlx")
    assert calls == [
        ["desktop", "run", recipe.name, *(["--", "$(touch pwned)", "-x\n"] if recipe.kind is Kind.FILES else [])]
        for recipe in BUNDLES
    ]
    assert desk.given(f"{folder}/rgmlx") == b"text" and not list(tmp_path.rglob("pwned"))
    for recipe in AGENTS:
        start = agent.Start((str(tmp_path / odd),), (str(tmp_path / odd),), 18)
        [data] = agent.files(recipe, program, start).values()
        assert lint(data)["ProgramArguments"] == [
            str(program), "desktop", "run", recipe.name, "--", str(tmp_path / odd)
        ]  # fmt: skip


@pytest.mark.parametrize("odd", ["\x1b[2J", "a\0b", "bell\x07", "two lines\r\n", "half \udcff"])
def test_what_a_property_list_can_not_hold_is_refused(odd: str) -> None:
    for recipe in BUNDLES:
        with pytest.raises(DesktopError, match="can't hold"):
            workflow.files(recipe, Path(f"/{odd}/rgmlx"))
    with pytest.raises(DesktopError, match="can't hold"):
        agent.files(AGENTS[0], PROGRAM, agent.Start((f"/{odd}",), (f"/{odd}",)))


def test_agents_are_lists_of_arguments(desk: Recorder, tmp_path: Path) -> None:
    program = desk.model()
    for folder in ("Desktop", "Downloads", "drop"):
        (desk.home / folder).mkdir()
    settings: dict[str, dict[str, Any]] = {
        "name-files": {},
        "watch-folder": {"folder": ["~/drop"]},
        "log-digest": {"at": "7:05", "log": ["/var/log/system.log"]},
    }
    found = {}
    for recipe in AGENTS:
        [(name, data)] = installation.plan(recipe, settings[recipe.name]).files.items()
        assert name == f"LaunchAgents/rgmlx.{recipe.name}.plist"
        found[recipe.name] = lint(data)
    for name, one in found.items():
        assert one["Label"] == f"rgmlx.{name}" and one["ThrottleInterval"] >= 10
        assert one["ProgramArguments"][:5] == [str(program), "desktop", "run", name, "--"]
        assert not {"StandardOutPath", "StandardErrorPath", "KeepAlive", "RunAtLoad", "Program"} & set(one)
    both = [str(desk.home / "Desktop"), str(desk.home / "Downloads")]
    assert found["name-files"]["WatchPaths"] == found["name-files"]["ProgramArguments"][5:] == both
    assert found["watch-folder"]["WatchPaths"] == [str(desk.home / "drop")]
    assert found["log-digest"]["StartCalendarInterval"] == {"Hour": 7, "Minute": 5}
    assert (
        found["log-digest"]["ProgramArguments"][5:] == ["/var/log/system.log"]
        and "WatchPaths" not in found["log-digest"]
    )


@pytest.mark.parametrize("text", ["", "18", "24:00", "12:60", "noon", "-1:00", "1:2:3", "１８:00", "018:00", "$(x):00"])
def test_a_time_that_is_none(text: str) -> None:
    with pytest.raises(DesktopError, match="--at takes a time"):
        agent.clock(text)


def test_the_recipes_are_those_of_the_documentation() -> None:
    docs = Path(__file__).parents[2] / "docs" / "desktop.md"
    for recipe in RECIPES:
        assert f"`{recipe.name}`" in docs.read_text(encoding="utf-8"), recipe.name


@pytest.mark.skipif(sys.platform != "darwin", reason="plutil is macOS's")
@bundles
def test_plutil_takes_them(recipe: Recipe, tmp_path: Path) -> None:
    for name, data in workflow.files(recipe, PROGRAM).items():
        file = tmp_path / Path(name).name
        file.write_bytes(data)
        subprocess.run(["plutil", "-lint", "-s", str(file)], check=True)
