"""`Model.score`: log-probabilities beside a float64 softmax of the logits, in any chunks, over any state; and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from interrupt_anywhere import same_state, small_model

import rgmlx
from rgmlx.errors import NotFiniteError, RgmlxError, TokenizerError
from rgmlx.generation import scoring
from rgmlx.generation.engine import prefill
from rgmlx.generation.scoring import log_probs
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.tokenizer import turn_ids

TEXT = "Tell me a story about a fox 🦊 and a bear."
FEW_UNITS = 4e-6
"""Of float32 at 16 to 32, which is what logits and the sum of their exponentials are at most."""
ROUNDED = 1e-4
"""Where logits are up to 30 and a product of another number of rows sums them in another order (2e-6 of the largest)."""


@pytest.fixture(scope="module")
def small() -> rgmlx.Model:
    return small_model()


def in_float64(model: rgmlx.Model, ids: list[int]) -> np.ndarray:
    """Log-probabilities of all ids but the first, by a softmax in float64."""
    logits = np.array(model.logits([ids]))[0, :-1].astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    found = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return found[np.arange(len(ids) - 1), ids[1:]]


def test_a_text_of_the_embedded_model(demo: rgmlx.Model) -> None:
    tokenizer = demo.text_tokenizer()
    found = demo.score(TEXT)
    want = in_float64(demo, [tokenizer.bos, *tokenizer.encode(TEXT)])
    assert found.log_probs.dtype == np.float32 and found.log_probs.shape == (len(found),)
    assert np.abs(found.log_probs - want).max() < ROUNDED
    assert found.total == pytest.approx(want.sum(), rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(-want.mean()), rel=1e-4)
    assert list(found.tokens) == tokenizer.encode(TEXT)
    assert "".join(found.pieces) == TEXT and len(found.pieces) == len(found) and "🦊" in found.pieces
    with pytest.raises(ValueError, match="read-only"):
        found.log_probs[0] = 0


def test_a_reply_is_likely_where_it_was_asked_for(demo: rgmlx.Model) -> None:
    """Greedy decoding takes the likeliest token, so that no other text of one token is likelier."""
    reply = demo.generate("Who are you?", temperature=0, max_tokens=6)
    found = demo.score(reply, prompt="Who are you?")
    tokenizer = demo.text_tokenizer()
    before = [tokenizer.bos, *turn_ids(tokenizer, "Who are you?")]
    logits = np.array(demo.logits([[*before, *found.tokens]]))[0, len(before) - 1 : -1]
    assert logits.argmax(axis=-1).tolist() == list(found.tokens)
    assert np.abs(found.log_probs - in_float64(demo, [*before, *found.tokens])[len(before) - 1 :]).max() < ROUNDED
    assert found.total > demo.score(reply).total
    assert found.total > demo.score(reply, prompt="Tell me a joke").total


PROMPTS: dict[str, Callable[[rgmlx.Model], dict[str, Any]]] = {
    "a turn": lambda m: {"prompt": "Who?"},
    "a text": lambda m: {"prompt": "Once upon", "raw": True},
    "ids": lambda m: {"prompt": [2, 5, 9]},
    "none": lambda m: {},
}


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("fresh", [True, False], ids=["fresh", "after a state"])
def test_a_prompt_is_what_generate_makes_of_it(prompt: str, fresh: bool, small: rgmlx.Model) -> None:
    options, tokenizer, state = PROMPTS[prompt](small), small.text_tokenizer(), small.new_state()
    read: list[int] = []
    if not fresh:
        read = [2, 11, 12]
        prefill(small, state, [read])
    start = [tokenizer.bos] if fresh else []
    before = {
        "a turn": [*start, *turn_ids(tokenizer, "Who?")],
        "a text": [*start, *tokenizer.encode("Once upon")],
        "ids": [2, 5, 9],
        "none": start,
    }[prompt]
    found = small.score(" a time", state=state, **options)
    ids = [*read, *before, *tokenizer.encode(" a time")]
    assert np.abs(found.log_probs - in_float64(small, ids)[-len(found) :]).max() < FEW_UNITS
    same_state(small, state, ids)


@pytest.mark.parametrize("chunk", [1, 2, 5, 7, 512])
@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_any_chunk_and_any_number_of_logits_at_once(
    chunk: int, rows: int, small: rgmlx.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    head = RecurrentGemma.head
    monkeypatch.setattr(RecurrentGemma, "head", lambda s, h, *a: asked.append(h.shape[0]) or head(s, h, *a))
    monkeypatch.setattr(scoring, "_LOGITS", rows * small.config.vocab_size)
    prompt, ids = [2, 9, 8, 7], list(range(20, 37))
    told: list[tuple[int, int]] = []
    state = small.new_state()
    found = log_probs(small, state, ids, prompt=prompt, chunk=chunk, progress=lambda *t: told.append(t))
    assert max(asked) <= min(rows, chunk) and sum(asked) == len(ids)  # of the prompt there are no logits
    assert told[-1] == (21, 21) and [done for done, _ in told] == sorted(
        {min(n, 21) for n in range(chunk, 21 + chunk, chunk)}
    )
    monkeypatch.undo()
    assert np.abs(found - in_float64(small, [*prompt, *ids])[3:]).max() < FEW_UNITS
    same_state(small, state, [*prompt, *ids])


def test_two_halves_are_one_text(demo: rgmlx.Model) -> None:
    tokenizer, state = demo.text_tokenizer(), demo.new_state()
    ids = tokenizer.encode(TEXT)
    halves = [demo.score([tokenizer.bos, *ids[:5]], state=state), demo.score(ids[5:], state=state)]
    whole = demo.score(TEXT)
    assert halves[0].tokens + halves[1].tokens == whole.tokens
    assert np.abs(np.concatenate([h.log_probs for h in halves]) - whole.log_probs).max() < ROUNDED
    assert state.position == 1 + len(ids)


def test_a_copy_of_a_state_is_asked_many_times(small: rgmlx.Model) -> None:
    state = small.new_state()
    prefill(small, state, [[2, 5, 6]])
    first, again = (small.score([7, 8], state=state.copy()) for _ in range(2))
    assert first.tokens == (7, 8) and (first.log_probs == again.log_probs).all() and state.position == 3


def test_of_ids_that_nothing_comes_before_the_first_is_only_read(small: rgmlx.Model) -> None:
    found = small.score([2, 5, 9])
    assert found.tokens == (5, 9)
    assert np.abs(found.log_probs - in_float64(small, [2, 5, 9])).max() < FEW_UNITS


WRONG: dict[str, tuple[Callable[[rgmlx.Model], object], str]] = {
    "no text": (lambda m: m.score(""), "nothing to score"),
    "no ids": (lambda m: m.score([]), "nothing to score"),
    "one id and nothing before it": (lambda m: m.score([5]), "nothing to score"),
    "an id outside": (lambda m: m.score([2, 10**6]), "token id 1000000 is outside"),
    "an id of the prompt outside": (lambda m: m.score("a", prompt=[-1]), "token id -1 is outside"),
    "neither text nor ids": (lambda m: m.score([None]), "a prompt is a text or a list"),  # type: ignore[list-item]
    "a state of rows": (lambda m: m.score("a", state=m.new_state(2)), "a state of one row"),
    "ids alone, below": (lambda m: log_probs(m, m.new_state(), [5]), "nothing before it"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_it_refuses(name: str, small: rgmlx.Model) -> None:
    call, sentence = WRONG[name]
    with pytest.raises(RgmlxError, match=sentence):
        call(small)


def test_a_model_without_a_tokenizer_is_told(tiny: rgmlx.Model) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.model"):
        tiny.score([1, 2])


def test_after_an_exception_the_state_is_what_it_was() -> None:
    """An error of a progress callback in the middle, and weights that give numbers that are not finite."""
    model, read = small_model(), [2, 5]
    state = model.new_state()
    prefill(model, state, [read])

    def fail(done: int, total: int) -> None:
        raise OSError("no")

    with pytest.raises(OSError, match="no"):
        log_probs(model, state, [6, 7, 8], chunk=2, progress=fail)
    same_state(model, state, read)
    embedding = model.model.embed_tokens.weight
    model.model.embed_tokens.weight = mx.where(mx.arange(len(embedding))[:, None] == 100, mx.nan, embedding)
    with pytest.raises(NotFiniteError):
        model.score([6, 7, 8], state=state)
    assert state.position == 2 and list(state.recent[0]) == read
