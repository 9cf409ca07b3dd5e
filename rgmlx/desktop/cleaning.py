"""Text without what came along when it was copied. Knows characters; asks no model, so nothing of what it says changes."""

from __future__ import annotations

import re
import textwrap

from ..system.printable import printable

_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_LINE_ENDS = re.compile("\r\n?|[\u0085\u2028\u2029]")


def cleaned(text: str) -> str:
    """The text with plain spaces and line ends, without controls and invisible characters, indentation that all lines
    share, spaces at the ends of lines and more than one empty line in a row. Doing it again changes nothing."""
    text = _SPACES.sub(" ", _LINE_ENDS.sub("\n", text))
    text = printable(text).replace("\ufffd", "")
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    text = textwrap.dedent("\n".join(lines)).rstrip()
    return re.sub(r"\n{3,}", "\n\n", text)
