"""Automator workflows that the Services menu and the Finder run: a bundle of two property lists, as Automator 2.10 saves them.

Such a workflow has one action, Run Shell Script (com.apple.RunShellScript), whose line is the same for everybody but for the
path of this installation's program: what is selected comes by its standard input (inputMethod 0), files as its arguments (1).
Info.plist tells the system of it: types in (NSSendTypes, NSSendFileTypes), types out where the output replaces what is
selected (NSReturnTypes), and how long an answer is waited for. An entry without NSRequiredContext is listed nowhere since
macOS 15 (I7T5/Edmund#254). Knows property lists; nothing is written here, and nothing of it has run on a Mac.
"""

from __future__ import annotations

import plistlib
import shlex
import uuid
from pathlib import PurePath
from typing import Any

from ..errors import DesktopError
from .recipes import Kind, Recipe

TIMEOUT = 600_000
"""Milliseconds that the system waits for an answer (NSTimeout); by default 30 seconds, in which no large model is loaded."""
_SPACE = uuid.UUID("5b1c9b5e-6d3c-4c58-8a55-6d0d4d8f7a10")
_TEXT, _FILE = "com.apple.Automator.text", "com.apple.Automator.fileSystemObject"
_NOTHING = "com.apple.Automator.nothing"
_FINDER = "com.apple.finder"
_FINDER_PATH = "/System/Library/CoreServices/Finder.app"
_ACTION = "/System/Library/Automator/Run Shell Script.action"
_INPUTS = {Kind.TEXT: _TEXT, Kind.NO_INPUT: _NOTHING, Kind.FILES: _FILE}


def files(recipe: Recipe, program: PurePath) -> dict[str, bytes]:
    """The files of a recipe's bundle, by their path in ~/Library. The same for the same program.

    Raises:
        DesktopError: the program's path can't be in a property list.
    """
    bundle = f"Services/{recipe.title}.workflow/Contents"
    return {
        f"{bundle}/document.wflow": plist(document(recipe, program)),
        f"{bundle}/Info.plist": plist(info(recipe)),  # the last one, as it is what the system looks for
    }


def plist(value: Any) -> bytes:
    """A property list in XML. Raises DesktopError: a text in it has characters that XML has not, or changes."""
    try:
        data = plistlib.dumps(value, fmt=plistlib.FMT_XML, sort_keys=True)
        if plistlib.loads(data) == value:  # a carriage return would be another line end
            return data
    except (ValueError, UnicodeError):
        pass
    raise DesktopError(
        "the path of rgmlx or of a folder has a character in it that a property list can't hold: rename that folder"
    )


def shell_line(recipe: Recipe, program: PurePath) -> str:
    """What the action runs. The path alone is not ours, and it is quoted."""
    files = ' -- "$@"' if recipe.kind is Kind.FILES else ""
    return f"exec {shlex.quote(str(program))} desktop run {recipe.name}{files}"


def info(recipe: Recipe) -> dict[str, Any]:
    """Info.plist."""
    service: dict[str, Any] = {
        "NSBackgroundColorName": "background",
        "NSIconName": "NSActionTemplate",
        "NSMenuItem": {"default": recipe.title},
        "NSMessage": "runWorkflowAsService",
        "NSRequiredContext": {},
        "NSTimeout": str(TIMEOUT),
    }
    if recipe.kind is Kind.TEXT:
        service["NSSendTypes"] = ["public.utf8-plain-text"]
        if recipe.replaces:
            service["NSReturnTypes"] = ["public.utf8-plain-text"]
    if recipe.kind is Kind.FILES:
        service["NSRequiredContext"] = {"NSApplicationIdentifier": _FINDER}
        service["NSSendFileTypes"] = ["public.item"]
    return {"NSServices": [service]}


def document(recipe: Recipe, program: PurePath) -> dict[str, Any]:
    """document.wflow."""
    return {
        "AMApplicationBuild": "523",
        "AMApplicationVersion": "2.10",
        "AMDocumentVersion": "2",
        "actions": [{"action": _action(recipe, program), "isViewVisible": 1}],
        "connectors": {},
        "workflowMetaData": _metadata(recipe),
    }


def _action(recipe: Recipe, program: PurePath) -> dict[str, Any]:
    by_arguments = recipe.kind is Kind.FILES
    parameters = {
        "COMMAND_STRING": shell_line(recipe, program),
        "CheckedForUserDefaultShell": True,
        "inputMethod": int(by_arguments),
        "shell": "/bin/sh",
        "source": "",
    }
    defaults: list[tuple[str, Any]] = [
        ("inputMethod", 0),
        ("CheckedForUserDefaultShell", False),
        ("source", ""),
        ("COMMAND_STRING", ""),
        ("shell", "/bin/sh"),
    ]
    strings = {"Container": "List", "Types": ["com.apple.cocoa.string"]}
    return {
        "AMAccepts": strings | {"Optional": True},
        "AMActionVersion": "2.0.3",
        "AMApplication": ["Automator"],
        "AMParameterProperties": {name: {} for name in parameters},
        "AMProvides": strings,
        "ActionBundlePath": _ACTION,
        "ActionName": "Run Shell Script",
        "ActionParameters": parameters,
        "BundleIdentifier": "com.apple.RunShellScript",
        "CFBundleVersion": "2.0.3",
        "CanShowSelectedItemsWhenRun": False,
        "CanShowWhenRun": True,
        "Category": ["AMCategoryUtilities"],
        "Class Name": "RunShellScriptAction",
        "InputUUID": _identity(recipe, "input"),
        "Keywords": ["Shell", "Script", "Command", "Run", "Unix"],
        "OutputUUID": _identity(recipe, "output"),
        "UUID": _identity(recipe, "action"),
        "UnlocalizedApplications": ["Automator"],
        "arguments": {
            str(i): {"default value": value, "name": name, "required": "0", "type": "0", "uuid": str(i)}
            for i, (name, value) in enumerate(defaults)
        },
        "isViewVisible": 1,
        "location": "309.000000:253.000000",
        "nibPath": f"{_ACTION}/Contents/Resources/Base.lproj/main.nib",
    }


def _metadata(recipe: Recipe) -> dict[str, Any]:
    given, answer = _INPUTS[recipe.kind], _TEXT if recipe.replaces else _NOTHING
    of_finder = recipe.kind is Kind.FILES
    found: dict[str, Any] = {
        "applicationBundleIDsByPath": {_FINDER_PATH: _FINDER} if of_finder else {},
        "applicationPaths": [_FINDER_PATH] if of_finder else [],
        "inputTypeIdentifier": given,
        "outputTypeIdentifier": answer,
        "presentationMode": 15 if of_finder else 11,
        "processesInput": False,
        "serviceInputTypeIdentifier": given,
        "serviceOutputTypeIdentifier": answer,
        "serviceProcessesInput": False,
        "systemImageName": "NSActionTemplate",
        "useAutomaticInputType": False,
        "workflowTypeIdentifier": "com.apple.Automator.servicesMenu",
    }
    if of_finder:
        for prefix in ("application", "serviceApplication"):
            found |= {f"{prefix}BundleID": _FINDER, f"{prefix}Path": _FINDER_PATH}
    return found


def _identity(recipe: Recipe, what: str) -> str:
    return str(uuid.uuid5(_SPACE, f"{recipe.name} {what}")).upper()
