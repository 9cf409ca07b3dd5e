"""Backups leave out models that were downloaded or converted here and states of the model, each once, and nothing else."""

from __future__ import annotations

import logging
import shutil
import stat
from pathlib import Path

import checkpoints
import pytest
from hub_server import NAME, Hub, repository
from macs import Mac, linux, mac
from stores import say
from test_store_states import fill, right

from rgmlx import cli
from rgmlx.cli import convert
from rgmlx.errors import RgmlxError
from rgmlx.store import Store
from rgmlx.system.macos import time_machine
from rgmlx.weights import hub
from rgmlx.weights.download import Download

__all__ = ["linux", "mac"]


def fetch() -> Path:
    return Download(NAME).run(lambda done, total: None)


def forget_a_part(home: Path) -> None:
    """The next download has something to fetch."""
    for blob in (repository(home) / "blobs").iterdir():
        if blob.stat().st_size > 10_000:
            blob.unlink()


@pytest.mark.parametrize("how", ["with a count", "by its name"])
def test_a_model_that_is_downloaded_is_left_out_once(how: str, mac: Mac, server: Hub, home: Path) -> None:
    mac.program("tmutil")
    for _ in range(2):
        if how == "with a count":
            fetch()
        else:
            hub.resolve(NAME)
        forget_a_part(home)
    assert mac.calls("tmutil") == [f"addexclusion {repository(home)}"]


def test_a_look_at_what_there_is_to_fetch_does_it(mac: Mac, server: Hub, home: Path) -> None:
    """The directory is made by that: what comes later finds it there."""
    mac.program("tmutil")
    Download(NAME).plan()
    fetch()
    assert mac.calls("tmutil") == [f"addexclusion {repository(home)}"]


def test_a_directory_that_was_there_is_somebody_elses(mac: Mac, server: Hub, home: Path) -> None:
    mac.program("tmutil")
    repository(home).mkdir(parents=True)
    fetch()
    hub.resolve(NAME)
    assert not mac.calls("tmutil")


def test_one_that_was_removed_and_made_again_is_another_one(mac: Mac, server: Hub, home: Path) -> None:
    mac.program("tmutil")
    fetch()
    kept = repository(home).rename(home / "kept")  # or the new one may be given its inode
    fetch()
    assert len(mac.calls("tmutil")) == 2
    shutil.rmtree(kept)
    time_machine.leave_out(repository(home))
    time_machine.leave_out(kept)
    assert len(mac.calls("tmutil")) == 2


def test_a_download_that_fails_leaves_out_what_it_has_made(mac: Mac, server: Hub, home: Path) -> None:
    mac.program("tmutil")
    server.refuse = [("safetensors", 500, "")]
    with pytest.raises(RgmlxError):
        fetch()
    assert mac.calls("tmutil") == [f"addexclusion {repository(home)}"]


@pytest.mark.parametrize("program", ["exit 1", None])
def test_a_failure_is_a_line_in_the_log(
    program: str | None, mac: Mac, server: Hub, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if program is not None:
        mac.program("tmutil", program)
    with caplog.at_level(logging.INFO, "rgmlx"):
        assert (fetch() / "config.json").is_file()
    assert f"{repository(home)} is not left out of backups" in caplog.text
    assert all(record.levelno == logging.INFO for record in caplog.records if record.name.startswith("rgmlx"))


def test_what_can_not_be_noted_harms_nothing(mac: Mac, server: Hub, home: Path, tmp_path: Path) -> None:
    mac.program("tmutil")
    (tmp_path / "caches").write_text("a file in the way")
    assert (fetch() / "config.json").is_file()
    assert len(mac.calls("tmutil")) == 1


def test_elsewhere_nothing_is_asked(linux: Mac, server: Hub, home: Path) -> None:
    linux.program("tmutil")
    fetch()
    assert not linux.calls("tmutil")


CONFIG = checkpoints.config(hidden_size=64, lru_width=64)


def conversion(source: Path, target: Path, *options: str) -> None:
    arguments = ["convert", "--model", str(source), "--mlx-path", str(target), "--no-verify", *options]
    convert.run(cli.parser().parse_args(arguments))


def test_a_conversion_is_left_out_and_what_it_was_made_of_is_not(mac: Mac, tmp_path: Path) -> None:
    """One that replaces another is another directory."""
    mac.program("tmutil")
    source = checkpoints.write(tmp_path / "source", CONFIG, checkpoints.weights(CONFIG))
    for options in ((), ("--force",)):
        conversion(source, tmp_path / "models" / "out", *options)
        assert (tmp_path / "models" / "out" / "config.json").is_file()
    assert mac.calls("tmutil") == [f"addexclusion {tmp_path / 'models' / 'out'}"] * 2


def test_what_was_not_converted_is_backed_up(mac: Mac, tmp_path: Path) -> None:
    mac.program("tmutil")
    source = checkpoints.write(tmp_path / "source", CONFIG, checkpoints.weights(CONFIG))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("a text of mine")
    with pytest.raises(RgmlxError, match="is not only a model"):
        conversion(source, tmp_path / "mine", "--force")
    conversion(source, tmp_path / "out", "--dry-run")
    assert not mac.calls("tmutil")


def test_states_are_left_out_once_and_conversations_are_not(mac: Mac, tmp_path: Path) -> None:
    mac.program("tmutil")
    for _ in range(2):
        with Store(tmp_path / "data") as store:
            fill(store, "hello", "yes")
    assert mac.calls("tmutil") == [f"addexclusion {tmp_path / 'data' / 'states'}"]
    assert (tmp_path / "data" / "chats.db").is_file()


def test_conversations_without_states_ask_for_nothing(mac: Mac, tmp_path: Path) -> None:
    mac.program("tmutil")
    with Store(tmp_path / "data") as store:
        say(store, store.conversations.create("demo"), None, "hello", "yes")
    assert not mac.calls("tmutil")


def test_a_directory_of_that_name_with_something_else_in_it_is_backed_up(mac: Mac, tmp_path: Path) -> None:
    """Conversations may be anywhere (`--data`), beside a folder of the user's."""
    mac.program("tmutil")
    (tmp_path / "data" / "states").mkdir(parents=True)
    (tmp_path / "data" / "states").chmod(0o755)
    (tmp_path / "data" / "states" / "Ohio.txt").write_text("a text of mine")
    with Store(tmp_path / "data") as store:
        kept = fill(store, "hello", "yes")
        assert right(store, kept) == [1, 2]
    assert not mac.calls("tmutil")
    assert stat.S_IMODE((tmp_path / "data" / "states").stat().st_mode) == 0o755


@pytest.mark.parametrize("program", ["exit 1", None])
def test_states_that_can_not_be_left_out_are_kept(program: str | None, mac: Mac, tmp_path: Path) -> None:
    if program is not None:
        mac.program("tmutil", program)
    with Store(tmp_path / "data") as store:
        assert right(store, fill(store, "hello", "yes")) == [1, 2] and store.notices == []
