"""How a conversation looks: names and texts, flush left, so that what a terminal selects is what was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from scripted import Scripted, idle, screen
from waiting import until_idle, wait_until

from tui.app import ChatApp
from tui.settings.settings import Defaults

CODE = 'def fish(weight):\n    """What an otter eats a day."""\n    return weight / 4'
SAID = f"""# Otters

They live in rivers.

- they hold hands,
- they use stones.

| Otter | Weight |
| --- | --- |
| sea | 40 kg |

> Always.

```python
{CODE}
```

## More

That is all."""
SHOWN = f"""You
Tell me of otters.

Griff
Otters

They live in rivers.

• they hold hands,
• they use stones.

Otter Weight
────── ──────
sea 40 kg

  Always.

{CODE}

More

That is all."""


async def drawn(app: ChatApp, last: str, size: tuple[int, int]) -> list[str]:
    """The lines of the transcript, as a terminal would give them to the clipboard."""
    async with app.run_test(size=size):
        await wait_until(lambda: idle(app) and any(last in line for line in screen(app)))
        await until_idle()  # the messages above it may be still to be drawn
        region = app.transcript.region
        return [line.rstrip() for line in screen(app)[region.y : region.bottom]]


def words(lines: Sequence[str]) -> list[str]:
    """Lines, in which a column of a table is as wide as any other; without those that are empty at the top."""
    text = "\n".join(lines).strip("\n")
    return [
        " ".join(line.split()) if "─" in line or "kg" in line or ("Weight" in line and "def" not in line) else line
        for line in text.split("\n")
    ]


def same(shown: Sequence[str]) -> None:
    got, want = words(shown), SHOWN.split("\n")
    rule = next(i for i, line in enumerate(want) if "─" in line)
    assert set(got[rule]) == {"─", " "} and len(got[rule].split()) == 2
    assert got[:rule] + got[rule + 1 :] == want[:rule] + want[rule + 1 :]


@pytest.mark.parametrize("theme", ["dark", "light", "contrast", "no colour"])
@pytest.mark.parametrize("columns", [60, 80, 110, 200])
async def test_what_is_selected_with_the_terminal_is_what_was_written(
    tmp_path: Path, theme: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No frame, no indentation that was not written, one empty line between two blocks."""
    if theme == "no colour":
        monkeypatch.setenv("NO_COLOR", "1")
    defaults = Defaults(theme={"no colour": "dark"}.get(theme, theme))
    app = ChatApp(Scripted(tmp_path, past=["Tell me of otters.", SAID]), defaults=defaults)
    same(await drawn(app, "That is all.", (columns, 60)))


async def test_it_looks_the_same_when_it_has_just_been_written(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, [SAID]))
    async with app.run_test(size=(80, 60)):
        await wait_until(lambda: idle(app))
        app.prompt.load_text("Tell me of otters.")
        app.simulate_key("enter")
        await wait_until(lambda: idle(app) and any("That is all." in line for line in screen(app)))
        region = app.transcript.region
        shown = [line.rstrip() for line in screen(app)[region.y : region.bottom]]
    same(shown[shown.index("You") :])


@pytest.mark.parametrize(
    ("width", "columns", "wanted"), [(100, 200, 100), (40, 80, 40), (1000, 200, 198), (100, 60, 58)]
)
async def test_a_text_is_as_wide_as_the_setting_says_and_the_screen_allows(
    tmp_path: Path, width: int, columns: int, wanted: int
) -> None:
    text = "x " * 500
    app = ChatApp(Scripted(tmp_path, past=["hi", text + "end"]), defaults=Defaults(text_width=width))
    lines = await drawn(app, "end", (columns, 60))
    widest = max(len(line) for line in lines if line.startswith("x x"))
    assert wanted - 2 < widest <= wanted


async def test_a_name_is_above_its_message_at_the_left(tmp_path: Path) -> None:
    app = ChatApp(Scripted(tmp_path, past=["one", "1", "two", "2"]))
    lines = await drawn(app, "2", (80, 24))
    assert [line for line in lines if line] == ["You", "one", "Griff", "1", "You", "two", "Griff", "2"]
    assert lines[lines.index("two") - 2 : lines.index("two") + 1] == ["", "You", "two"]


@pytest.mark.parametrize("written", [False, True], ids=["there", "written"])
@pytest.mark.parametrize("answer", ["30.", "7)", "-", "1.", "It is\n\n30.", "30.\n\nSo it is."])
async def test_a_number_with_a_point_is_an_answer(answer: str, written: bool, tmp_path: Path) -> None:
    """Markdown has it for a list, of one item without a word."""
    past = [] if written else ["How much?", answer]
    app = ChatApp(Scripted(tmp_path, [answer], past=past))
    async with app.run_test(size=(60, 30)):
        await wait_until(lambda: idle(app))
        if written:
            app.prompt.load_text("How much?")
            app.simulate_key("enter")
        wanted = [line for line in answer.split("\n") if line]
        await wait_until(lambda: idle(app) and set(wanted) <= {line.rstrip() for line in screen(app)})
