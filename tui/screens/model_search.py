"""A search of Hugging Face behind a screen: one at a time, in a thread that nobody waits for.

Knows no widgets. Begins when it is told to, and never by itself.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence

from rgmlx.errors import RgmlxError
from rgmlx.system import debug_log
from rgmlx.weights.parts import Cancelled
from rgmlx.weights.search import Published, search

Tell = Callable[[Sequence[Published], str], object]


class HubSearch:
    """Asks for models that can be loaded."""

    def __init__(self) -> None:
        self._stop: threading.Event | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is waited for."""
        return self._stop is not None

    def begin(self, tell: Tell) -> None:
        """Asks; `tell` is called with models, or with none and a sentence, in another thread."""
        self._stop = stop = threading.Event()
        # A server that says nothing keeps it for a while, which the end of the program does not wait for.
        threading.Thread(target=self._run, args=(stop, tell), name="search", daemon=True).start()

    def end(self) -> None:
        """The answer was taken, or nobody wants it any more."""
        if self._stop is not None:
            self._stop.set()
        self._stop = None

    def _run(self, stop: threading.Event, tell: Tell) -> None:
        found: Sequence[Published] = ()
        problem = ""
        try:
            found = search(cancelled=stop.is_set)
        except Cancelled:
            return
        except RgmlxError as e:
            problem = str(e)
        except Exception as e:  # never a traceback over the screen
            debug_log.caught(e, "models can't be searched for")
            problem = f"models can't be searched for ({type(e).__name__}: {e}): try again"
        if not stop.is_set():
            with contextlib.suppress(RuntimeError):  # the app has ended meanwhile
                tell(found, problem)
