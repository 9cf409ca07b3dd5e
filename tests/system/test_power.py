"""A Mac stays awake while something long runs, and no longer; elsewhere nothing is begun."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hub_server import NAME, Hub
from macs import STAY_AWAKE, Mac, linux, mac
from scripted import Scripted, idle, type_and_send
from waiting import wait_for, wait_until

import rgmlx
from rgmlx import cli
from rgmlx.cli import ask, compare, convert
from rgmlx.convert import pipeline
from rgmlx.errors import RgmlxError
from rgmlx.system.macos import power
from rgmlx.tokenizer import Detokenizer
from rgmlx.weights import hub
from rgmlx.weights.download import Download
from tui.app import ChatApp
from tui.plain.worker import Worker

__all__ = ["linux", "mac"]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs is long."""
    monkeypatch.setattr(power, "AFTER", 0.0)


@pytest.fixture
def awake(mac: Mac) -> Callable[[], bool]:
    """Whether the Mac is kept awake, by one process."""
    mac.program("caffeinate", STAY_AWAKE)

    def kept() -> bool:
        assert mac.running("caffeinate") <= 1
        return mac.running("caffeinate") == 1

    return kept


def timers() -> list[threading.Thread]:
    """Those of the program: the limit of time that a test has is one as well."""
    found = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    return [thread for thread in found if thread.function.__module__ == power.__name__]


def test_one_process_that_ends_with_what_runs(mac: Mac, awake: Callable[[], bool]) -> None:
    for _ in range(2):
        with power.awake():
            wait_for(awake)
            with power.awake(), power.awake():
                assert awake()
            assert awake()
        assert not awake()
    assert mac.calls("caffeinate") == [f"-i -w {os.getpid()}"] * 2


def test_an_error_ends_it_too(awake: Callable[[], bool]) -> None:
    for error in (RgmlxError, KeyboardInterrupt):
        with pytest.raises(error), power.awake():
            wait_for(awake)
            raise error
        assert not awake()


def test_several_threads_have_one_until_the_last_is_done(mac: Mac, awake: Callable[[], bool]) -> None:
    done = threading.Event()

    def run() -> None:
        with power.awake():
            done.wait()

    threads = [threading.Thread(target=run) for _ in range(5)]
    with power.awake():
        for thread in threads:
            thread.start()
        wait_for(awake)
    assert awake()
    done.set()
    for thread in threads:
        thread.join()
    assert not awake() and len(mac.calls("caffeinate")) == 1


def test_what_is_short_begins_none(mac: Mac, awake: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "AFTER", 3600.0)
    for _ in range(3):
        with power.awake():
            assert timers()
    wait_for(lambda: not timers())
    assert not mac.calls("caffeinate")


def test_a_mac_without_the_program_goes_on(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(mac.bin))
    with power.awake():
        wait_for(lambda: not timers())
    (mac.bin / "caffeinate").write_text("no program\n")
    (mac.bin / "caffeinate").chmod(0o755)  # which can't be begun
    with power.awake():
        wait_for(lambda: not timers())


def test_a_process_that_is_paused_lets_it_sleep(awake: Callable[[], bool]) -> None:
    """Ctrl+Z during a reply: whoever forgets the program has not forgotten the battery."""
    with power.awake():
        wait_for(awake)
        with power.paused():
            assert not awake()
        wait_for(awake)
    with power.paused():
        pass
    assert not awake()


async def test_a_chat_that_is_paused_lets_it_sleep(
    awake: Callable[[], bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl+Z on the screen: nothing is kept awake while the process is stopped, and again from then on."""
    seen: list[bool] = []
    kill = os.kill

    def stop(process: int, number: int) -> None:
        if number == signal.SIGTSTP:
            seen.append(awake())
        else:
            kill(process, number)

    monkeypatch.setattr(os, "kill", stop)
    app = ChatApp(Scripted(tmp_path / "data"))
    async with app.run_test(size=(80, 24)):
        await wait_until(lambda: idle(app))
        with power.awake():
            await wait_until(awake)
            app._pause(0)
            await wait_until(awake)
        assert seen == [False] and not awake()


def test_elsewhere_nothing_is_begun(linux: Mac) -> None:
    linux.program("caffeinate", STAY_AWAKE)
    with power.awake():
        assert not timers()
    assert not linux.calls("caffeinate")


# --- what is long -------------------------------------------------------------------------


@pytest.mark.parametrize("ends", ["by itself", "by an error", "by a key"])
async def test_a_reply_on_the_screen(ends: str, awake: Callable[[], bool], tmp_path: Path) -> None:
    go_on = threading.Event()

    def pieces() -> Iterator[str]:
        yield "a word"
        while not go_on.is_set() and not session._cancel.is_set():
            go_on.wait(0.05)
        if ends == "by an error":
            raise RuntimeError("no more")
        yield " and another"

    session = Scripted(tmp_path / "data")
    session.pieces = pieces()  # type: ignore[assignment]
    app = ChatApp(session)
    async with app.run_test(size=(80, 24)):
        await wait_until(lambda: idle(app) and not awake())
        await type_and_send(app, "hello")
        await wait_until(awake)
        if ends == "by a key":
            app.simulate_key("escape")
        else:
            go_on.set()
        await wait_until(lambda: idle(app) and not awake())


async def test_a_text_that_is_read_on_the_screen(awake: Callable[[], bool], tmp_path: Path) -> None:
    go_on = threading.Event()
    session = Scripted(tmp_path / "data")
    session.sync = lambda: int(not go_on.wait())  # type: ignore[method-assign]
    app = ChatApp(session)
    async with app.run_test(size=(80, 24)):
        await wait_until(awake)
        go_on.set()
        await wait_until(lambda: idle(app) and not awake())


def test_what_is_done_in_plain_lines(awake: Callable[[], bool]) -> None:
    work = Worker(lambda: None, lambda text: None)

    def last() -> Iterator[str]:
        wait_for(awake)
        yield "a word"

    def fail() -> None:
        wait_for(awake)
        raise RgmlxError("no more")

    work.run(last, lambda: "")
    assert not awake()
    with pytest.raises(RgmlxError, match="no more"):
        work.run(fail, lambda: "")
    assert not awake()


@pytest.mark.parametrize("fails", [False, True])
def test_a_conversion(fails: bool, awake: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(job: object, progress: object) -> Iterator[str]:
        wait_for(awake)
        yield "a line"
        if fails:
            raise RgmlxError("no more")

    monkeypatch.setattr(pipeline, "run", run)
    options = cli.parser().parse_args(["convert", "--model", "demo", "--mlx-path", "x"])
    try:
        convert.run(options)
    except RgmlxError:
        assert fails
    assert isinstance(options, argparse.Namespace) and not awake()


@pytest.mark.parametrize("options", [[], ["--raw"]])
def test_an_answer_on_the_command_line(
    options: list[str],
    awake: Callable[[], bool],
    demo: rgmlx.Model,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def add(self: Detokenizer, token: int) -> str:
        wait_for(awake)
        return "an answer"

    monkeypatch.setattr(Detokenizer, "add", add)
    monkeypatch.setattr("rgmlx.model.load", lambda name: demo)
    ask.run(cli.parser().parse_args(["ask", "Hi", "--max-tokens", "1", *options]))
    assert capsys.readouterr().out == "an answer\n" and not awake()


def test_a_comparison(awake: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bool] = []

    def outputs(*_: object) -> SimpleNamespace:
        kept.append(awake())
        return SimpleNamespace(tokens=1, sentence=lambda: "the same")

    monkeypatch.setattr("rgmlx.convert.compare.tensor_errors", lambda *_: wait_for(awake) or {"w": 0.0})
    monkeypatch.setattr("rgmlx.convert.compare.outputs", outputs)
    compare.run(cli.parser().parse_args(["compare", "demo", "demo"]))
    assert kept == [True] and not awake()


@pytest.mark.parametrize("how", ["with a count", "by its name"])
def test_a_download(how: str, awake: Callable[[], bool], server: Hub, home: Path) -> None:
    held: list[str] = []

    def hold(name: str, at: int) -> None:
        if not held:
            wait_for(awake)
            held.append(name)

    server.hold = hold
    if how == "with a count":
        Download(NAME).run(lambda done, total: None)
    else:
        hub.resolve(NAME)
    assert held and not awake()


def test_a_download_that_fails(
    awake: Callable[[], bool], server: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = SimpleNamespace(sleep=lambda seconds: None)  # the hub's client tries again five times
    monkeypatch.setattr("huggingface_hub.utils._http.time", quick)
    server.refuse = [("/resolve/", 500, "")]
    with pytest.raises(RgmlxError):
        Download(NAME).run(lambda done, total: None)
    assert not awake()


# --- what is shown ------------------------------------------------------------------------

BATTERY = "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=4653155)\t82%; discharging; 3:15 remaining present: true\n"
MAINS = "Now drawing from 'AC Power'\n -InternalBattery-0 (id=4653155)\t97%; charged; 0:00 remaining present: true\n"
SETTINGS = "System-wide power settings:\nCurrently in use:\n standby              1\n{} sleep                1\n"


@pytest.mark.parametrize(
    ("source", "mode", "told"),
    [
        (BATTERY, " lowpowermode         1\n", {"power": "Battery Power, battery at 82%, discharging", "low": "on"}),
        (MAINS, " lowpowermode         0\n", {"power": "AC Power, battery at 97%, charged", "low": "off"}),
        ("Now drawing from 'AC Power'\n", " powermode            2\n", {"power": "AC Power", "low": "off"}),
        (BATTERY, " powermode            1\n", {"power": "Battery Power, battery at 82%, discharging", "low": "on"}),
        (MAINS, "", {"power": "AC Power, battery at 97%, charged"}),
        ("no such thing", "", {}),
    ],
)
def test_what_there_is_to_tell_of_the_power(mac: Mac, source: str, mode: str, told: dict[str, str]) -> None:
    (mac.bin / "batt").write_text(source)
    (mac.bin / "settings").write_text(SETTINGS.format(mode))
    mac.program("pmset", f'if [ "$2" = batt ]; then cat {mac.bin}/batt; else cat {mac.bin}/settings; fi')
    found = power.described()
    assert {name.replace("low-power mode", "low"): value for name, value in found.items()} == told
    assert sorted(mac.calls("pmset")) == ["-g", "-g batt"]
