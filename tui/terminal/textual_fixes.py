"""What Textual does not do well yet, put right. A function that names an issue goes when that is closed."""

from __future__ import annotations

import contextlib
import time
from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from textual import events
from textual._styles_cache import StylesCache
from textual._xterm_parser import XTermParser
from textual.await_complete import AwaitComplete
from textual.color import Color
from textual.command import CommandInput
from textual.content import Content
from textual.drivers import linux_driver, linux_inline_driver
from textual.drivers._writer_thread import WriterThread
from textual.geometry import Region, Size
from textual.keys import Keys
from textual.screen import Screen
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Input, OptionList
from textual.widgets._footer import FooterKey

from . import order, signals
from .input import TerminalParser
from .typed import is_text


def forget_removed_widgets() -> None:
    """Textualize/textual#6665: a cache of colours holds on to the drawn lines of the last 1,024 widgets, removed or not.

    That is some 10 MB of a long chat, and doubles what the garbage collector looks through while a key waits.
    """
    original = StylesCache.get_inner_outer
    if not hasattr(original, "cache_clear"):  # put right already
        return

    @lru_cache(1024)
    def inner_outer(base_background: Color, background: Color) -> tuple[Style, Style]:
        found: tuple[Style, Style] = original.__wrapped__(StylesCache, base_background, background)
        return found

    def without_widget(_: StylesCache, base_background: Color, background: Color) -> tuple[Style, Style]:
        return inner_outer(base_background, background)

    StylesCache.get_inner_outer = without_widget  # type: ignore[assignment,method-assign]


def forget_geometry() -> None:
    """Empties the caches of what rectangles have in common: filled, they take 7 MB, and what is in them comes and goes.

    So there would always be something that lives on in memory which could be given back otherwise.
    """
    for operation in vars(Region).values():
        if hasattr(operation, "cache_clear"):
            operation.cache_clear()


def outlive_the_terminal() -> None:
    """The terminal's two threads end neither the app nor each other.

    Input that is no UTF-8 or no key is replaced or dropped, and a paste is text to its end; an error tells the app. What can't be written because the
    terminal is gone is dropped: the queue for it is short, and full it would block the app. SIGTSTP and SIGCONT are
    left to the app: a handler that waits for the threads waits for ever when it comes twice, and one that starts them
    without a stop before (kill -STOP) has them, and the terminal's state, twice.
    """
    if getattr(WriterThread, "_outlives", False):
        return
    WriterThread._outlives = True  # type: ignore[attr-defined]
    WriterThread.run = _write_while_it_can  # type: ignore[assignment,method-assign]
    WriterThread.write = _write  # type: ignore[assignment,method-assign]
    for module, driver in (
        (linux_driver, linux_driver.LinuxDriver),
        (linux_inline_driver, linux_inline_driver.LinuxInlineDriver),
    ):
        driver._run_input_thread = _read  # type: ignore[assignment,method-assign]
        driver.start_application_mode = _start_in_front(driver.start_application_mode)  # type: ignore[method-assign]
        module.XTermParser = TerminalParser  # type: ignore[attr-defined]
        module.getincrementaldecoder = lambda encoding: _tolerant  # type: ignore[attr-defined]
    linux_driver.LinuxDriver.write = _write_to_terminal  # type: ignore[assignment,method-assign]
    linux_driver.LinuxDriver._sigtstp_application = _stop  # type: ignore[assignment,method-assign]
    linux_driver.LinuxDriver._sigcont_application = _continue  # type: ignore[assignment,method-assign]
    parse = XTermParser._parse_extended_key

    def parse_extended_key(parser: XTermParser, sequence: str) -> list[events.Key] | None:
        try:
            found = parse(parser, sequence)
        except (ValueError, OverflowError):  # a number that is no character
            return None
        typed = "".join(sequence[:-1].split(";")[2:])
        if found and not typed and "\ue000" <= (found[0].character or "") <= "\uf8ff":
            return [events.Key(Keys.Ignore, sequence)]  # a key without a text that Textual does not know the name of
        return found

    XTermParser._parse_extended_key = parse_extended_key  # type: ignore[assignment,method-assign]


def type_all_text() -> None:
    """What a key types is text unless it is a control.

    Textual asks `str.isprintable`: every field drops no-break and wide spaces, joiners, and what is newer than Python.
    """
    events.Key.is_printable = property(  # type: ignore[assignment,method-assign]
        lambda key: key.character is not None and is_text(key.character)
    )


def _tolerant() -> IncrementalDecoder:
    return getincrementaldecoder("utf-8")("replace")


def _write_while_it_can(writer: WriterThread) -> None:
    gone = False
    while (text := writer._queue.get()) is not None:
        if not gone:
            try:
                writer._file.write(text)
                if writer._queue.qsize() == 0:
                    writer._file.flush()
            except (OSError, ValueError):
                gone = True
    with contextlib.suppress(OSError, ValueError):
        writer._file.flush()


def _write(writer: WriterThread, text: str) -> None:
    if writer.is_alive():
        writer._queue.put(text)


def _start_in_front(start: Callable[[Any], None]) -> Callable[[Any], None]:
    def start_in_front(driver: Any) -> None:
        """Starts, in the background (`rgchat &`) when the shell brings it to the front: it is stopped until then.

        Textual's own drivers come back without having started, or write to the shell's terminal before.
        """
        while not driver._app.signalled and not signals.in_front(driver.fileno):
            signals.stop_in_background()
            time.sleep(0.05)  # where nobody could bring it to the front, nothing stops it
        if driver._app.signalled:
            driver._app._forget_terminal()
            driver.gone = True
        else:
            start(driver)

    return start_in_front


def _write_to_terminal(driver: Any, data: str) -> None:
    if driver._writer_thread is not None:  # else it ends before it was in front
        driver._writer_thread.write(data)


def _read(driver: Any) -> None:
    try:
        driver.run_input_thread()
    except OSError:
        driver._app.call_later(driver._app.terminal_gone)
    except Exception as e:
        driver._app.call_later(driver._app._handle_exception, e)


def _stop(driver: linux_driver.LinuxDriver, *_: object) -> None:
    driver._app.pause_on_signal()  # type: ignore[attr-defined]


def _continue(driver: linux_driver.LinuxDriver, *_: object) -> None:
    driver._app.redraw_on_signal()  # type: ignore[attr-defined]


def wrap_in_no_columns() -> None:
    """Text that is wrapped where there is no room for it, such as a placeholder, is wrapped as in one column."""
    wrap = Content._wrap_and_format
    if getattr(Content, "_wraps_in_no_columns", False):
        return
    Content._wraps_in_no_columns = True  # type: ignore[attr-defined]

    def wrap_in_some(content: Content, width: int, *args: Any, **named: Any) -> Any:
        return wrap(content, max(1, width), *args, **named)

    Content._wrap_and_format = wrap_in_some  # type: ignore[assignment,method-assign]


def keep_the_order_in_the_palette() -> None:
    """Keys in the palette's line keep their order, as in the fields that are ours."""
    type_in = Input._on_key

    async def handle(field: CommandInput, event: events.Key) -> None:
        await order.handle(field, event, partial(type_in, field))

    CommandInput._on_key = handle  # type: ignore[assignment,method-assign]


def leave_screens_once() -> None:
    """A second Esc or Enter does not take away the screen below the one that is left, or the last one.

    And a list of which nothing is drawn yet has no pages.
    """
    dismiss, move_page = Screen.dismiss, OptionList._move_page
    if getattr(Screen, "_leaves_once", False):
        return
    Screen._leaves_once = True  # type: ignore[attr-defined]

    def dismiss_once(screen: Screen[Any], result: Any = None) -> AwaitComplete:
        above = screen.is_active and len(screen.app.screen_stack) > 1
        return dismiss(screen, result) if above else AwaitComplete()

    def move_drawn(options: OptionList, direction: Any) -> None:
        if options._lines:
            move_page(options, direction)

    Screen.dismiss = dismiss_once  # type: ignore[assignment,method-assign]
    OptionList._move_page = move_drawn  # type: ignore[assignment,method-assign]


def end_workers_first() -> None:
    """A widget's workers end before its parts go, and never look for one that is gone: that would end the app.

    Textual cancels them when it tells the widget that it is gone, after all of its parts. The command palette's, which
    catch that, ask whether they are cancelled before they show anything.
    """
    exit_loop = Widget._message_loop_exit
    if getattr(Widget, "_ends_workers_first", False):
        return
    Widget._ends_workers_first = True  # type: ignore[attr-defined]

    async def exit_without_workers(widget: Widget) -> None:
        widget.workers.cancel_node(widget)
        await exit_loop(widget)

    Widget._message_loop_exit = exit_without_workers  # type: ignore[assignment,method-assign]


def style_footer_keys_once() -> None:
    """A key of the footer is made compact, and then as the footer is: its styles are found twice too often.

    On a screen with one that is an eighth of what its start takes, and some of each change of the focus.
    """
    compact = FooterKey._reactives["compact"]
    if not compact._default:  # put right already
        return
    compact._default = False
    begin = FooterKey.__init__

    def begin_as_before(key: FooterKey, *arguments: Any, **options: Any) -> None:
        begin(key, *arguments, **options)
        if key.has_class("-command-palette"):  # the one that does not go by the footer
            key.set_reactive(FooterKey.compact, True)
            key.set_class(True, "-compact", update=False)

    FooterKey.__init__ = begin_as_before  # type: ignore[assignment,method-assign]


def lay_out_inline_for_the_terminal() -> None:
    """An inline screen is as wide as the terminal, whenever it is laid out.

    A layout between a change of size and the news of it would be of the old width, and where it changes the height the
    screen is told so: that overtakes the terminal's width, and it stays as it was.
    """
    refresh_layout = Screen._refresh_layout
    if getattr(Screen, "_as_wide_as_the_terminal", False):
        return
    Screen._as_wide_as_the_terminal = True  # type: ignore[attr-defined]

    def refresh_for_the_terminal(screen: Screen[Any], size: Size | None = None, scroll: bool = False) -> None:
        refresh_layout(screen, screen.app.size if screen.app.is_inline else size, scroll)

    Screen._refresh_layout = refresh_for_the_terminal  # type: ignore[assignment,method-assign]
