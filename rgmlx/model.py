"""`rgmlx.Model`: the network with its tokenizer, and the calls that most programs need."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, overload

import mlx.core as mx
import numpy as np

from .errors import ChatError, IncompleteError, RgmlxError, RgmlxWarning, TokenizerError
from .generation.constrained.output import OutputFormat, output_format
from .generation.engine import Generation, Progress, check_ids, check_prompts, generate_batch
from .generation.language_model import LanguageModel
from .generation.sampling import make_sampling, recommended
from .generation.scoring import Score, log_probs
from .griffin.config import DTYPES, ModelConfig
from .griffin.state import State
from .kernels import launch
from .settings import DRAFTS, OFF, Sampling
from .system import debug_log, variables
from .system.atomic import Busy, Steps, whole
from .system.awaited import awaited, stepped
from .system.process import enter
from .tokenizer import Detokenizer, Tokenizer, as_ids
from .verification import outdated, selfcheck
from .weights import checkpoint, fitting, hub

if TYPE_CHECKING:  # imported on use, as most programs hold no conversation
    from .conversation.chat import Chat
    from .generation.constrained.matcher import Matcher
    from .reading.reader import Reader
    from .store import Store

T = TypeVar("T")

logging.getLogger("rgmlx").addHandler(logging.NullHandler())  # nothing is said where a program sets up no logging
_log = logging.getLogger(__name__)
_ROWS = 64  # of a batch at once: more gain nothing, and each has a state and its copies


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
            StateError: another thread advances the state, or it is of another model.
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
        state = self.own_state(state, len(rows))
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
        choices: Collection[str] | None = None,
        regex: str | None = None,
        schema: Any = None,
        grammar: str | None = None,
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
            choices: the text is one of these.
            regex: the whole text matches this, in the syntax of Rust's regex (no look-around).
            schema: the text is JSON of this: a JSON schema, a dataclass (or list[...], Literal[...] and the like), or a
                pydantic model.
            grammar: the text is one of this Lark grammar.
            **sampling: fields of `rgmlx.Sampling`, such as temperature and seed. What is not given is as
                `self.sampling` has it.

        Raises:
            RgmlxError: no tokenizer, an empty prompt or a setting out of range; before anything runs.
            StateError: before anything runs, where the state is of another model; while it runs, where another thread
                advances it.
            ConstraintError: choices, regex, schema or grammar are malformed or contradict themselves; before anything
                runs. While it runs, where the grammar leads nowhere or is too much work.
            IncompleteError: at the end, where max_tokens has cut what they ask for.
            NotFiniteError: while it runs, where the weights are damaged.
        """
        form = output_format(self.vocabulary, choices=choices, regex=regex, schema=schema, grammar=grammar)
        return self._stream(form, prompt, max_tokens, raw, state, progress, sampling)

    def _stream(
        self,
        form: OutputFormat | None,
        prompt: str | Sequence[int],
        max_tokens: int | None,
        raw: bool,
        state: State | None,
        progress: Progress | None,
        sampling: dict[str, Any],
    ) -> Iterator[str]:
        tokenizer = self.text_tokenizer()
        state = self.own_state(state)
        matcher = form.constraint.matcher() if form is not None else None
        run = Generation(
            self,
            state,
            as_ids(prompt, tokenizer, raw=raw, fresh=not state.position),
            sampling=make_sampling(sampling, self.sampling),
            max_tokens=max_tokens,
            stop_ids=self.stop_ids,
            matcher=matcher,
            progress=progress,
        )
        pieces = _decode(tokenizer, run, matcher)
        return Steps(pieces, Busy(RgmlxError, "another thread is iterating this stream"), run.undo)

    @overload
    def generate(
        self, prompt: str | Sequence[int], *, schema: type[T], max_tokens: int | None = None, **options: Any
    ) -> T: ...
    @overload
    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        schema: Mapping[str, Any] | UnionType | bool,
        max_tokens: int | None = None,
        **options: Any,
    ) -> Any: ...
    @overload
    def generate(self, prompt: str | Sequence[int], *, max_tokens: int | None = None, **options: Any) -> str: ...
    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        max_tokens: int | None = None,
        raw: bool = False,
        state: State | None = None,
        progress: Progress | None = None,
        choices: Collection[str] | None = None,
        regex: str | None = None,
        schema: Any = None,
        grammar: str | None = None,
        **sampling: Any,
    ) -> Any:
        """The whole text of `stream`, which describes the arguments; with `schema` the object that the text is JSON of.

        Raises:
            RgmlxError: as `stream`. An IncompleteError has what was written as its `text`.
            ConstraintError: at the end, where a class given as `schema` refuses its values.
        """
        form = output_format(self.vocabulary, choices=choices, regex=regex, schema=schema, grammar=grammar)
        written: list[str] = []
        try:
            for piece in self._stream(form, prompt, max_tokens, raw, state, progress, sampling):
                written.append(piece)
        except IncompleteError as e:
            e.text = "".join(written)
            raise
        text = "".join(written)
        return text if form is None else form.result(text)

    @overload
    def batch(
        self, prompts: Sequence[str | Sequence[int]], *, schema: type[T], max_tokens: int | None = None, **options: Any
    ) -> list[T]: ...
    @overload
    def batch(
        self,
        prompts: Sequence[str | Sequence[int]],
        *,
        schema: Mapping[str, Any] | UnionType | bool,
        max_tokens: int | None = None,
        **options: Any,
    ) -> list[Any]: ...
    @overload
    def batch(
        self,
        prompts: Sequence[str | Sequence[int]],
        *,
        max_tokens: int | None = None,
        **options: Any,
    ) -> list[str]: ...
    def batch(
        self,
        prompts: Sequence[str | Sequence[int]],
        *,
        max_tokens: int | None = None,
        raw: bool = False,
        choices: Collection[str] | None = None,
        regex: str | None = None,
        schema: Any = None,
        grammar: str | None = None,
        **sampling: Any,
    ) -> list[Any]:
        """Answers several prompts at once; each gets exactly what `generate` would give it alone, in less time.

        More than 64 prompts are answered 64 at a time, so that memory does not grow with their number.

        Raises:
            RgmlxError: as `generate`. An IncompleteError, raised when all rows have ended, has the `results` of those
                that are whole.
        """
        form = output_format(self.vocabulary, choices=choices, regex=regex, schema=schema, grammar=grammar)
        tokenizer = self.text_tokenizer()
        if isinstance(prompts, str):
            raise RgmlxError("batch takes a list of prompts: put the one prompt into a list, or use generate")
        ids = [as_ids(p, tokenizer, raw=raw) for p in prompts]
        check_prompts(self, ids)
        settings, found = make_sampling(sampling, self.sampling), list[Any]()
        cut: list[str] = []
        for start in range(0, len(ids), _ROWS):
            rows = ids[start : start + _ROWS]
            matchers = [form.constraint.matcher() for _ in rows] if form is not None else None
            texts = self._answers(rows, settings, max_tokens, matchers)
            if form is None or matchers is None:
                found += texts
            else:
                found += [form.result(text) if m.done else None for text, m in zip(texts, matchers, strict=True)]
                cut += [text for text, m in zip(texts, matchers, strict=True) if not m.done]
        if cut:
            raise IncompleteError(
                f"{len(cut)} of {len(found)} results were cut by max_tokens before they were whole: give more tokens, or "
                "bound what may be long",
                cut[0],
                found,
            )
        return found

    def _answers(
        self, prompts: list[list[int]], sampling: Sampling, max_tokens: int | None, matchers: list[Matcher] | None
    ) -> list[str]:
        tokenizer = self.text_tokenizer()
        detokenizers = [Detokenizer(tokenizer) for _ in prompts]
        texts: list[list[str]] = [[] for _ in prompts]
        state = self.new_state(len(prompts))
        for row, token in generate_batch(
            self,
            state,
            prompts,
            sampling=sampling,
            max_tokens=max_tokens,
            stop_ids=self.stop_ids,
            matchers=matchers,
        ):
            texts[row].append(detokenizers[row].add(token))
        return ["".join(t) + d.finish() for t, d in zip(texts, detokenizers, strict=True)]

    def score(
        self,
        text: str | Sequence[int],
        *,
        prompt: str | Sequence[int] | None = None,
        raw: bool = False,
        state: State | None = None,
        progress: Progress | None = None,
    ) -> Score:
        """How likely the model finds a text: the log-probability of each token, given all before it.

        Args:
            text: text, taken as it is; or token ids. Where nothing comes before ids, the first one is only read.
            prompt: what comes before and is not scored: text, sent as a user's turn, so that `text` is the reply to it; or
                token ids. None: the text stands alone, after `<bos>`.
            raw: the prompt is a text that `text` goes on with, and no turn.
            state: what was read before both (advanced in place, by both; score a copy to keep it); None starts afresh.
            progress: told (tokens read, tokens to read).

        Raises:
            RgmlxError: no tokenizer, nothing to score, a state of several rows, an id outside the vocabulary.
            NotFiniteError: the weights are damaged.  StateError: another thread advances the state, or it is of another model.
        """
        tokenizer = self.text_tokenizer()
        state = self.own_state(state)
        fresh, ids = not any(state.positions), as_ids(text, tokenizer, raw=True, fresh=False)
        if prompt is not None:
            before = as_ids(prompt, tokenizer, raw=raw, fresh=fresh)
        else:
            before = [tokenizer.bos] if fresh and isinstance(text, str) else []
        if fresh and not before:
            before, ids = ids[:1], ids[1:]
        if not ids:
            raise RgmlxError("there is nothing to score: give a text, or two token ids or more")
        found = log_probs(self, state, ids, prompt=before, progress=progress)
        found.flags.writeable = False
        detokenizer = Detokenizer(tokenizer)
        pieces = [detokenizer.add(i) for i in ids]
        pieces[-1] += detokenizer.finish()
        return Score(tuple(ids), tuple(pieces), found)

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
            ChatError, StoreError: the conversation of this name is open elsewhere, or can't be read; a store without a name.
        """
        from .conversation.chat import Chat

        if name is None:
            if store is not None:
                raise ChatError(
                    "store= is where a conversation with a name is kept: give it a name, or leave store out"
                )
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

    # --- for coroutines -------------------------------------------------------------------

    alogits = awaited(logits)
    if TYPE_CHECKING:  # a twin would have the first of the overloads only

        @overload
        async def agenerate(
            self, prompt: str | Sequence[int], *, schema: type[T], max_tokens: int | None = None, **options: Any
        ) -> T: ...
        @overload
        async def agenerate(
            self,
            prompt: str | Sequence[int],
            *,
            schema: Mapping[str, Any] | UnionType | bool,
            max_tokens: int | None = None,
            **options: Any,
        ) -> Any: ...
        @overload
        async def agenerate(
            self, prompt: str | Sequence[int], *, max_tokens: int | None = None, **options: Any
        ) -> str: ...
        async def agenerate(self, prompt: Any, **options: Any) -> Any: ...

        @overload
        async def abatch(
            self,
            prompts: Sequence[str | Sequence[int]],
            *,
            schema: type[T],
            max_tokens: int | None = None,
            **options: Any,
        ) -> list[T]: ...
        @overload
        async def abatch(
            self,
            prompts: Sequence[str | Sequence[int]],
            *,
            schema: Mapping[str, Any] | UnionType | bool,
            max_tokens: int | None = None,
            **options: Any,
        ) -> list[Any]: ...
        @overload
        async def abatch(
            self, prompts: Sequence[str | Sequence[int]], *, max_tokens: int | None = None, **options: Any
        ) -> list[str]: ...
        async def abatch(self, prompts: Any, **options: Any) -> Any: ...
    else:
        agenerate = awaited(generate)
        abatch = awaited(batch)
    ascore = awaited(score)
    achat = awaited(chat, short=True)
    aread = awaited(read, short=True)
    astream = stepped(stream)


def _decode(tokenizer: Tokenizer, run: Generation, matcher: Matcher | None) -> Generator[str]:
    detokenizer = Detokenizer(tokenizer)
    try:
        for token in run:
            if piece := detokenizer.add(token):
                yield piece
        if piece := detokenizer.finish():
            yield piece
        if matcher is not None and not matcher.done:
            raise IncompleteError(
                "the result was cut by max_tokens before it was whole: give more tokens, or bound what may be long"
            )
    finally:
        run.close()


def load(name_or_path: str | Path = hub.DEMO, *, dtype: str | mx.Dtype | None = None, draft: str = OFF) -> Model:
    """Loads a model.

    Args:
        name_or_path: `demo` (the embedded model), a directory, or a Hugging Face repository.
        dtype: compute dtype, `float32`, `bfloat16` or `float16`. None takes the checkpoint's on a
            GPU, and float32 on a CPU, where the 16-bit products are many times slower.
        draft: `lookup` reads several tokens at once where the text before foretells them: the same ids (in 16 bits a
            product of several rows may round otherwise), sooner where a text repeats itself. `off`: one by one. It is
            `Model.draft`, which may be changed between two calls. Batches and constrained results go one by one.

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
    if draft not in DRAFTS:
        raise RgmlxError(f"draft '{draft}' is not one of {', '.join(DRAFTS)}")
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
    model.sampling, model.draft = sampling, draft
    model._stop_ids |= stop_ids
    model.directory, model.name = directory, str(name_or_path)
    model.eval()
    selfcheck.ensure(config, model.compute_dtype)
    where = launch.backend() or "plain operations"
    _log.debug("%s is loaded: %s, %s, %.2f s", directory, wanted, where, time.perf_counter() - begun)
    return model
