"""Constrained results: they are of their form whatever the model would rather write, and a form that nothing fits is refused.

Most are written by a model of random weights with the embedded one's vocabulary, which is as unwilling as a model can be.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import random_schemas
from interrupt_anywhere import small_model

import rgmlx
from rgmlx.errors import ConstraintError, IncompleteError, RgmlxError
from rgmlx.generation.constrained import lark
from rgmlx.generation.constrained.matcher import Matcher
from rgmlx.generation.constrained.output import output_format
from rgmlx.generation.engine import Generation, generate_batch
from rgmlx.generation.sampling import Sampler
from rgmlx.settings import Sampling

PROMPT = "Is it red?"
DRAWN: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 1, "seed": 1},
    {"temperature": 1, "seed": 2, "top_p": 0.1, "min_p": 0.5, "top_k": 1},
    {"temperature": 5, "top_p": 1, "seed": 3, "repetition_penalty": 3.0, "presence_penalty": 2.0},
]


@pytest.fixture(scope="module")
def small() -> rgmlx.Model:
    return small_model()


def matcher(model: rgmlx.Model, **form: Any) -> Matcher:
    found = output_format(model.vocabulary, **form)
    assert found is not None
    return found.constraint.matcher()


def allowed(model: rgmlx.Model, found: Matcher) -> set[int]:
    return {int(i) for i in np.nonzero(found.allowed())[0]}


# --- the forms ------------------------------------------------------------------------------


@pytest.mark.parametrize("drawn", DRAWN, ids=str)
@pytest.mark.parametrize(
    "regex",
    [
        "",
        "yes|no",
        "a?",
        "x{0,3}",
        " Yes",
        "[0-9]{3}-[0-9]{4}",
        "^ab$",
        "(?i)abc",
        "(?P<a>b){1,4}?c{2}",
        "[^a]{3}",
        "[α-ω]{2,4}",
        "日本|🦊🦊",
        r"a/b\n\t\x{1F98A}\.",
        "line\nbreak",
        "//",
        r"\d{1,3}",
        "<eos>",
    ],
)
def test_a_text_matches_its_regex(small: rgmlx.Model, regex: str, drawn: dict[str, Any]) -> None:
    text = small.generate(PROMPT, regex=regex, max_tokens=200, **drawn)
    assert re.fullmatch(regex.replace(r"\x{1F98A}", "🦊"), text)


@pytest.mark.parametrize("drawn", DRAWN, ids=str)
@pytest.mark.parametrize(
    "choices",
    [
        ["yes", "no"],
        ("yes", "yes please", "yes please!"),
        [""],
        ["", "a"],
        {"only"},
        ["a|b", "(", "\\d", "[x]", "/", "//", "#", '"', "'", "\\"],
        ["\n", "\t x", "\0", "\x7f", "\u2028", "\x85", "🦊", "ﬁ", " ", "  "],
        ["<eos>", "<end_of_turn>", "<0x41>", "▁"],
        [f"number {i}" for i in range(2000)],
    ],
    ids=lambda c: f"{len(c)} of {next(iter(c))!r}",
)
def test_one_of_the_choices(small: rgmlx.Model, choices: Any, drawn: dict[str, Any]) -> None:
    assert small.generate(PROMPT, choices=choices, max_tokens=60, **drawn) in choices


@pytest.mark.parametrize("drawn", DRAWN, ids=str)
@pytest.mark.parametrize(
    ("grammar", "regex"),
    [
        ('start: "a" | "b"', "[ab]"),
        ('start: sum\nsum: sum "+" N | N\nN: /[0-9]{1,2}/\n', r"\d{1,2}(\+\d{1,2})*"),
        ('start: item ("," item){2}\nitem: /[a-z]{1,3}/', "[a-z]{1,3}(,[a-z]{1,3}){2}"),
        ('start: A B?\nA: "x"~2\nB: /y+/ & /y{1,4}/', "xxy{0,4}"),
        ('%ignore / /\nstart: "(" start ")" | "x"', r"[( ]*x[) ]*"),
        ('start: "n: " %json {"type": "integer", "minimum": 3, "maximum": 5}', "n: [345]"),
    ],
)
def test_a_text_of_a_grammar(small: rgmlx.Model, grammar: str, regex: str, drawn: dict[str, Any]) -> None:
    try:
        assert re.fullmatch(regex, small.generate(PROMPT, grammar=grammar, max_tokens=60, **drawn))
    except IncompleteError as e:  # a model of random weights need not close what it opens, nor end a sum
        assert re.match(r"[0-9+( ]{20}", e.text)


# --- the mask ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0},
        {"top_k": 1},
        {"top_k": 2, "temperature": 1e9},
        {"top_p": 0.001},
        {"top_p": 0.5, "min_p": 1.0},
        {"min_p": 0.9, "temperature": 2},
        {"repetition_penalty": 100.0, "frequency_penalty": 100.0, "penalty_window": 4},
        {"temperature": 0, "repetition_penalty": 1e-9, "presence_penalty": -100.0},
    ],
    ids=str,
)
def test_filters_and_penalties_see_what_is_allowed_only(settings: dict[str, Any]) -> None:
    """The likeliest ids are not allowed: a filter that came first would leave nothing."""
    logits = mx.array([[30.0, 29.0, -5.0, 28.0, -6.0, 27.0]] * 2)
    mask = mx.array([[False, False, True, False, True, False], [False] * 4 + [True, False]])
    for seed in range(8):
        sampler = Sampler(Sampling(**{"temperature": 1.0, "seed": seed, **settings}), [[2, 2, 4], [4, 4]])
        one, other = sampler(logits, [seed, seed], mask).tolist()
        assert one in (2, 4)
        assert other == 4


@pytest.mark.parametrize(
    ("form", "text", "whole"),
    [
        ({"regex": "a|ab|abcd"}, "abcd", [1, 2, 4]),
        ({"regex": "a{0,2}"}, "aa", [0, 1, 2]),
        ({"choices": ["", "no"]}, "no", [0, 2]),
        ({"choices": ["🦊", "🦊🦊"]}, "🦊🦊", [4, 8]),
        ({"schema": {"type": "string", "maxLength": 2}}, '"a"', [3]),
        ({"schema": {"type": "integer"}}, "-12", [2, 3]),
        ({"grammar": 'start: "a" ("b" "c")*'}, "abcbc", [1, 3, 5]),
    ],
)
def test_a_run_may_end_where_the_text_is_whole_and_nowhere_else(
    small: rgmlx.Model, form: dict[str, Any], text: str, whole: list[int]
) -> None:
    """A byte at a time, so half a character as well. Control tokens are never allowed, and padding stands for nothing."""
    tokenizer = small.text_tokenizer()
    byte_pieces = {
        tokenizer.token_bytes(i): i for i in reversed(range(len(tokenizer))) if len(tokenizer.token_bytes(i)) == 1
    }
    found = matcher(small, **form)
    for done in range(len(text.encode()) + 1):
        now = allowed(small, found)
        assert found.done == (done in whole)
        assert now & small.stop_ids == (small.stop_ids if done in whole else set())
        assert not now & (tokenizer.special - small.stop_ids)
        assert all(tokenizer.token_bytes(i) for i in now - small.stop_ids)
        if done < len(text.encode()):
            found.accept(byte_pieces[text.encode()[done : done + 1]])


def test_padding_behind_the_vocabulary_is_never_allowed(small: rgmlx.Model) -> None:
    from rgmlx.generation.constrained.vocabulary import Vocabulary

    tokenizer = small.text_tokenizer()
    for size in (len(tokenizer), len(tokenizer) + 1, len(tokenizer) + 77):
        wide = Vocabulary(tokenizer, size, {tokenizer.eos, size + 5})
        mask = wide.compile("start: /(?s:.)*/", "it").matcher().allowed()
        assert mask.shape == (size,)
        assert not mask[len(tokenizer) :].any()
        assert mask[tokenizer.eos]
        assert not mask[tokenizer.end_of_turn]  # of another model's ids that end a reply


def test_a_text_that_ends_a_run_is_that_only_where_it_may_end(small: rgmlx.Model) -> None:
    """Of a model whose configuration has a piece of text among its stop ids: drawn, it is never delivered."""
    from rgmlx.generation.constrained.vocabulary import Vocabulary

    tokenizer = small.text_tokenizer()
    [stop], [byte] = tokenizer.encode("a"), [i for i in range(300) if tokenizer.token_bytes(i) == b"a"]
    assert stop != byte
    found = Vocabulary(tokenizer, len(tokenizer), {stop}).compile("start: /a{2,4}/", "it").matcher()
    seen = []
    for _ in range(5):
        seen.append(bool(found.allowed()[stop]))
        if found.allowed()[byte]:
            found.accept(byte)
    assert seen == [False, False, True, True, True]


def test_a_piece_with_a_space_begins_a_reply_only_where_there_is_one(small: rgmlx.Model) -> None:
    """SentencePiece's own decoder drops the space of a first piece: neither our text nor the mask does."""
    tokenizer = small.text_tokenizer()
    [spaced], plain = tokenizer.encode(" yes"), tokenizer.encode("yes")
    assert tokenizer.token_bytes(spaced) == b" yes"
    assert spaced not in allowed(small, matcher(small, choices=["yes"]))
    assert allowed(small, matcher(small, choices=["yes"])) >= {plain[0]}
    assert spaced in allowed(small, matcher(small, choices=[" yes"]))
    assert small.generate(PROMPT, choices=[" yes"]) == " yes"
    assert small.generate([tokenizer.bos], choices=["  yes "]) == "  yes "


def test_a_grammar_names_no_control_token(small: rgmlx.Model) -> None:
    tokenizer = small.text_tokenizer()
    everything = allowed(small, matcher(small, grammar="start: <[*]>"))
    assert not everything & tokenizer.special
    assert len(everything) > 8000


# --- state, batches, interrupts --------------------------------------------------------------


def test_the_ids_are_those_of_a_loop_without_a_pipeline(small: rgmlx.Model) -> None:
    """The whole text again for every token, the mask of a fresh matcher: the same ids as the engine's."""
    found = matcher(small, regex="[a-z ]{12,14}")
    prompt, ids = [2, 7, 9], list[int]()
    while True:
        fresh = matcher(small, regex="[a-z ]{12,14}")
        for token in ids:
            fresh.accept(token)
        logits = np.array(small.logits([prompt + ids]))[0, -1]
        best = int(np.where(fresh.allowed(), logits, -np.inf).argmax())
        if best in small.stop_ids:
            break
        ids.append(best)
    state = small.new_state()
    run = Generation(small, state, prompt, sampling=Sampling(0), stop_ids=small.stop_ids, matcher=found)
    assert list(run) == ids
    assert run.finish_reason == "stop"
    assert found.ids == tuple(ids)
    assert list(state.recent[0]) == [*prompt, *ids, best]


def test_rows_get_what_they_get_alone(small: rgmlx.Model) -> None:
    """Rows with other constraints, and one without; they leave the batch one after another."""
    forms: list[dict[str, Any]] = [
        {"regex": "[a-f]{5}"},
        {},
        {"choices": ["yes", "no"]},
        {"schema": {"type": "boolean"}},
    ]
    prompts = [[2, 5], [2, 6, 7, 8], [2], [2, 9, 9]]
    sampling = Sampling(1.0, seed=7, repetition_penalty=1.3)
    alone, matched = [], []
    for form, prompt in zip(forms, prompts, strict=True):
        one = matcher(small, **form) if form else None
        run = Generation(
            small, small.new_state(), prompt, sampling=sampling, max_tokens=12, stop_ids=small.stop_ids, matcher=one
        )
        alone.append(list(run))
        matched.append(one and one.ids)
    rows = [matcher(small, **form) if form else None for form in forms]
    together: list[list[int]] = [[] for _ in prompts]
    for row, token in generate_batch(
        small, small.new_state(4), prompts, sampling=sampling, max_tokens=12, stop_ids=small.stop_ids, matchers=rows
    ):
        together[row].append(token)
    assert together == alone
    assert [one and one.ids for one in rows] == matched


@pytest.mark.parametrize("drawn", DRAWN, ids=str)
def test_a_batch_gets_what_generate_gives(small: rgmlx.Model, drawn: dict[str, Any]) -> None:
    schema = {"type": "array", "items": {"enum": ["a", "bb", 3]}, "minItems": 1, "maxItems": 4}
    prompts = ["Hi", "Tell me something about the sea, please.", "?"]
    together = small.batch(prompts, schema=schema, **drawn)
    assert together == [small.generate(prompt, schema=schema, **drawn) for prompt in prompts]
    assert all(isinstance(one, list) for one in together)
    assert small.batch([], schema=schema) == []


def test_the_state_is_that_of_the_text(small: rgmlx.Model) -> None:
    """After a constrained result, a reply goes on as if the text had been read."""
    state = small.new_state()
    small.generate("Hi", regex="[a-z]{3,9}", state=state, seed=1)
    ids, follow = list(state.recent[0]), state.copy()
    assert ids[-1] in small.stop_ids
    assert small.generate([5], state=follow, temperature=0, max_tokens=5) == small.generate(
        [*ids, 5], temperature=0, max_tokens=5
    )


@pytest.mark.parametrize("cut", range(1, 6))
def test_a_matcher_and_a_state_go_on_where_a_run_was_left(small: rgmlx.Model, cut: int) -> None:
    sampling, prompt = Sampling(1.0, seed=3), [2, 5, 5]

    def run(state: rgmlx.State, found: Matcher, ids: list[int], **options: Any) -> Iterator[int]:
        return iter(Generation(small, state, ids, sampling=sampling, stop_ids=small.stop_ids, matcher=found, **options))

    whole = list(run(small.new_state(), matcher(small, regex="([a-z] ){10,12}"), prompt))
    assert len(whole) >= 10
    state, found = small.new_state(), matcher(small, regex="([a-z] ){10,12}")
    begun = list(itertools.islice(run(state, found, prompt), cut))
    assert found.ids == tuple(begun) == tuple(whole[:cut])
    assert begun + list(run(state, found, [])) == whole


def test_after_an_error_the_matcher_is_where_the_state_is(small: rgmlx.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is raised, and wherever: a token that was accepted but not delivered is taken back (see test_interrupts)."""
    state, found = small.new_state(), matcher(small, regex="([a-z] ){10,12}")
    run = iter(Generation(small, state, [2, 5], sampling=Sampling(0), stop_ids=small.stop_ids, matcher=found))
    ids = [next(run), next(run)]
    masks = Matcher.allowed

    def broken(self: Matcher) -> Any:
        if len(self.ids) == 3:
            raise KeyboardInterrupt
        return masks(self)

    monkeypatch.setattr(Matcher, "allowed", broken)
    with pytest.raises(KeyboardInterrupt):
        next(run)
    monkeypatch.undo()
    assert found.ids == tuple(ids)
    assert list(state.recent[0]) == [2, 5, *ids]
    fresh = matcher(small, regex="([a-z] ){10,12}")
    for token in ids:
        fresh.accept(token)
    assert (found.allowed() == fresh.allowed()).all()
    assert list(run) == []


def test_a_constrained_run_ends_where_its_constraint_does(small: rgmlx.Model) -> None:
    with pytest.raises(RgmlxError, match="leave min_tokens out"):
        Generation(small, small.new_state(), [2], min_tokens=3, matcher=matcher(small, regex="a"))


# --- cut results -----------------------------------------------------------------------------


def test_a_result_that_is_cut_is_an_error_of_its_own(small: rgmlx.Model) -> None:
    state = small.new_state()
    with pytest.raises(IncompleteError, match="cut by max_tokens before it was whole: give more tokens") as error:
        small.generate(PROMPT, regex="[a-z ]{100}", max_tokens=3, state=state, seed=1)
    assert re.fullmatch("[a-z ]+", error.value.text)
    assert small.text_tokenizer().decode(list(state.recent[0])[-3:]) == error.value.text
    pieces = list[str]()
    with pytest.raises(IncompleteError):
        for piece in small.stream(PROMPT, schema={"type": "string", "minLength": 50}, max_tokens=4, seed=1):
            pieces.append(piece)
    assert "".join(pieces).startswith('"')


def test_a_result_that_is_whole_when_it_is_cut_is_one(small: rgmlx.Model) -> None:
    assert small.generate(PROMPT, regex="a{1,9}|[b-z]{2,20}", max_tokens=1, seed=1)
    assert small.generate(PROMPT, choices=["", "yes"], max_tokens=0) == ""
    with pytest.raises(IncompleteError):
        small.generate(PROMPT, choices=["yes"], max_tokens=0)


def test_of_a_batch_the_whole_results_are_kept(small: rgmlx.Model) -> None:
    prompts = ["Hi", "Who are you?", "Tell me a story", "?"]
    schema = {"anyOf": [{"type": "boolean"}, {"type": "string", "minLength": 40, "maxLength": 60}]}
    mixed = list[IncompleteError]()
    for seed in range(30):
        try:
            small.batch(prompts, schema=schema, max_tokens=5, seed=seed, temperature=1.5)
        except IncompleteError as e:
            mixed += [e] if any(one is not None for one in e.results) else []
        if mixed:
            break
    [error] = mixed
    assert len(error.results) == 4
    assert all(one is None or isinstance(one, bool) for one in error.results)
    assert error.text.startswith('"')
    assert f"{error.results.count(None)} of 4 results were cut" in str(error)


# --- what is refused -------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"choices": []}, "choices is empty"),
    ({"choices": "yes"}, "choices must be a list of texts"),
    ({"choices": {"yes": 1}}, "choices must be a list of texts"),
    ({"choices": 3}, "choices must be a list of texts"),
    ({"choices": ["a", 3]}, "choices must be texts, and 3 is none"),
    ({"choices": ["\ud83e"]}, "half a character"),
    ({"regex": r"[^\s\S]"}, "the regex contradicts itself"),
    ({"regex": r"a[^\s\S]b"}, "the regex contradicts itself"),
    ({"regex": "a["}, "the regex can't be used: unclosed character class"),
    ({"regex": "(?=a)b"}, "look-around"),
    ({"regex": r"\bword\b"}, "lookarounds not supported"),
    ({"regex": r"(a)\1"}, "backreferences are not supported"),
    ({"regex": "*"}, "repetition operator missing expression"),
    ({"regex": ")("}, "unopened group"),
    ({"regex": re.compile("a")}, "regex must be a text"),
    ({"regex": "\ud83e"}, "half a character"),
    ({"schema": False}, "schema is false"),
    ({"schema": 3}, "a schema is a dictionary"),
    ({"schema": "string"}, "a schema is a dictionary"),
    ({"schema": {"type": "integer", "minimum": 5, "maximum": 3}}, "minimum (5) is greater than maximum (3)"),
    ({"schema": {"type": "integer", "minimum": 1, "maximum": 6, "multipleOf": 7}}, "does not contain a multiple"),
    ({"schema": {"type": "string", "minLength": 3, "maxLength": 2}}, "minLength (3) is greater than maxLength (2)"),
    ({"schema": {"type": "string", "pattern": r"^[^\s\S]$"}}, "Regex is empty"),
    ({"schema": {"enum": []}}, "anyOf is empty"),
    ({"schema": {"allOf": [{"type": "string"}, {"type": "integer"}]}}, "incompatible types"),
    ({"schema": {"type": "array", "items": False, "minItems": 1}}, "required item is unsatisfiable"),
    (
        {"schema": {"type": "object", "properties": {"a": False}, "required": ["a"]}},
        "required property 'a' is unsatisfiable",
    ),
    ({"schema": {"not": {}}}, "Unimplemented keys"),
    ({"schema": {"type": "strin"}}, "Invalid type: strin"),
    ({"schema": {"$ref": "#/$defs/nobody"}}, "does not exist"),
    ({"schema": {"type": "string", "format": "colour"}}, "Unknown format"),
    ({"schema": {"const": float("nan")}}, "the schema is no JSON itself"),
    ({"schema": {"const": {1, 2}}}, "the schema is no JSON itself"),
    ({"schema": {"const": 2**53 + 1}}, "beyond 2**53"),
    ({"schema": {"type": "integer", "maximum": 10**30}}, "beyond 2**53"),
    ({"schema": {"const": [10**400]}}, "a number of 401 digits"),
    ({"schema": {"type": "integer", "minimum": "3"}}, "the schema"),
    ({"schema": {"$ref": 3}}, "the schema"),
    ({"schema": {"type": "object", "properties": []}}, "the schema"),
    ({"schema": {"type": "array", "items": [3]}}, "the schema"),
    ({"schema": {"type": "object", "required": [3], "properties": {"a": {}}}}, "the schema can't be used"),
    ({"schema": {"type": "object", "required": [[]], "properties": {"a": {}}}}, "the schema can't be used"),
    ({"schema": {"type": {}}}, "the schema"),
    ({"schema": {"x-guidance": 3}}, "the schema"),
    ({"schema": {"anyOf": {}}}, "the schema"),
    (
        {
            "schema": {
                "$ref": "#/$defs/a",
                "$defs": {
                    "a": {"type": "object", "properties": {"x": {"$ref": "#/$defs/b"}}, "required": ["x"]},
                    "b": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1},
                },
            }
        },
        "has no end",
    ),
    ({"schema": {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}}, "has no end"),
    ({"schema": complex}, "for which there is no JSON"),
    ({"schema": dict[int, str]}, "JSON has texts as keys only"),
    ({"grammar": ""}, "no start rule found"),
    ({"grammar": "start: word"}, 'unknown name: "word" (line 1)'),
    ({"grammar": 'start: "a" <end_of_turn>'}, "a token that the model does not have"),
    ({"grammar": "start: <[5]>"}, "the grammar contradicts itself"),
    ({"grammar": 'start: first\nfirst: second "x"\nsecond: first "y"'}, "the grammar has no end"),
    ({"grammar": 'start: "a" start'}, "the grammar has no end"),
    ({"grammar": "start: A\nA: /a+/ & /b+/"}, "the grammar contradicts itself"),
    ({"grammar": b"start: x"}, "grammar must be a text"),
    ({"regex": "a", "choices": ["a"]}, "give one of choices and regex"),
]


@pytest.mark.parametrize(("form", "sentence"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_contradiction_is_an_error_at_once(small: rgmlx.Model, form: dict[str, Any], sentence: str) -> None:
    """In one sentence, before anything is read: also by `stream`, which otherwise begins with its first piece."""
    state, seen = small.new_state(), list[object]()
    options = {**form, "state": state, "progress": lambda *_: seen.append(_)}
    calls = [
        lambda: small.generate(PROMPT, **options),
        lambda: small.stream(PROMPT, **options),
        lambda: small.batch([PROMPT], **form),
        lambda: small.chat().send(PROMPT, **form),
    ]
    for call in calls:
        with pytest.raises(ConstraintError, match=re.escape(sentence)) as error:
            call()
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 300
    assert state.position == 0
    assert not seen


def misspelt(text: str, rng: random.Random) -> str:
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(text))
        text = text[:at] + rng.choice(["", *'()[]{}|*+?~"/\\:%<>&\n ,.09aA🦊\0#^$-']) + text[at + rng.randint(0, 1) :]
    return text


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("grammar", '?start: a{2,3} b?\na: "x" | (b "y")+\nb: %json {"type": "integer"}\n%ignore / +/'),
        ("grammar", "start: A & B\nA: /a+/\nB: ~/b/"),
        ("regex", r"(a|b)*c\d+(\.[^\s0-3]{2,5}+)?$"),
        (
            "schema",
            '{"type": "object", "properties": {"a": {"type": ["null", "number"], "maximum": 5}}, "required": ["a"]}',
        ),
    ],
)
def test_whatever_is_given_is_a_form_or_a_sentence(small: rgmlx.Model, name: str, good: str) -> None:
    rng = random.Random(good)
    kinds = set[str]()
    for _ in range(60):
        given: Any = misspelt(good, rng)
        try:
            given = json.loads(given) if name == "schema" else given
            found = matcher(small, **{name: given})
        except ConstraintError as e:
            assert "\n" not in str(e)
            assert len(str(e)) < 400
            kinds.add("refused")
        except json.JSONDecodeError:
            continue
        else:
            kinds.add("taken")
            assert found.allowed().any()
    assert kinds == {"refused", "taken"}


@pytest.mark.parametrize(
    ("grammar", "end"),
    [
        ('start: "a" start | "b"', True),
        ('start: a\na: "x" b\nb: "y" a', False),
        ('start: a\na: "x" b\nb: "y" a?', True),
        ('start: (a | "q")\na: a "x"', True),
        ('start: [a]\na: "x" a', True),
        ('start: a+\na: "x" a', False),
        ('start: a*\na: "x" a', True),
        ('start: a{0,3}\na: "x" a', True),
        ('start: a{2}\na: "x" a', False),
        ('start: a{,2}\na: "x" a', True),
        ('start: a ~ 0..3\na: a "z"', True),
        ('start: a~1..3\na: a "z"', False),
        (
            '?start: sum\n?sum: product\n | sum "+" product // c: d\n# e\nproduct: NUM\n | product "*" NUM\n'
            "NUM: /[0-9]+/\n%ignore / /\n",
            True,
        ),
        ('start: %json {"a": "}"} start', False),
        ('%llguidance {"x": {}}\nstart: "(" start ")"', False),
        ('start: "x"i start', False),
        (r"start: /a\/b/ start | /x/", True),
        ('start: START\nSTART: "a" | "b"', True),
        ("foo: foo", True),
        # what llguidance has to say something of, or nobody understands
        ("", True),
        ("start", True),
        ('start: "a', True),
        ("start[lazy]: start", True),
        ("start: foo::3", True),
        ("start: (start", True),
        ("start: )", True),
    ],
)
def test_whether_a_grammar_has_an_end(grammar: str, end: bool) -> None:
    assert lark.ends(grammar) == end


def test_a_grammar_that_leads_nowhere_ends_with_a_sentence(small: rgmlx.Model) -> None:
    """Which can't be seen before: what was delivered by then stays, and the state is that of it."""
    state, pieces = small.new_state(), list[str]()
    with pytest.raises(ConstraintError, match="leads nowhere: after 1 tokens nothing may follow"):
        for piece in small.stream(PROMPT, grammar='start: "x" A\nA: /a+/ & /b+/', state=state):
            pieces.append(piece)
    assert pieces == []
    assert state.position == 0


def test_a_model_without_a_tokenizer_says_so(tiny: rgmlx.Model) -> None:
    with pytest.raises(RgmlxError, match="has no tokenizer"):
        tiny.generate([3], choices=["a"])


# --- random schemas --------------------------------------------------------------------------


def test_results_of_random_schemas_parse(demo: rgmlx.Model) -> None:
    """As `scripts/random_schemas.py` does with more."""
    found = [random_schemas.outcome(demo, number, seed=1) for number in range(8)]
    assert [one for one in found if one[0] != "good"] == []


def test_random_texts_of_random_schemas_parse(small: rgmlx.Model) -> None:
    """Without a model: any token that is allowed, until the text is whole."""
    for number in range(100):
        rng = random.Random(f"walk {number}")
        schema = random_schemas.random_schema(rng)
        form = output_format(small.vocabulary, schema=schema)
        assert form is not None
        found = form.constraint.matcher()
        while (more := sorted(allowed(small, found) - small.stop_ids)) and not (found.done and rng.random() < 0.2):
            found.accept(rng.choice(more))
        assert found.done
        value = form.result(small.text_tokenizer().decode(found.ids))
        assert list(random_schemas.violations(schema, value)) == [], (number, schema, value)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer", "minimum": 3}, 2),
        ({"type": "string", "pattern": "^a$"}, "b"),
        ({"enum": [1, "1"]}, True),
        ({"type": "array", "prefixItems": [{"const": 1}], "items": False}, [1, 2]),
        ({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}, {}),
        ({"type": "object", "patternProperties": {"^a$": {"const": 1}}, "additionalProperties": False}, {"a": 2}),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}}}, 0),
    ],
)
def test_the_check_of_schemas_sees_what_is_wrong(schema: Any, value: Any) -> None:
    assert list(random_schemas.violations(schema, value))


# --- what it costs who does not use it ---------------------------------------------------------


def test_a_run_without_a_constraint_does_not_import_llguidance() -> None:
    code = (
        "import rgmlx, sys; m = rgmlx.load(); m.generate('Hi', max_tokens=2); m.chat().send('Hi'); "
        "m.batch(['Hi'], max_tokens=2); print('llguidance' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
