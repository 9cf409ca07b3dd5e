"""The rooms of the tests, which are those of the code: each module can be imported by all, also in programs that tests begin."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent
SCRIPTS = ROOT / "scripts"
"""The harnesses that also run for longer, and what makes the embedded model."""

for _place in (SCRIPTS, *sorted({path.parent for path in TESTS.rglob("test_*.py")}), TESTS):
    if str(_place) not in sys.path:
        sys.path.insert(0, str(_place))
