"""AppleScript through `osascript`: the text of a script is one of the constants below, and all else is an argument.

Each argument has an equals sign before it, which the script takes off: whatever a text begins with, osascript never takes
it for an option. Answers come back with one as well, so that an empty one is told from none. Nothing here has run on a Mac.
"""

from __future__ import annotations

from ..errors import DesktopError
from ..system import macos
from ..system.printable import printable
from .tools import SECONDS, ToolFailed, run

MOST_SHOWN = 4_000
"""Characters of a text in a dialog; a screen has room for fewer."""
PATIENCE = 3_600.0
"""Seconds that a dialog waits for the user."""

NOTIFY = """on run argv
    display notification (text 2 thru -1 of item 1 of argv) with title (text 2 thru -1 of item 2 of argv)
end run"""
SHOW = """on run argv
    set theText to text 2 thru -1 of item 1 of argv
    set theTitle to text 2 thru -1 of item 2 of argv
    activate
    set theAnswer to display dialog theText with title theTitle buttons {"Copy", "OK"} default button "OK" giving up after 3000
    return "=" & (button returned of theAnswer)
end run"""
QUESTION = """on run argv
    set theText to text 2 thru -1 of item 1 of argv
    set theTitle to text 2 thru -1 of item 2 of argv
    set theDefault to text 2 thru -1 of item 3 of argv
    activate
    set theButtons to {"Cancel", "Ask"}
    set theAnswer to display dialog theText with title theTitle default answer theDefault buttons theButtons default button 2 cancel button 1 giving up after 3000
    if gave up of theAnswer then error number -128
    return "=" & (text returned of theAnswer)
end run"""
SELECTION = """tell application "System Events"
    set theProcess to first application process whose frontmost is true
    set theElement to value of attribute "AXFocusedUIElement" of theProcess
    set theText to value of attribute "AXSelectedText" of theElement
end tell
if theText is missing value then error number -1728
return "=" & theText"""
IMAGE = """use framework "Foundation"
use framework "Vision"
use scripting additions
on run argv
    set theFile to current application's |NSURL|'s fileURLWithPath:(text 2 thru -1 of item 1 of argv)
    set theRequest to current application's VNRecognizeTextRequest's alloc()'s init()
    set theOptions to current application's NSDictionary's dictionary()
    set theHandler to current application's VNImageRequestHandler's alloc()'s initWithURL:theFile options:theOptions
    theHandler's performRequests:{theRequest} |error|:(missing value)
    set theText to "="
    repeat with theLine in theRequest's results()
        set theText to theText & (((theLine's topCandidates:1)'s firstObject()'s |string|()) as text) & linefeed
    end repeat
    return theText
end run"""
PDF = """use framework "Foundation"
use framework "Quartz"
use scripting additions
on run argv
    set theFile to current application's |NSURL|'s fileURLWithPath:(text 2 thru -1 of item 1 of argv)
    set theDocument to current application's PDFDocument's alloc()'s initWithURL:theFile
    if theDocument is missing value then error number -1728
    set theText to "="
    repeat with i from 1 to 3
        if i > (theDocument's pageCount()) then exit repeat
        set thePage to (theDocument's pageAtIndex:(i - 1))'s |string|()
        if thePage is not missing value then set theText to theText & (thePage as text) & linefeed
    end repeat
    return theText
end run"""
SCRIPTS = (NOTIFY, SHOW, QUESTION, SELECTION, IMAGE, PDF)

_CANCELED = "(-128)"
_NOTHING = "(-1728)"
_REFUSALS = {
    "(-1743)": "macOS does not let this program speak to System Events: allow it in System Settings > Privacy & Security > "
    "Automation",
    "(-1719)": "macOS does not let this program see other windows: allow it in System Settings > Privacy & Security > "
    "Accessibility",
}
_REFUSALS["(-25211)"] = _REFUSALS["(-1719)"]


class Canceled(DesktopError):
    """The user closed a dialog."""


class Nothing(DesktopError):
    """There is nothing of the kind that was asked for."""


def run_script(script: str, *texts: str, seconds: float = SECONDS) -> str:
    """What a script returns.

    Args:
        script: one of the constants of this module.
        texts: what it is given, as arguments.

    Raises:
        Canceled, Nothing: the user says no; there is nothing of that kind.
        DesktopError: this is no Mac, macOS does not allow it, or the script fails.
    """
    if not macos.here():
        raise DesktopError("this asks macOS, and this is another system: run it on a Mac")
    try:
        answer = run("osascript", "-e", script, *(f"={text}" for text in texts), seconds=seconds)
    except ToolFailed as e:
        if _CANCELED in e.said:
            raise Canceled("nothing was done, as the dialog was closed") from None
        if _NOTHING in e.said:
            raise Nothing("macOS has nothing to tell here") from None
        for number, sentence in _REFUSALS.items():
            if number in e.said:
                raise DesktopError(sentence) from None
        raise
    return answer.decode("utf-8", "replace").removesuffix("\n").removeprefix("=")


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """A text for a dialog or a notification: nothing in it is invisible or reorders it, and it fits."""
    clean = printable(text[:most])
    return clean + " ..." if len(text) > most else clean
