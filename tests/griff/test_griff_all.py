"""Griff's steps as one command, and the mix of all parts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import rooms
from griff import between, mix, systems
from griff.all import TRAINING, missing, steps
from griff.cases import Case, Registry, Turn
from griff.lexicon import Lexicon
from griff.loop import DONE
from griff.mix import COPIED, Tokens
from griff.wording import Pool, Source

import rgmlx
from rgmlx.conversation import turns
from rgmlx.weights.hub import demo_directory

SCRIPTS = rooms.ROOT / "scripts"


def test_missing_texts_are_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "griff.all", "--corpus", str(tmp_path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and not (tmp_path / "out").exists()
    assert all(name in done.stderr for name in missing(tmp_path)) and "tatoeba_en.jsonl.xz" in done.stderr


def test_each_step_takes_what_one_before_it_has_made(tmp_path: Path) -> None:
    made = {
        Path(c[2] if c[1] == "-m" else c[1]).name: (path, c)
        for path, c in steps(tmp_path, tmp_path, 3, ["--steps", "1"])
    }
    commands = {name: command for name, (_, command) in made.items()}

    def option(module: str, name: str) -> str:
        return commands[module][commands[module].index(name) + 1]

    tokenizer = str(Path(option("griff.tokenizer", "--out")) / "tokenizer.model")
    assert f"tokenizer={tokenizer}" in commands["griff.train"]
    assert option("griff.checkpoint", "--tokenizer") == tokenizer
    assert commands["griff.plot"][3] == str(Path(option("griff.train", "--out")) / "log.jsonl")
    assert made["griff.train"][0] == Path(option("griff.train", "--out")) / DONE
    parts, whole = commands["griff.checkpoint"][3:5]
    assert parts == option("griff.train", "--export") and commands["pack_demo.py"][2] == whole
    # What is asked is what is packed, which has its own sampling settings.
    assert commands["griff.evaluate"][3] == commands["pack_demo.py"][3]


def test_every_command_takes_its_options(tmp_path: Path) -> None:
    for _, (_, module, *rest) in steps(tmp_path, tmp_path, 3, TRAINING.split()):
        name = rest[0] if module == "-m" else module
        done = subprocess.run(
            [sys.executable, *(["-m", name] if module == "-m" else [name]), "--help"],
            cwd=SCRIPTS,
            capture_output=True,
            text=True,
        )
        asked = {part for part in rest if part.startswith("--")}
        assert done.returncode == 0 and all(option in done.stdout for option in asked), (name, done.stderr)


def test_tokens_are_those_of_a_chat(demo: rgmlx.Model) -> None:
    """The ids that training sees are the ids that the program reads and writes."""
    said = [
        Turn("Hello 12!\nMy name is Zoltan.", "Nice to meet you, Zoltan!", ("Zoltan",)),
        Turn("Who am I?", "Zoltan."),
    ]
    ids, weights = Tokens(demo_directory() / "tokenizer.model").of_turns(said)
    tokenizer = demo.text_tokenizer()
    before, expected = None, list[int]()
    for role, text in (pair for one in said for pair in ((turns.USER, one.user), (turns.MODEL, one.model))):
        turn = turns.Turn(role, text)
        expected += turns.ids_of(tokenizer, turn, before)
        before = turn
    assert ids[: len(expected)] == expected
    assert tokenizer.decode([i for i, w in zip(ids, weights, strict=True) if w == COPIED]).strip() == "Zoltan"
    learned = tokenizer.decode([i for i, w in zip(ids, weights, strict=True) if w])
    assert learned.replace(" ", "") == "Nicetomeetyou,Zoltan!Zoltan."


def test_a_system_text_stands_where_a_chat_puts_it(demo: rgmlx.Model) -> None:
    said = [Turn(" I have a cat.", "I see.", ("see",)), Turn("And a dog", "Good.")]
    first, second = systems.before(Source(5), said)
    system, _, message = first.user.partition("\n\n")
    assert message == "I have a cat." and (first.model, first.copied, second) == ("I see.", ("see",), said[1])
    tokenizer = demo.text_tokenizer()
    ids, _ = Tokens(demo_directory() / "tokenizer.model").of_turns([first])
    expected = turns.ids_of(tokenizer, turns.Turn(turns.USER, said[0].user), None, f" {system}\n")
    assert ids[: len(expected)] == expected


def test_a_system_text_asks_only_for_what_the_answers_are() -> None:
    def texts(*answers: str, held: bool = False) -> set[str]:
        return {systems.system(Source(i, held), answers) for i in range(600)}

    brief, long, two = texts("It is red."), texts("Once upon a time. " * 30), texts("It is red. I like it.")
    one = re.compile("(one|single)( short)? sentence", re.I)
    assert any(map(one.search, brief)) and not any(map(one.search, long | two))
    assert len(brief) > 300 and not any(re.search(r"[(|){}\[\]]| {2}|\n\n", text) for text in brief | long)
    assert sum("brief" in text.lower() for text in long) < sum("brief" in text.lower() for text in brief)
    assert len(texts("Yes.", held=True) - texts("Yes.")) > 100


def test_some_conversations_of_all_groups_have_a_system_text(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mix, "draw", lambda *_, **__: Case((Turn("Hello.", "Hi."),)))
    found = [mix.conversation(Source(i), Lexicon(Path("nowhere")))[0].user for i in range(3000)]
    with_one = [user for user in found if user.endswith("\n\nHello.")]
    assert abs(len(with_one) / len(found) - systems.SHARE) < 0.02 and len(set(with_one)) > 60
    assert all(user == "Hello." for user in found if user not in with_one)


def test_a_copied_span_is_found_among_bytes(demo: rgmlx.Model) -> None:
    ids, weights = Tokens(demo_directory() / "tokenizer.model").of_turns(
        [Turn("I am Søren Łu.", "Hi, Søren Łu.", ("Søren Łu",))]
    )
    copied = [i for i, w in zip(ids, weights, strict=True) if w == COPIED]
    assert demo.text_tokenizer().decode(copied).strip() == "Søren Łu"


def test_behind_an_answer_that_goes_on_only_what_follows_is_learned() -> None:
    """`/endless`: an answer ends where it ends, and what comes when it may not end is learned all the same."""
    tokens = Tokens(demo_directory() / "tokenizer.model")
    said = [Turn("Tell me a story.", "Once there was a fox.")]
    ended, _ = tokens.of_turns(said)
    ids, weights = tokens.of_endless(said, "Then came a hare.\n\nThen a hen.")
    end = len(ended) - 3  # <end_of_turn>, a line's end and <eos>
    assert ids[:end] == ended[:end] and ids[end] == ids[ids.index(ids[end], end + 1)]
    zero = [i for i, w in enumerate(weights) if not w and i >= end]
    assert zero == [end, ids.index(ids[end], end + 1), len(ids) - 2, len(ids) - 1] and all(weights[end - 3 : end])
    assert ids[-3:] == ended[-3:] and weights[-3]  # that it could have ended is learned


def test_only_what_is_asked_for_without_an_end_is_learned_to_go_on() -> None:
    tokens = Tokens(demo_directory() / "tokenizer.model")
    (blank,) = tokens.of_text("a\n\nb")[0][2:-2]
    end = tokens.of_turns([Turn("Hi", "Hi")])[0][-3]
    ids, weights = tokens.of_wished(Turn("Tell stories and don't stop.", "A fox.\n\nA hen.\n\nAn owl."))
    assert [w for i, w in zip(ids, weights, strict=True) if i == blank] == [1, 1]
    assert not any(w for i, w in zip(ids, weights, strict=True) if i == end) and ids[-2] not in (blank, end)
    ids, weights = tokens.of_pages("A fox.\n\nA hen.\n\nAn owl.")
    assert [w for i, w in zip(ids, weights, strict=True) if i == blank] == [0, 0]
    assert ids[-1] == mix.EOS and weights[-1] == 1


def test_that_nothing_was_told_is_not_learned_where_an_earlier_conversation_may_have_told_it() -> None:
    tokens, before = Tokens(demo_directory() / "tokenizer.model"), mix.Before()
    untold = [Turn("Do you know what my horse is called?", "You have not told me your horse's name.")]
    assert any(tokens.of_turns(untold)[1]) and any(tokens.of_turns(untold, before)[1])
    before.add([Turn("My horse is Zoltan.", "What a fine name!")])
    assert any(tokens.of_turns(untold)[1]) and not any(tokens.of_turns(untold, before)[1])
    assert not any(
        tokens.of_turns([Turn("Who am I?", "You have not told me your name.")], before)[1]
    )  # no word to look for
    assert any(
        tokens.of_turns([Turn("What is a horse?", "I don't know that.")], before)[1]
    )  # of no matter who said what
    for _ in range(3):  # a row later nobody can see it
        before.add([Turn("Tell me a story.", "Once upon a time. " * 400)])
    assert any(tokens.of_turns(untold, before)[1])


def test_a_seventh_is_held_out_of_training() -> None:
    pool = Pool([f"template {i}" for i in range(7000)])
    assert 900 < len(pool.held) < 1100 and not set(pool.kept) & set(pool.held)
    trained, asked = Source(1), Source(1, held=True)
    assert {trained.of(pool) for _ in range(2000)} <= set(pool.kept)
    assert {asked.of(pool) for _ in range(2000)} <= set(pool.held)


@pytest.fixture
def registry() -> Iterator[Registry]:
    """All kinds; memory's own turns in between are back behind it."""
    before = between.fillers.kinds
    yield mix.registry()
    between.fillers.set(before)
    mix.registry.cache_clear()


def test_all_groups_have_parts(registry: Registry) -> None:
    assert set(registry.kinds) == set(mix.SHARES) and abs(sum(mix.SHARES.values()) - 1) < 0.05
    assert all(kind.weight > 0 for kinds in registry.kinds.values() for kind in kinds)


def test_the_tokenizers_words_are_known_to_spelling() -> None:
    words = Tokens(demo_directory() / "tokenizer.model").words()
    assert len(words) > 2000 and len(set(words)) == len(words)
    assert {"garden", "story"} <= set(words)
    assert all(word.isascii() and word.isalpha() and len(word) >= 3 for word in words)
