"""`rgmlx.reading.Reader`: a text of any length, read as it comes; questions about it. Made by `Model.read`.

The text stands in one user turn that stays open: `<start_of_turn>user`, a sentence that says what it is, and the text. A
question ends that turn on a copy of the state, which writes the answer and is thrown away; the reading state never meets a
question, and goes on as if none had been asked. So a chat-tuned model sees what it was trained on, a text with a request
behind it, however long the text; and turns of its own, which a log does not have, never come between.

The state reads whole chunks. What is less than a chunk waits: as ids, and as text while it is not known how it goes on. A
question reads that too, on its copy. Chunks begin at multiples of their size whatever pieces the text came in, so that a
reading that was stopped, killed and gone on with has the state of one that never was, byte for byte.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from ..errors import IncompleteError, RgmlxError, StateError
from ..generation.constrained.output import FORMS, output_format
from ..generation.engine import Progress, prefill
from ..generation.language_model import LanguageModel
from ..generation.sampling import make_sampling
from ..griffin.state import State
from ..system.atomic import Busy, Steps, whole
from ..system.awaited import Threads, awaited, stepped
from ..tokenizer import close_turn_ids, open_turn_ids
from .files import NOTES, ReadingFiles, damaged
from .notes import MAX_CHARS, Note, Notes
from .place import MAX_BOOKMARK, SLICE, Horizon, Mark, Place
from .saving import Saving, model_name

CHUNK = 2_048
"""Tokens that are read, and saved, at a time."""
INTRODUCTION = "Here is a text:"
"""What stands in front of the text where nobody says otherwise."""
NOTE = "What is new in the last part of this text? Answer in one or two sentences."
"""What the model is asked for its notes."""
_NOTE_TOKENS = 100

Stream = Callable[..., Iterator[str]]
"""`Model.stream`."""


class Reader:
    """A text that is being read. Use it in a `with` statement, or `close` it.

    One thread feeds; others may ask meanwhile. Ctrl+C in `feed` leaves a reading that goes on with the next call: what
    was taken is counted in `bytes_read`, and nothing of it is lost or read twice.

    Attributes:
        chunk: tokens that are read at a time.
    """

    def __init__(
        self,
        model: LanguageModel,
        stream: Stream,
        name: str | None = None,
        *,
        directory: str | Path | None = None,
        intro: str | None = None,
        read_only: bool = False,
        notes_every: int | None = None,
        chunk: int = CHUNK,
        **sampling: Any,
    ) -> None:
        """Goes on with the reading of this name, or begins one.

        Args:
            stream: what writes answers, `Model.stream`.
            name: None keeps everything in memory.
            directory: where readings are; None for rgmlx's own.
            intro: a sentence in front of a new text; None for "Here is a text:".
            read_only: only asks, about what was saved last, also while another program reads.
            notes_every: has the model write a note each time it has read so many tokens more; None for no notes.
            chunk: tokens that are read, and saved, at a time.
            **sampling: defaults of answers.

        Raises:
            RgmlxError: another program reads under this name, it has another introduction, nothing to ask about is
                there, or a number is out of range.
            StateError: what was saved is damaged, or another model's.
            TokenizerError: the model has no tokenizer, or one without turn tokens.
        """
        if chunk < 1 or (notes_every is not None and notes_every < 1):
            raise RgmlxError("chunk and notes_every must be 1 or more: a number of tokens")
        make_sampling(sampling, model.sampling)  # refused before anything is on the disk
        self.chunk, self._notes_every, self._sampling = chunk, notes_every, sampling
        self._model, self._stream, self._read_only = model, stream, read_only
        self._tokenizer = model.text_tokenizer()
        self._busy = Busy(RgmlxError, "another thread is feeding this reader: feed it from one")
        self._stopped = threading.Event()
        self._files = None if name is None else ReadingFiles(name, directory)
        self._end_ids(" ")  # without turn tokens, nothing is begun
        if self._files is not None and not read_only:
            self._files.take()
        try:
            intro, place = self._begin(intro)
            self._notes = Notes(None if self._files is None else self._files.path / NOTES)
        except BaseException:
            if self._files is not None:
                self._files.release()
            raise
        self._saving = Saving(place, self._files, intro=intro, model=model_name(model), is_open=not read_only)
        # At the latest when the program ends, or nobody has the reader any more.
        self._closed = weakref.finalize(self, self._saving.close)
        self._head: tuple[Place, State] | None = None  # a place, and a state that has read all that was taken by then
        self._noted = (place.state.position, place.mark.line)

    def _begin(self, intro: str | None) -> tuple[str, Place]:
        found = None if self._files is None else self._files.load(self._model)
        if found is not None and self._files is not None:
            state, records = found
            for record in records:
                with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                    place, kept = Place.from_json(record, state), str(record["intro"])
                    break
            else:
                raise damaged(self._files.path, self._files.name)
            if intro is not None and intro.strip() != kept:
                raise RgmlxError(
                    f"“{self._files.name}” began with another introduction: leave yours out, or choose another name",
                    quotes=(self._files.name,),
                )
            return kept, place
        if self._read_only:
            raise RgmlxError("there is nothing to ask about: read something under this name first")
        intro = INTRODUCTION if intro is None else intro.strip()
        ids = [self._tokenizer.bos, *open_turn_ids(self._tokenizer, f"{intro}\n\n" if intro else "")]
        return intro, Place(self._model.new_state(), tuple(ids), Mark(len(ids), 0, 0))

    @property
    def _place(self) -> Place:
        return self._saving.place

    # --- what is there --------------------------------------------------------------------

    @property
    def name(self) -> str | None:
        """What it is called on the disk; None in memory."""
        return None if self._files is None else self._files.name

    @property
    def intro(self) -> str:
        """The sentence in front of the text."""
        return self._saving.intro

    @property
    def position(self) -> int:
        """Tokens that the reading state has read, those in front of the text included."""
        return self._place.state.position

    @property
    def tokens(self) -> int:
        """Tokens of all that was taken, those in front of the text included."""
        return self._whole().tokens

    @property
    def waiting(self) -> int:
        """Tokens that were taken and are not in the state yet; a question reads them, too."""
        return self.tokens - self.position

    @property
    def window(self) -> int:
        """Tokens that are remembered to the letter."""
        return self._model.config.attention_window_size

    @property
    def bytes_read(self) -> int:
        """Bytes of input that were taken, ever; of a text in UTF-8."""
        return self._place.size

    @property
    def lines_read(self) -> int:
        """Line ends that were taken, ever."""
        return self._place.lines

    @property
    def replaced(self) -> int:
        """Characters that were no text (NUL, bytes that are not UTF-8), and were read as U+FFFD."""
        return self._place.replaced

    @property
    def bookmark(self) -> Any:
        """The last one that was given to `feed`; None before the first."""
        return self._place.bookmark

    @property
    def state(self) -> State:
        """A copy of the reading state; it has read whole chunks."""
        return self._place.state.copy()

    @property
    def state_nbytes(self) -> int:
        """Bytes of the state; they never change."""
        return self._place.state.nbytes

    @property
    def disk_nbytes(self) -> int:
        """Bytes of all files of this reading."""
        return 0 if self._files is None else self._files.size

    @property
    def unsaved(self) -> bool:
        """Whether something was taken that `save` would put on the disk; never in memory."""
        return self._saving.unsaved

    def horizon(self) -> Horizon:
        """What a question that is asked now finds exact, and what in gist."""
        return self._whole().horizon(self.window)

    # --- reading --------------------------------------------------------------------------

    def feed(self, text: str | bytes, *, bookmark: Any = None) -> int:
        """Takes a piece of text, and reads all whole chunks that there are now.

        Args:
            text: any piece: half a line, a gigabyte. Bytes are UTF-8, or what a byte order mark in front of the first
                says; what is no text in them is read as U+FFFD, and counted.
            bookmark: a small JSON value that is kept with this place: where the source of the text goes on, say.

        Returns:
            Bytes that were taken: all, unless `stop` ended it. The first 16 kB always are.

        Raises:
            RgmlxError: another thread feeds; or this reader is for questions only, or was closed.
            StateError: a chunk can't be saved. It is read all the same, and all is saved with the next one.
        """
        if not self._saving.is_open:
            why = (
                "is for questions only: open the reading without read_only"
                if self._read_only
                else "was closed: open it again"
            )
            raise RgmlxError(f"this reader {why}")
        try:
            too_long = len(json.dumps(bookmark)) > MAX_BOOKMARK
        except (TypeError, ValueError):
            too_long = True
        if too_long:
            raise RgmlxError(f"a bookmark is a JSON value of {MAX_BOOKMARK:,} characters at most: give a smaller one")
        self._stopped.clear()
        return whole(self._busy, lambda: lambda: None, lambda: self._feed(text, bookmark))

    def _feed(self, text: str | bytes, bookmark: Any) -> int:
        taken, failure = 0, self._read_on()
        size = len(text)
        for start in range(0, size, SLICE):
            if self._stopped.is_set() and (start or len(self._place.text) > SLICE):
                break  # the first part is taken all the same: it may have come from a pipe
            part = text[start : start + SLICE]
            if isinstance(part, str):  # in the encoding of the bytes before it
                part = part.encode(self._place.decoder[0] or "utf-8", "replace")
            self._saving.place = self._place.taken(part, bookmark if start + SLICE >= size else None)
            taken += len(part)
            failure = self._read_on() or failure
        if failure is not None:
            raise failure
        return taken

    def end_input(self) -> None:
        """Ends the line that is open: what is fed next is of another input, with an encoding of its own."""
        if self._place.text or self._place.decoder != ("", "", 0):
            whole(self._busy, lambda: lambda: None, self._end_input)

    def _end_input(self) -> None:
        self._saving.place = self._place.ended()

    def _read_on(self) -> StateError | None:
        """Reads all whole chunks; an error if one of them could not be saved."""
        failure = None
        while not self._stopped.is_set():
            place = self._place.tokenized(self._tokenizer.encode, self.chunk, self.window)
            self._saving.place = place
            if len(place.unread) < self.chunk:
                break
            state, chunk = place.state.copy(), place.unread[: self.chunk]
            if prefill(self._model, state, [chunk], cancelled=self._stopped.is_set) < self.chunk:
                break  # what was read of it is dropped: the next call reads the whole chunk
            self._saving.place = place.read(state, self.chunk)
            try:
                self._note()
                self.save()
            except StateError as e:
                failure = e
        return failure

    def stop(self) -> None:
        """Ends a `feed` or an answer that is going on, within a part of a chunk or a token. From any thread."""
        self._stopped.set()

    # --- asking ---------------------------------------------------------------------------

    def ask(self, question: str, *, max_tokens: int | None = None, **options: Any) -> Any:
        """The whole answer of `stream`, which describes the arguments: its text; with `schema` the object that it is JSON of.

        Raises:
            IncompleteError: max_tokens or `stop` has cut what was asked for.  ConstraintError: what it is to be is malformed
                or contradicts itself.  RgmlxError: as `stream`.
        """
        form = output_format(self._model.vocabulary, **{name: options[name] for name in FORMS if name in options})
        written: list[str] = []
        try:
            for piece in self.stream(question, max_tokens=max_tokens, **options):
                written.append(piece)
            if form is not None and self._stopped.is_set():
                raise IncompleteError("the answer was stopped before it was whole: ask again", "")
        except IncompleteError as e:
            e.text = "".join(written)
            raise
        text = "".join(written)
        return text if form is None else form.result(text)

    def stream(
        self, question: str, *, max_tokens: int | None = None, progress: Progress | None = None, **options: Any
    ) -> Steps[str]:
        """An answer about all that was taken so far, piece by piece. The reading stays as it is, byte for byte.

        Args:
            max_tokens: None goes on until the model ends its turn.
            progress: told (tokens read, tokens to read) while a long question is being read.
            **options: settings of this answer and what it is to be (`choices`, `schema` and so on), as `Model.stream` has them.

        Raises:
            RgmlxError: nothing was read yet, the question is empty, or a setting is out of range; before anything runs.
        """
        if not question.strip():
            raise RgmlxError("there is nothing to ask: the question is empty")
        if not self._place.size:
            raise RgmlxError("nothing was read yet: feed a text first")
        self._stopped.clear()
        head, open_line = self._read_head()
        ids = self._end_ids(question, "\n\n" if open_line else "\n")
        given = {**self._sampling, **options}
        pieces = self._pieces(self._stream(ids, state=head, max_tokens=max_tokens, progress=progress, **given))
        # Nothing is to be undone: the state is a copy, and ends with the answer.
        return Steps(pieces, Busy(RgmlxError, "another thread is iterating this answer"), lambda: lambda: None)

    def _pieces(self, pieces: Iterator[str]) -> Generator[str]:
        with contextlib.closing(pieces):  # type: ignore[type-var]  # Model.stream's can be closed
            for piece in pieces:
                yield piece
                if self._stopped.is_set():
                    return

    def _end_ids(self, question: str, before: str = "") -> list[int]:
        return close_turn_ids(self._tokenizer, before + question.strip())

    def _whole(self) -> Place:
        """The place with ids of all text that was taken."""
        return self._place.tokenized(self._tokenizer.encode, 2**62, self.window, final=True)

    def _read_head(self) -> tuple[State, bool]:
        """A state that has read all that was taken, and whether a line is open there."""
        place, head = self._place, self._head
        if head is not None and head[0] is place:
            state = head[1]
        else:
            state = place.state.copy()
            prefill(
                self._model, state, [place.tokenized(self._tokenizer.encode, 2**62, self.window, final=True).unread]
            )
            self._head = place, state
        return state.copy(), not place.text.endswith("\n")

    # --- notes ----------------------------------------------------------------------------

    def notes(self) -> list[Note]:
        """What the model wrote down on its way, the oldest first: the last thousand notes at the most."""
        return self._notes.all()

    def search(self, words: str) -> list[Note]:
        """Notes with all of these words in them, the latest first."""
        return self._notes.search(words)

    def _note(self) -> None:
        """Has the model write one, where it is time for that. Raises StateError: it can't be kept."""
        place, (position, line) = self._place, self._noted
        if self._notes_every is None or place.state.position - position < self._notes_every:
            return
        ids = self._end_ids(NOTE, "\n\n")
        pieces = self._stream(ids, state=place.state.copy(), max_tokens=_NOTE_TOKENS, temperature=0)
        text = "".join(self._pieces(pieces)).strip()[:MAX_CHARS]
        if self._stopped.is_set():
            return
        self._noted = (place.state.position, place.mark.line)
        if text:
            first, last = min(line + 1, place.mark.line), place.mark.line
            self._notes.add(Note(time.time(), place.state.position, first, last, text))

    # --- on the disk ----------------------------------------------------------------------

    def save(self) -> None:
        """Puts all that was taken on the disk: after a restart nothing of it is missing.

        The state is written where it has read a chunk since; what waits is a small file. Does nothing in memory.

        Raises:
            StateError: it can't be written; what was there before is unchanged.
        """
        self._saving.save()

    def close(self) -> None:
        """Saves, and lets other programs read on; questions may still be asked. Twice is fine. A reader that nobody has any
        more is closed by itself, at the latest as the program ends.

        Raises:
            StateError: it can't be saved.
        """
        self._closed()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- for coroutines -------------------------------------------------------------------

    @property
    def threads(self) -> Threads:
        """Where the work of coroutines is done: the model's."""
        return self._model.threads

    afeed = awaited(feed)
    aask = awaited(ask)
    astream = stepped(stream)
    aclose = awaited(close, short=True)

    async def __aenter__(self) -> Reader:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
