"""What a model knows of what training never showed it: wordings, names, words.

    python -m griff.evaluate MODEL --corpus DIR [--cases N] [--seed S] [--rows NAME ...] [--table FILE.md]
        [--out FILE.jsonl] [--failures FILE.md]

MODEL is a directory or "demo". Every case is asked twice: greedily, and at the model's own sampling; the table has both and
counts the worse, with the goal beside it. `--out` keeps all answers, one JSON object a line; `--failures` writes those that
are wrong, or that people must look at, to be read. Behind the table stories and text without an end are measured: rows
"likeness" and "endless".
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import rgmlx

from . import endless, measures, mix, reading
from .answering import Model
from .cases import Case
from .lexicon import Lexicon
from .questions import Row, rows
from .wording import Source

LONGEST = 60
"""Tokens that an answer may have beyond half as many again as the longest written one of its row."""
WAYS = ("greedy", "sampled")
STORY = "Tell me a story."
HEAD = "| what | cases | greedy | sampled | worse | goal | | wrong |\n| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: |"


def commit() -> str:
    """Of this repository, with a mark where files have been changed since."""
    here = Path(__file__).parent
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


# --- the table --------------------------------------------------------------------------------


def asked(model: Model, row: Row, lexicon: Lexicon, seed: str, count: int) -> list[dict[str, Any]]:
    """Asks the cases of a row, in both ways; each with its answers and whether they are right."""
    source = Source(f"{seed} {row.name}", held=True)
    found = [row.ask(source, lexicon) for _ in range(count)]
    longest = LONGEST + max(model.length(case.turns[-1].model) for _, case in found) * 3 // 2
    ways = [rgmlx.Sampling(temperature=0), replace(model.sampling, seed=1)]
    answers = model.answers([case.turns for _, case in found], longest, ways)
    return [record(row, kind, case, given) for (kind, case), given in zip(found, answers, strict=True)]


def record(row: Row, kind: str, case: Case, answers: Sequence[str]) -> dict[str, Any]:
    """A case and what came of it, as it is kept. Of long conversations the middle is left out."""
    turns = [[turn.user, turn.model] for turn in case.turns]
    *before, last = turns
    shown = [*before[:3], *before[-3:]] if len(before) > 6 else before
    return {
        "row": row.name,
        "kind": kind,
        "about": case.about,
        "turns": shown,
        "left_out": len(before) - len(shown),
        "message": last[0],
        "written": last[1],
        "wanted": wanted(case),
        "answers": dict(zip(WAYS, answers, strict=True)),
        "right": {count.name: [count.right(case, answer) for answer in answers] for count in row.counts},
    }


def wanted(case: Case) -> dict[str, Any]:
    """What a case asks of an answer; the long lists of safety are left out."""
    found: dict[str, Any] = {"accept": case.accept, "exact": case.exact, "some": case.some}
    found["reject"] = case.reject if len(case.reject) < 9 else ()
    return {name: value for name, value in found.items() if value}


def lines(row: Row, records: Sequence[dict[str, Any]]) -> list[str]:
    """The lines of the table for a row."""
    found = []
    for count in row.counts:
        right = [[one["right"][count.name][way] for one in records] for way in range(len(WAYS))]
        shares = [sum(one) / max(1, len(one)) for one in right]
        worse, wrong = min(shares), max(len(one) - sum(one) for one in right)
        goal, reached = "", ""
        if count.goal is not None:
            goal, reached = f"{count.goal:.0%}", "" if worse >= count.goal else "missed"
        shown = " | ".join(percent(share) for share in (*shares, worse))
        found.append(f"| {count.name} | {len(records)} | {shown} | {goal} | {reached} | {wrong} |")
    return found


def percent(share: float) -> str:
    """Never rounded up: 299 of 300 are not 100 %."""
    return f"{math.floor(100 * share + 1e-9)} %"


# --- texts ------------------------------------------------------------------------------------


def alike(model: Model, lexicon: Lexicon, seed: str, count: int) -> list[str]:
    """Of many stories: how many are alike, and their slips; beside one request only, and the generator's own."""
    source = Source(f"{seed} alike", held=True)
    kinds = [kind for kind in mix.registry().kinds["stories"] if kind.name in ("story", "story any", "story me")]
    cases = [source.chance.choices(kinds, [k.weight for k in kinds])[0].make(source, lexicon) for _ in range(count)]
    longest = 3 * LONGEST + max(model.length(case.turns[-1].model) for case in cases)
    sampled = replace(model.sampling, seed=2)
    texts = {
        "different requests": [given[0] for given in model.answers([c.turns for c in cases], longest, [sampled])],
        f'"{STORY}"': [model.reply(STORY, longest, replace(model.sampling, seed=i)) for i in range(count)],
        "the generator's own": [case.turns[-1].model for case in cases],
    }
    found = [
        f"| {count} stories | alike > 0.5 | > 0.25 | wrong articles | unlucky names | glued words |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    notes = [""]
    for name, some in texts.items():
        likeness, whole = measures.likeness(some), "\n".join(some)
        slips = [measures.wrong_articles(whole), measures.unlucky_names(whole, lexicon), measures.glued(whole, lexicon)]
        shares = f"{measures.share(likeness, 0.5):.0%} | {measures.share(likeness, 0.25):.0%}"
        found.append(f"| {name} | {shares} | {' | '.join(str(len(one)) for one in slips)} |")
        notes += [f"{name}: {', '.join(one[:12])}" for one in slips if one]
    return found + notes


def without_end(model: Model, lexicon: Lexicon, seed: str, count: int) -> tuple[list[str], str]:
    """Measures of so many tokens of `/endless`, beside the generator's own, and the text."""
    own, source = list[int](), Source(f"{seed} endless", held=True)
    for text in endless.texts(source, lexicon):
        own += model.ids(f"{text}\n\n")
        if len(own) >= count:
            break
    written = model.endless(STORY, count, replace(model.sampling, seed=3))
    found = [
        f"| {count:,} tokens of /endless | different 4-grams: first 1,000 | last | fewest | last 1,000: 8-grams that "
        "stood before | glued words | wrong articles |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    notes = [""]
    for name, ids in (("the model's", written), ("the generator's own", own[:count])):
        text, different = model.text(ids), measures.distinct(ids)
        slips = [measures.glued(text, lexicon), measures.wrong_articles(text)]
        shown = f"{different[0]} | {different[-1]} | {min(different)} | {measures.said_before(ids):.0%}"
        found.append(f"| {name} | {shown} | {' | '.join(str(len(one)) for one in slips)} |")
        notes += [f"{name}: {', '.join(one[:12])}" for one in slips if one]
    return found + notes, model.text(written)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--corpus", type=Path, required=True, metavar="DIR")
    p.add_argument("--cases", type=int, default=100, metavar="N", help="of each row (100)")
    p.add_argument("--seed", default="0")
    p.add_argument("--table", type=Path, metavar="FILE", help="what is printed, when all of it is done")
    p.add_argument("--out", type=Path, metavar="FILE", help="all answers, a JSON object a line")
    p.add_argument("--failures", type=Path, metavar="FILE", help="the wrong ones, to be read")
    p.add_argument("--rows", nargs="*", metavar="NAME", help="only rows whose name has one of these in it")
    p.add_argument("--part", default="1/1", metavar="N/M", help="every Mth row from the Nth on: a process a core")
    p.add_argument("--stories", type=int, default=100, metavar="N", help="of which likeness is measured (100)")
    p.add_argument("--endless", type=int, default=20_000, metavar="N", help="tokens of /endless (20,000)")
    o = p.parse_args()
    model, lexicon = Model(o.model), Lexicon(o.corpus)
    first, parts = map(int, o.part.split("/"))

    def chosen(*names: str) -> bool:
        return not o.rows or any(part in name for part in o.rows for name in names)

    about = {"model": o.model, "weights": model.digest, "seed": o.seed, "cases": o.cases, "commit": commit()}
    about |= {"temperature": model.sampling.temperature, "top_p": model.sampling.top_p}
    told = ", ".join(f"{name} {value}" for name, value in about.items())
    printed: list[str] = []

    def say(*texts: str) -> None:
        printed.extend(texts)
        print(*texts, sep="\n", flush=True)

    for file in filter(None, (o.out, o.failures)):
        file.write_text("", encoding="utf-8")
    keep(o.out, about)
    reading.begin(o.failures, told)
    say(f"{told}; held-out wordings, names and words", "", HEAD)
    began = time.monotonic()
    found = [row for row in rows(model.window, model.size) if chosen(*(count.name for count in row.counts))]
    for row in found[first - 1 :: parts]:
        records = asked(model, row, lexicon, o.seed, max(1, round(o.cases * row.times)))
        say(*lines(row, records))
        keep(o.out, *records)
        reading.add(o.failures, row, records)
    if first == 1 and chosen("likeness"):
        say("", *alike(model, lexicon, o.seed, o.stories))
    if first == parts and chosen("endless"):
        measured, text = without_end(model, lexicon, o.seed, o.endless)
        say("", *measured)
        keep(o.out, {"row": "endless", "text": text})
    say("", f"{(time.monotonic() - began) / 60:.1f} minutes")
    if o.table:
        o.table.write_text("\n".join(printed) + "\n", encoding="utf-8")


def keep(file: Path | None, *records: dict[str, Any]) -> None:
    """Adds records to a file of JSON lines, at once: what was asked stays when the rest is stopped."""
    if file is not None:
        with file.open("a", encoding="utf-8") as out:
            out.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in records)


if __name__ == "__main__":
    main()
