"""The network with its tokenizer and its own settings: what a state is saved with, and a conversation goes on from.

Knows texts only as far as its tokenizer does; makes no reply itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
from mlx.utils import tree_flatten

from ..errors import RgmlxError, StateError, TokenizerError
from ..griffin import sharding
from ..griffin.config import ModelConfig, describe_quantization
from ..griffin.network import RecurrentGemma
from ..griffin.sharding import Whole
from ..griffin.state import Owner, State, differing
from ..settings import Sampling
from ..system import memory
from ..system.awaited import Threads
from ..system.process import work
from ..tokenizer import Tokenizer
from ..weights import checkpoint

if TYPE_CHECKING:  # imported on use, as most runs are not constrained
    from .constrained.vocabulary import Vocabulary


class LanguageModel(RecurrentGemma):
    """RecurrentGemma with its tokenizer; an `mlx.nn.Module` as well.

    Attributes:
        config: the shapes, a `ModelConfig`.
        tokenizer: None for a directory without one; then only the text methods refuse.
        directory: where the weights came from, None for a model made from a config.
        name: what it was loaded by, None likewise.
        sampling: default settings, from the model's `generation_config.json` if it has one.
    """

    def __init__(self, config: ModelConfig, tokenizer: Tokenizer | None = None) -> None:
        super().__init__(config)
        self.tokenizer = tokenizer
        self.directory: Path | None = None
        self.name: str | None = None
        self.sampling = Sampling()
        self._stop_ids = frozenset(config.eos_token_ids) | (tokenizer.stop_ids if tokenizer else frozenset())
        self._weights_fingerprint: str | None = None
        self._threads = Threads()
        self._vocabulary: Vocabulary | None = None
        self._whole: Whole | None = None

    @property
    def threads(self) -> Threads:
        """Where the work of coroutines is done."""
        return self._threads

    @property
    def identity(self) -> dict[str, str]:
        """What a saved state must match: weights, quantization, tokenizer and dtype."""
        if self._weights_fingerprint is None:
            with work():
                self._weights_fingerprint = checkpoint.fingerprint(dict(tree_flatten(self.parameters())))
        quantization = self.config.quantization
        return {
            "weights": self._weights_fingerprint,
            "quantization": "none" if quantization is None else describe_quantization(quantization),
            "tokenizer": self.tokenizer.fingerprint if self.tokenizer else "none",
            "dtype": str(self.compute_dtype).removeprefix("mlx.core."),
        }

    def new_state(self, batch_size: int = 1) -> State:
        """A fresh state; its size never changes. Raises RgmlxError for a batch_size below 1."""
        if batch_size < 1:
            raise RgmlxError(f"batch_size must be 1 or more, not {batch_size}")
        need, have = self.config.state_nbytes(self.compute_dtype.size, batch_size), memory.physical()
        if need > have:  # the system might give it, and kill the program when it is used
            raise RgmlxError(
                f"a state of {batch_size} x {need / batch_size / 1e9:,.1f} GB is more than this machine's "
                f"{have / 1e9:,.1f} GB of memory: see attention_window_size in config.json"
            )
        with work():
            state = State(self, batch_size)
            mx.eval(state.arrays())
        return state

    def own_state(self, state: State | None, batch_size: int = 1) -> State:
        """The state, or a fresh one for None. Raises StateError: it is of a model with other weights, tokenizer or dtype."""
        if state is None:
            return self.new_state(batch_size)
        if state.owner is not self and (what := differing(state.owner.identity, self.identity)):
            raise StateError(
                f"this state is of a model with other {what} ({state.owner.identity[what]}, this model has "
                f"{self.identity[what]}): go on with the model that made it"
            )
        return state

    # --- ranks ----------------------------------------------------------------------------

    @property
    def whole(self) -> Owner:
        """The owner of whole states: the model itself, and what it was before where ranks share it."""
        return self._whole or self

    def shard(self, group: mx.distributed.Group | None = None) -> None:
        """As the network's. A share of a state is this rank's alone: `identity` names it."""
        whole = Whole(self.config, self.identity, self.compute_dtype)
        super().shard(group)
        if self.group is not None:
            self._whole = whole
            rank = f"{self.group.rank() + 1} of {self.group.size()}"
            self._weights_fingerprint = f"{whole.identity['weights']}, rank {rank}"

    def gather(self, state: State) -> State:
        """The whole state of the shares that the ranks have, for `save` and for any number of ranks; all have to call it.

        Without ranks, a copy. Raises StateError: the state is of another model.
        """
        self.own_state(state)
        return state.copy() if self.group is None else sharding.gather(state, self.group, self.whole)

    def scatter(self, state: State) -> State:
        """This rank's share of a whole state, such as `State.load(path, model.whole)` reads; without ranks, a copy.

        Raises StateError: the state is of another model, or a share itself.
        """
        if what := differing(state.owner.identity, self.whole.identity):
            raise StateError(
                f"this state is of a model with other {what} ({state.owner.identity[what]}, this model has "
                f"{self.whole.identity[what]}): only a whole state of this model can be given out to its ranks"
            )
        return state.copy() if self.group is None else sharding.scatter(state, self.group, self)

    # --- text -----------------------------------------------------------------------------

    @property
    def stop_ids(self) -> frozenset[int]:
        """Ids that end a reply: those of the configs, `<eos>` and `<end_of_turn>`."""
        return self._stop_ids

    def vocabulary(self) -> Vocabulary:
        """The tokens' bytes, for constrained results; made at the first call. Raises TokenizerError as `text_tokenizer`."""
        if self._vocabulary is None:
            from .constrained.vocabulary import Vocabulary

            self._vocabulary = Vocabulary(self.text_tokenizer(), self.config.vocab_size, self.stop_ids)
        return self._vocabulary

    def text_tokenizer(self) -> Tokenizer:
        """The tokenizer. Raises TokenizerError for a model without one."""
        if self.tokenizer is None:
            where = self.directory or "this model"
            raise TokenizerError(f"{where} has no tokenizer.model or tokenizer.json: copy one there to use text")
        return self.tokenizer
