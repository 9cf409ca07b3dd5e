"""What `import rgmlx` costs beyond `import mlx.core`, in fresh processes (median of seven).

python scripts/import_time.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys

CASES = {
    "import rgmlx": "import rgmlx",
    "and its names (load, Model, Chat, State)": "import rgmlx; rgmlx.load, rgmlx.Model, rgmlx.Chat, rgmlx.State",
}


def measure(code: str) -> float:
    """Seconds that `code` takes once MLX is there."""
    program = f"import mlx.core, time; t = time.perf_counter()\n{code}\nprint(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(7)
    ]
    return statistics.median(times)


def main() -> None:
    for what, code in CASES.items():
        print(f"{what:45} {measure(code):.3f} s beyond import mlx.core")


if __name__ == "__main__":
    main()
