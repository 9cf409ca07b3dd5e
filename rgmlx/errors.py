"""Every error that rgmlx raises on purpose: one sentence that says what to do.

The command line and the chat print `str(error)` and nothing else, so a message must stand
alone: what is wrong, where, and what the reader can do about it.
"""


class RgmlxError(Exception):
    """Base of all errors below."""

    remedy = "make it again"
    """What to do about a damaged file of this kind."""


class ConfigError(RgmlxError, ValueError):
    """A `config.json` that is missing, malformed or asks for something unsupported."""


class CheckpointError(RgmlxError, ValueError):
    """Weights that are missing, truncated, misshapen or not finite."""

    remedy = "download or convert the model again"


class ModelNotFoundError(RgmlxError, FileNotFoundError):
    """A model name that is neither a directory, nor `demo`, nor a repository we can reach."""

    # FileNotFoundError would print an errno tuple; the sentence is all there is to say.
    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class TokenizerError(RgmlxError, ValueError):
    """A tokenizer that is missing, broken or of a kind we can't decode."""


class StateError(RgmlxError, ValueError):
    """A saved state that is truncated, or belongs to another model."""

    remedy = "it can't be resumed; use an earlier copy if there is one"


class ChatError(RgmlxError, ValueError):
    """A chat operation that can't be done here, such as a rewind past the beginning."""
