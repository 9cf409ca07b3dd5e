"""The plain texts by others."""

import itertools
import json
import lzma
from pathlib import Path

import pytest
from griff.corpus import MissingText
from griff.lexicon import Lexicon
from griff.texts import TEXTS, documents, fit, once, plain
from griff.wording import Source


@pytest.fixture
def lexicon(tmp_path: Path) -> Lexicon:
    for text in TEXTS:
        rows = [{"kind": "text", "text": f"Number {i} of {text.name} is a calm little sentence"} for i in range(60)]
        rows += [{"kind": "text", "text": "Say damn."}, {"kind": "text", "text": "See www.example.com now."}]
        rows += [{"kind": "chat", "turns": ["Hello", "talk is not read"]}]
        if text.name == "wordnet_easy":
            rows = [
                {
                    "kind": "gloss",
                    "word": f"word{i}",
                    "pos": pos,
                    "text": "a kind of thing",
                    "examples": [],
                    "others": [],
                }
                for i in range(40)
                for pos in ("noun", "verb", "adjective")
            ]
        with lzma.open(tmp_path / f"{text.name}.jsonl.xz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    made = Lexicon(tmp_path)
    made.__dict__["coarse"] = frozenset({"damn"})
    return made


def test_old_books_are_at_most_a_quarter(lexicon: Lexicon) -> None:
    found = once(lexicon, Source(1))
    old = {text.name for text in TEXTS if text.old}
    size = sum(len(text) for _, text in found)
    assert {name for name, _ in found} >= {text.name for text in TEXTS if not text.old}
    assert 0 < sum(len(text) for name, text in found if name in old) <= size / 4


def test_nothing_coarse_no_address_no_talk(lexicon: Lexicon) -> None:
    texts = [text for _, text in once(lexicon, Source(1))]
    assert not [text for text in texts if "damn" in text or "www" in text or "talk is not read" in text]
    assert not [text for text in texts if text != text.strip() or "  " in text]


def test_the_order_depends_on_the_seed_alone(lexicon: Lexicon) -> None:
    assert once(lexicon, Source(1)) == once(lexicon, Source(1))
    assert once(lexicon, Source(1)) != once(lexicon, Source(2))


def test_the_texts_have_no_end(lexicon: Lexicon) -> None:
    count = len(once(lexicon, Source(1)))
    found = list(itertools.islice(documents(lexicon, Source(1)), 2 * count + 1))
    assert found[:count] == once(lexicon, Source(1))
    assert found[count : 2 * count] != found[:count]


def test_a_missing_file_is_named(lexicon: Lexicon, tmp_path: Path) -> None:
    (tmp_path / "bookdash.jsonl.xz").unlink()
    with pytest.raises(MissingText, match=r"bookdash\.jsonl\.xz is missing"):
        next(documents(lexicon, Source(1)))


def test_marks_become_plain() -> None:
    assert plain("\u201cWell\u2026\u201d  she said\u2014\u2018no\u2019 .") == "\"Well...\" she said - 'no'."
    assert plain("He\ncould fly,and sing") == "He could fly, and sing"
    assert fit("A good sentence.", frozenset())
    assert not fit("Ask me at a@b.org please.", frozenset())
    assert not fit("\u4f60\u597d is Chinese.", frozenset())
    assert not fit("A Damn sentence.", frozenset({"damn"}))
