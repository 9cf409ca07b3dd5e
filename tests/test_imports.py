"""What importing costs, and what never gets imported."""

from __future__ import annotations

import subprocess
import sys

import pytest


def modules_after(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sorted(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(out.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import rgmlx",
        "import rgmlx; rgmlx.load, rgmlx.Chat, rgmlx.State",
        "import rgmlx; rgmlx.load().generate('Hi', max_tokens=3)",
        "import rgmlx.cli; rgmlx.cli.parser()",
    ],
)
def test_the_library_reaches_neither_the_chat_nor_transformers(code: str) -> None:
    loaded = modules_after(code)
    assert not {m for m in loaded if m.split(".")[0] in ("tui", "textual", "transformers", "torch")}


def test_import_alone_loads_nothing_heavy() -> None:
    assert not modules_after("import rgmlx") & {"mlx.core", "numpy", "sentencepiece", "huggingface_hub", "rich"}


def test_unknown_names_are_attribute_errors() -> None:
    import rgmlx

    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = rgmlx.nope
    assert all(hasattr(rgmlx, name) for name in rgmlx.__all__)
