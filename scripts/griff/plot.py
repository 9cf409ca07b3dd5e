"""Draws the loss of a training from its log.

python -m griff.plot LOG.jsonl OUT.svg
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 360, 56, 40, 24
CURVES = (("loss", "#2563eb", "all tokens"), ("copied", "#dc2626", "copied tokens"), ("held", "#16a34a", "held out"))
_SMOOTH = 0.8  # of the curve so far, that each point keeps

Points = list[tuple[float, float]]


def read(log: Path) -> list[dict[str, float]]:
    """The log's lines in the order of their tokens; of a step that was done twice the last counts."""
    rows = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{"))
    return sorted({row["tokens"]: row for row in rows if "tokens" in row}.values(), key=lambda row: row["tokens"])


def curve(rows: list[dict[str, float]], name: str) -> Points:
    """(million tokens, loss), smoothed but for what is held out."""
    points: Points = []
    for row in rows:
        if row.get(name) is None:
            continue
        value = row[name] if not points or name == "held" else _SMOOTH * points[-1][1] + (1 - _SMOOTH) * row[name]
        points.append((row["tokens"] / 1e6, value))
    return points


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers between."""
    step = next(s for e in range(-4, 9) for s in (10.0**e, 2 * 10.0**e, 5 * 10.0**e) if (high - low) / s <= count)
    first = -int(-low // step)
    return [round(i * step, 6) for i in range(first, int(high / step) + 1)]


def draw(rows: list[dict[str, float]]) -> str:
    """An SVG. Raises ValueError: there is nothing to draw."""
    curves = [(points, color, label) for name, color, label in CURVES if (points := curve(rows, name))]
    if not curves:
        raise ValueError("the log has no losses yet")
    right = max(x for points, _, _ in curves for x, _ in points) or 1.0
    values = sorted(y for points, _, _ in curves for _, y in points)
    low, high = 0.0, max(values[int(0.98 * (len(values) - 1))], values[0] + 0.1)

    def x(tokens: float) -> float:
        return LEFT + (WIDTH - LEFT - 16) * tokens / right

    def y(loss: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (min(loss, high) - low) / (high - low)

    style = 'font-family="sans-serif" font-size="11" fill="#555"'
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">']
    out.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    for tick in ticks(low, high):
        out.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - 16}" stroke="#eee"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" {style}>{tick:g}</text>')
    for tick in ticks(0.0, right):
        out.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle" {style}>{tick:g}</text>')
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" text-anchor="middle" {style}>million tokens</text>')
    for i, (points, color, label) in enumerate(curves):
        path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points)
        out.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        place = f'x="{WIDTH - 150}" y="{TOP + 16 * i + 8}" font-family="sans-serif" font-size="12" fill="{color}"'
        out.append(f"<text {place}>{label}: {points[-1][1]:.3f}</text>")
    return "\n".join([*out, "</svg>"]) + "\n"


def main() -> None:
    p = argparse.ArgumentParser(description="Draws the loss of a training as SVG.")
    p.add_argument("log", type=Path)
    p.add_argument("svg", type=Path)
    options = p.parse_args()
    try:
        options.svg.write_text(draw(read(options.log)), encoding="utf-8")
    except (OSError, ValueError) as e:
        raise SystemExit(f"griff.plot: {e}") from None


if __name__ == "__main__":
    main()
