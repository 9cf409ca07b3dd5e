"""`rgmlx.Model`: the network with its tokenizer, and the calls that most programs need."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlx.core as mx
import numpy as np

from .errors import RgmlxError, RgmlxWarning, TokenizerError
from .generation.engine import Generation, Progress, check_ids, generate_batch
from .generation.language_model import LanguageModel
from .generation.sampling import make_sampling, recommended
from .griffin.config import DTYPES, ModelConfig
from .griffin.state import State
from .kernels import launch
from .system import debug_log, variables
from .system.atomic import Busy, Steps, whole
from .system.process import enter
from .tokenizer import Detokenizer, Tokenizer, as_ids
from .verification import outdated, selfcheck
from .weights import checkpoint, fitting, hub

if TYPE_CHECKING:  # imported on use, as most programs hold no conversation
    from .conversation.chat import Chat
    from .reading.reader import Reader
    from .store import Store

logging.getLogger("rgmlx").addHandler(logging.NullHandler())  # nothing is said where a program sets up no logging
_log = logging.getLogger(__name__)


class Model(LanguageModel):
    """RecurrentGemma with text. `rgmlx.load` makes one.

    Attributes:
        config: the shapes, a `ModelConfig`.
        tokenizer: None for a directory without one; then only the text methods refuse.
        directory: where the weights came from, None for a model made from a config.
        sampling: default settings, from the model's `generation_config.json` if it has one.
    """

    def logits(self, token_ids: Any, state: State | None = None) -> mx.array:
        """The logits after every token.

        Args:
            token_ids: array-like of integers [B, T].
            state: advanced in place by T tokens; None starts from a fresh one. After an exception it is
                what it was.

        Returns:
            float32 [B, T, vocabulary].

        Raises:
            RgmlxError: wrong shape, or an id outside the vocabulary.
            StateError: another thread advances the state.
        """
        try:
            ids = np.array(token_ids)
        except ValueError:
            raise RgmlxError("token_ids must have rows of one length; Model.batch takes unequal prompts") from None
        if ids.ndim != 2 or ids.size == 0 or not np.issubdtype(ids.dtype, np.integer):
            raise RgmlxError(f"token_ids must be whole numbers of shape [batch, time], not {ids.dtype} {ids.shape}")
        rows = ids.tolist()
        for row in rows:
            check_ids(self, row)
        state = self.new_state(len(rows)) if state is None else state
        if state.batch_size != len(rows):
            raise RgmlxError(f"the state has {state.batch_size} rows, token_ids has {len(rows)}")
        before, ahead = state.copy(), state.copy()

        def read() -> mx.array:
            hidden = self.advance(mx.array(ids.astype(np.int32)), ahead)
            ahead.remember(rows)
            mx.eval(ahead.arrays())
            state.become(ahead)
            return self.head(hidden)

        return whole(state.busy, lambda: lambda: state.become(before), read)

    # --- text -----------------------------------------------------------------------------

    def stream(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int | None = None,
        raw: bool = False,
        state: State | None = None,
        progress: Progress | None = None,
        **sampling: Any,
    ) -> Iterator[str]:
        """Generates text piece by piece, each piece whole characters.

        Args:
            prompt: text, sent as a user's turn; or token ids, used as they are.
            max_tokens: None goes on until the model ends its turn.
            raw: complete the text instead of answering it.
            state: continue from here (advanced in place); None starts afresh. With `raw=True` and
                `max_tokens=0` a text is only read, and copies of the state can be asked about it. After
                an exception, Ctrl+C's as well, it is that of the last piece that was delivered.
            progress: told (tokens read, tokens to read) while a long prompt is being read.
            **sampling: fields of `rgmlx.Sampling`, such as temperature and seed. What is not given is as
                `self.sampling` has it.

        Raises:
            RgmlxError: no tokenizer, an empty prompt or a setting out of range; before anything runs.
            NotFiniteError: while it runs, where the weights are damaged.
            StateError: while it runs, where another thread advances the state.
        """
        tokenizer = self.text_tokenizer()
        state = self.new_state() if state is None else state
        run = Generation(
            self,
            state,
            as_ids(prompt, tokenizer, raw=raw, fresh=not state.position),
            sampling=make_sampling(sampling, self.sampling),
            max_tokens=max_tokens,
            stop_ids=self.stop_ids,
            progress=progress,
        )
        return Steps(_decode(tokenizer, run), Busy(RgmlxError, "another thread is iterating this stream"), run.undo)

    def generate(self, prompt: str | Sequence[int], *, max_tokens: int | None = None, **options: Any) -> str:
        """The whole text of `stream`, which describes the arguments."""
        return "".join(self.stream(prompt, max_tokens=max_tokens, **options))

    def batch(
        self,
        prompts: Sequence[str | Sequence[int]],
        *,
        max_tokens: int | None = None,
        raw: bool = False,
        **sampling: Any,
    ) -> list[str]:
        """Answers several prompts at once; each gets exactly what `generate` would give it alone.

        Raises:
            RgmlxError: as `stream`.
        """
        tokenizer = self.text_tokenizer()
        if isinstance(prompts, str):
            raise RgmlxError("batch takes a list of prompts: put the one prompt into a list, or use generate")
        ids = [as_ids(p, tokenizer, raw=raw) for p in prompts]
        if not ids:
            return []
        detokenizers = [Detokenizer(tokenizer) for _ in ids]
        texts: list[list[str]] = [[] for _ in ids]
        for row, token in generate_batch(
            self,
            self.new_state(len(ids)),
            ids,
            sampling=make_sampling(sampling, self.sampling),
            max_tokens=max_tokens,
            stop_ids=self.stop_ids,
        ):
            texts[row].append(detokenizers[row].add(token))
        return ["".join(t) + d.finish() for t, d in zip(texts, detokenizers, strict=True)]

    def chat(
        self,
        name: str | None = None,
        *,
        system: str | None = None,
        store: Store | str | Path | None = None,
        **sampling: Any,
    ) -> Chat:
        """A conversation with this model, in memory; with a `name` on the disk, begun or gone on with (`Chat.open`).

        Args:
            system: a text for the model in front of the first message.
            store: with a name, a store or its directory; None for that of rgchat.
            **sampling: as in `stream`, the defaults of its replies.

        Raises:
            TokenizerError: the model can't chat.  RgmlxError: a setting is out of range.
            ChatError, StoreError: the conversation of this name is open elsewhere, or can't be read.
        """
        from .conversation.chat import Chat

        if name is None:
            return Chat(self, system, **sampling)
        return Chat.open(self, name, system=system, store=store, **sampling)

    def read(
        self,
        name: str | None = None,
        *,
        directory: str | Path | None = None,
        intro: str | None = None,
        read_only: bool = False,
        notes_every: int | None = None,
        chunk: int = 2_048,
        **sampling: Any,
    ) -> Reader:
        """Reads a text without an end, in constant memory: `feed` it, `ask` about it. With a `name` it outlives the program.

        Args:
            directory: where readings are on the disk; None for rgmlx's own.
            intro: a sentence in front of a new text, such as "This is the log of a web server:".
            read_only: only asks, about what was saved last, also while another program reads on.
            notes_every: has the model write a note each time it has read so many tokens more; None for no notes.
            chunk: tokens that are read, and saved, at a time.
            **sampling: as in `stream`, the defaults of its answers.

        Raises:
            TokenizerError: the model can't chat.  RgmlxError: a number is out of range, another program reads under this
                name, or there is nothing to ask about.  StateError: what was saved is damaged, or another model's.
        """
        from .reading.reader import Reader

        return Reader(
            self,
            self.stream,
            name,
            directory=directory,
            intro=intro,
            read_only=read_only,
            notes_every=notes_every,
            chunk=chunk,
            **sampling,
        )


def _decode(tokenizer: Tokenizer, run: Generation) -> Generator[str]:
    detokenizer = Detokenizer(tokenizer)
    try:
        for token in run:
            if piece := detokenizer.add(token):
                yield piece
        if piece := detokenizer.finish():
            yield piece
    finally:
        run.close()


def load(name_or_path: str | Path = hub.DEMO, *, dtype: str | mx.Dtype | None = None) -> Model:
    """Loads a model.

    Args:
        name_or_path: `demo` (the embedded model), a directory, or a Hugging Face repository.
        dtype: compute dtype, `float32`, `bfloat16` or `float16`. None takes the checkpoint's on a
            GPU, and float32 on a CPU, where the 16-bit products are many times slower.

    Raises:
        RgmlxError: a subclass whose sentence says what is wrong and what to do; the weights are more than this
            machine's memory.

    Warns:
        RgmlxWarning: the model fits, but will be slow here (before it is loaded); this macOS is too old for
            its chip; a kernel is wrong on this machine; the debug log can't be written.
    """
    variables.check()
    if problem := debug_log.begin():
        warnings.warn(problem, RgmlxWarning, stacklevel=2)
    enter()
    begun = time.perf_counter()
    directory = hub.resolve(name_or_path)
    config = ModelConfig.from_file(directory / "config.json")
    tokenizer = Tokenizer.from_directory(directory)
    sampling, stop_ids = recommended(directory)
    if dtype is None:
        wanted = config.dtype if mx.default_device() == mx.gpu else "float32"
    else:
        wanted = str(dtype).removeprefix("mlx.core.")
    if wanted not in DTYPES:
        raise RgmlxError(f"dtype '{wanted}' is not one of {', '.join(DTYPES)}")
    if tokenizer is not None and len(tokenizer) > config.vocab_size:
        raise TokenizerError(
            f"{tokenizer.path} has {len(tokenizer):,} pieces and the model {config.vocab_size:,}: they don't belong together"
        )
    model = Model(config, tokenizer)
    weights = checkpoint.read_weights(directory)
    outdated.check()
    fitting.check(config, wanted, checkpoint.loaded_nbytes(weights, getattr(mx, wanted)))
    checkpoint.build(config, weights, model, getattr(mx, wanted))
    model._weights_fingerprint = checkpoint.fingerprint(weights)
    del weights  # so that joining frees each matrix that it replaces
    model.join_projections()
    model.sampling = sampling
    model._stop_ids |= stop_ids
    model.directory, model.name = directory, str(name_or_path)
    model.eval()
    selfcheck.ensure(config, model.compute_dtype)
    where = launch.backend() or "plain operations"
    _log.debug("%s is loaded: %s, %s, %.2f s", directory, wanted, where, time.perf_counter() - begun)
    return model
