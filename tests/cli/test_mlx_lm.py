"""mlx-lm's own token loops, caches, batches and server on our network, unchanged."""

from __future__ import annotations

import contextlib
import copy
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlx.core as mx
import mlx_lm
import numpy as np
import oracle
import pytest
import warm
from mlx.utils import tree_flatten
from mlx_lm.generate import BatchGenerator, generate_step, stream_generate
from mlx_lm.models.cache import load_prompt_cache, make_prompt_cache, save_prompt_cache
from mlx_lm.sample_utils import make_logits_processors, make_sampler
from waiting import PATIENCE, wait_for

import rgmlx
import rgmlx.mlx_lm
from rgmlx.generation.engine import Generation
from rgmlx.griffin.network import RecurrentGemma
from rgmlx.settings import Sampling
from rgmlx.weights import checkpoint
from rgmlx.weights.hub import demo_directory

GREEDY = Sampling(temperature=0)
PROMPT = list(range(1, 40))


def ours(model: rgmlx.Model, prompt: list[int], count: int) -> list[int]:
    return list(Generation(model, model.new_state(), prompt, sampling=GREEDY, max_tokens=count))


def theirs(model: RecurrentGemma, prompt: list[int], count: int, **options: object) -> list[int]:
    return [t for t, _ in generate_step(mx.array(prompt), model, max_tokens=count, **options)]


@pytest.mark.parametrize("step", [3, 16, 2048])
def test_generate_step(tiny: rgmlx.Model, step: int) -> None:
    assert theirs(tiny, PROMPT, 50, prefill_step_size=step) == ours(tiny, PROMPT, 50)


@pytest.fixture
def not_compiled() -> Iterator[None]:
    """A CPU would wait for a C++ compiler."""
    mx.disable_compile()
    yield
    mx.enable_compile()


@pytest.mark.usefixtures("not_compiled")
def test_samplers_and_processors_of_mlx_lm(tiny: rgmlx.Model) -> None:
    ids = theirs(
        tiny,
        PROMPT,
        20,
        sampler=make_sampler(0.8, top_p=0.9),
        logits_processors=make_logits_processors(repetition_penalty=1.2),
    )
    assert len(ids) == 20


def test_a_call_without_a_cache_scores_a_text(tiny: rgmlx.Model) -> None:
    tokens = mx.array([PROMPT, PROMPT[::-1]])
    assert oracle.relative_error(np.array(tiny(tokens)), np.array(tiny.logits(tokens))) < 2e-6


def test_precision_does_not_depend_on_how_weights_were_stored(tiny: rgmlx.Model) -> None:
    """mlx-lm loads every tensor in bfloat16: norms, gates and recurrence are computed in float32 all the same."""
    network = RecurrentGemma(tiny.config)
    rounded = {k: v.astype(mx.bfloat16) for k, v in tree_flatten(tiny.parameters())}
    network.load_weights(list(rounded.items()))
    exact = rgmlx.Model(tiny.config)
    checkpoint.build(tiny.config, rounded, exact, mx.bfloat16)
    assert {network.compute_dtype, exact.compute_dtype} == {mx.bfloat16}
    tokens = mx.array([PROMPT])
    assert mx.array_equal(network(tokens), exact(tokens)).item()


def test_prompt_cache_goes_to_a_file_and_back(tiny: rgmlx.Model, tmp_path: Path) -> None:
    cache = make_prompt_cache(tiny)
    first = theirs(tiny, PROMPT, 10, prompt_cache=cache)
    save_prompt_cache(str(tmp_path / "c.safetensors"), cache)
    again = load_prompt_cache(str(tmp_path / "c.safetensors"))
    twin = copy.deepcopy(cache)
    following = [theirs(tiny, [5], 10, prompt_cache=c) for c in (cache, again, twin)]
    assert following[0] == following[1] == following[2]
    # The loop has read the last of the ten tokens as well.
    assert following[0] == ours(tiny, [*PROMPT, *first, 5], 10)


def test_cache_size_is_the_state(tiny: rgmlx.Model) -> None:
    cache = make_prompt_cache(tiny)
    sizes = set()
    for length in (1, 50, 1):
        tiny(mx.ones((1, length), mx.int32), cache=cache)
        sizes.add(sum(c.nbytes for c in cache))
    hidden, positions = tiny.config.hidden_size * 4, 8 * len(cache)
    assert sizes == {tiny.config.state_nbytes(4) - hidden + positions}


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"completion_batch_size": 3, "prefill_batch_size": 2, "prefill_step_size": 16},
        {"completion_batch_size": 5, "prefill_batch_size": 5, "prefill_step_size": 7},
    ],
)
def test_batches_of_unequal_prompts_give_each_row_what_it_gets_alone(tiny: rgmlx.Model, sizes: dict[str, int]) -> None:
    """mlx-lm's continuous batching: rows of any length join, finish and leave."""
    prompts = [PROMPT, [3], PROMPT[:17], [9, 9], list(range(100, 40, -1))]
    budgets = [20, 30, 5, 12, 25]
    batches = BatchGenerator(tiny, **sizes)
    uids = batches.insert(prompts, max_tokens=budgets)
    got: dict[int, list[int]] = {u: [] for u in uids}
    for _ in range(500):
        responses = batches.next_generated()
        for r in responses:
            got[r.uid].append(r.token)
        if not responses:
            break
    for uid, prompt, budget in zip(uids, prompts, budgets, strict=True):
        assert got[uid] == ours(tiny, prompt, budget)


def test_registered_it_is_what_mlx_lm_loads(demo: rgmlx.Model) -> None:
    """In a process of its own: registering is for good."""
    code = (
        "import sys, rgmlx.mlx_lm, mlx.core as mx; rgmlx.mlx_lm.register()\n"
        "import mlx_lm; from mlx_lm import stream_generate\n"
        "model, tokenizer = mlx_lm.load(sys.argv[1])\n"
        "ids = tokenizer.apply_chat_template([{'role': 'user', 'content': 'Who are you?'}], add_generation_prompt=True)\n"
        "print(type(model).__module__)\n"
        "print(''.join(r.text for r in stream_generate(model, tokenizer, ids, max_tokens=60)))\n"
    )
    out = warm.run(["-c", code, str(demo_directory())], imported=warm.MLX_LM)
    assert out.returncode == 0, out.stderr
    kind, text = out.stdout.strip().split("\n", 1)
    assert kind == "rgmlx.mlx_lm"
    assert text == demo.generate("Who are you?", temperature=0)


def test_stream_generate_takes_a_loaded_model(demo: rgmlx.Model) -> None:
    _, tokenizer = mlx_lm.load(str(demo_directory()))
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "Tell me a joke"}], add_generation_prompt=True)
    text = "".join(r.text for r in stream_generate(demo, tokenizer, ids, max_tokens=80))
    assert text == demo.generate("Tell me a joke", temperature=0)


@pytest.fixture(scope="module")
def server() -> Iterator[int]:
    """`rgmlx mlx-lm server` on the embedded model; gives the port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "rgmlx", "mlx-lm", "server", "--model", "demo", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:

        def listens() -> bool:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return True
            return False

        wait_for(listens)
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def ask(port: int, text: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    body = {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 60}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    return answer["choices"][0]["message"]["content"]


def test_server_answers_several_at_once(server: int, demo: rgmlx.Model) -> None:
    """Each as it is answered alone, in float32."""
    questions = ["Tell me a joke", "What is 3 + 4?", "Tell me a joke"]
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda q: ask(server, q), questions))
    assert answers == [demo.generate(q, temperature=0) for q in questions]
