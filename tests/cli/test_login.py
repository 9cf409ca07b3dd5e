"""`rgmlx login`, and where the token comes from that a download is made with."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import warm
from hub_server import NAME, Hub
from macs import KEYCHAIN, Mac, linux, mac
from ptys import Pty, ptys
from test_hub import sentence, surroundings
from waiting import PATIENCE

from rgmlx.errors import RgmlxError
from rgmlx.system.macos import keychain
from rgmlx.weights import account, hub
from rgmlx.weights.download import Download

__all__ = ["linux", "mac", "ptys"]

TOKEN = "hf_abcDEF0123456789"
RUN = "from rgmlx.cli import main; main()"


def login(tmp_path: Path, endpoint: str, text: str, command: list[str] | None = None, **environment: str) -> Any:
    """`rgmlx login` in a process of its own, which reads this."""
    env = surroundings(tmp_path, endpoint) | environment
    if command is None:
        return warm.run(["-m", "rgmlx", "login"], input=text, env=env, timeout=PATIENCE)
    return subprocess.run([*command, "login"], input=text, env=env, capture_output=True, text=True, timeout=PATIENCE)


def kept(tmp_path: Path) -> Path:
    """Where huggingface_hub looks for it."""
    return tmp_path / "home" / "token"


def test_a_token_is_kept_where_huggingface_hub_looks_for_it(hub: Hub, tmp_path: Path) -> None:
    hub.users = {TOKEN: "anna"}
    out = login(tmp_path, hub.url, f"  {TOKEN}\n")
    assert out.returncode == 0, out.stderr
    assert out.stdout == f"Logged in to Hugging Face as anna. The token is in {kept(tmp_path)}.\n" and not out.stderr
    assert kept(tmp_path).read_text() == TOKEN and stat.S_IMODE(kept(tmp_path).stat().st_mode) == 0o600
    assert [p.name for p in kept(tmp_path).parent.iterdir()] == ["token"]
    ask = "import huggingface_hub; print(huggingface_hub.get_token())"
    env = surroundings(tmp_path, hub.url)
    done = subprocess.run([sys.executable, "-c", ask], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == f"{TOKEN}\n"


def test_one_that_hugging_face_does_not_know_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    assert "does not know this token" in sentence(login(tmp_path, hub.url, TOKEN))
    assert not kept(tmp_path).exists()


@pytest.mark.parametrize("offline", ["", "1"])
def test_without_a_network_it_is_kept_unchecked(offline: str, tmp_path: Path, closed: str) -> None:
    out = login(tmp_path, closed, TOKEN, HF_HUB_OFFLINE=offline)
    assert out.returncode == 0 and not out.stderr
    assert out.stdout == f"The token is in {kept(tmp_path)}. Hugging Face could not be reached to check it.\n"
    assert kept(tmp_path).read_text() == TOKEN


@pytest.mark.parametrize("text", ["", "\n", "two words here", "hf_$(reboot)", "hf_é23456789", "short", "x" * 600])
def test_what_is_no_token_is_refused_without_a_look_at_the_network(text: str, hub: Hub, tmp_path: Path) -> None:
    assert "no token of Hugging Face" in sentence(login(tmp_path, hub.url, text))
    assert not hub.asked and not kept(tmp_path).exists()


def test_a_place_that_can_not_be_written(hub: Hub, tmp_path: Path) -> None:
    hub.users = {TOKEN: "anna"}
    (tmp_path / "home").write_text("a file in the way")
    assert f"the token can't be kept in {kept(tmp_path)}" in sentence(login(tmp_path, hub.url, TOKEN))


def test_a_variable_that_comes_first_is_named(hub: Hub, tmp_path: Path) -> None:
    hub.users = {TOKEN: "anna"}
    assert "HF_TOKEN is set" in login(tmp_path, hub.url, TOKEN, HF_TOKEN="hf_another_one").stderr


def test_it_is_asked_for_in_a_terminal_and_not_shown(
    hub: Hub, ptys: Callable[..., Pty], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.users = {TOKEN: "anna"}
    for name, value in surroundings(tmp_path, hub.url).items():
        monkeypatch.setenv(name, value)
    pty = ptys(sys.executable, "-m", "rgmlx", "login")
    pty.wait("Token (it is not shown): ")
    pty.send(f"{TOKEN}\r")
    pty.wait("Logged in to Hugging Face as anna.")
    assert pty.end() == 0 and TOKEN not in pty.raw.decode()
    pty = ptys(sys.executable, "-m", "rgmlx", "login")
    pty.wait("Token (it is not shown): ")
    pty.send("\x04")
    pty.wait("no token was given")
    assert pty.end() == 1 and kept(tmp_path).read_text() == TOKEN


# --- the Keychain -------------------------------------------------------------------------


def test_on_a_mac_it_is_in_the_keychain(mac: Mac, hub: Hub, tmp_path: Path) -> None:
    """And never in a command line, which every program can read."""
    mac.program("security", KEYCHAIN)
    hub.users = {TOKEN: "anna", f"{TOKEN}2": "anna"}
    for token in (TOKEN, f"{TOKEN}2"):
        out = login(tmp_path, hub.url, token, mac.python(RUN))
        assert out.stdout == "Logged in to Hugging Face as anna. The token is in your Keychain, as rgmlx.\n", out.stderr
        assert keychain.read() == token
    assert set(mac.calls("security")) == {"-i", "find-generic-password -s rgmlx -w"}
    assert not kept(tmp_path).exists()


@pytest.mark.parametrize("script", ["exit 1", "exit 0", "echo hf_of_somebody_else"])
def test_where_the_keychain_can_not_be_written_it_is_kept_as_elsewhere(
    script: str, mac: Mac, hub: Hub, tmp_path: Path
) -> None:
    mac.program("security", script)
    hub.users = {TOKEN: "anna"}
    assert str(kept(tmp_path)) in login(tmp_path, hub.url, TOKEN, mac.python(RUN)).stdout
    assert kept(tmp_path).read_text() == TOKEN


def test_elsewhere_the_program_of_that_name_is_not_asked(linux: Mac) -> None:
    linux.program("security", KEYCHAIN)
    assert keychain.read() is None and not keychain.write(TOKEN)
    assert account.token() is None and not linux.calls("security")


@pytest.mark.parametrize("how", ["with a count", "by its name"])
def test_a_download_comes_with_the_token(how: str, mac: Mac, server: Hub, home: Path) -> None:
    mac.program("security", KEYCHAIN)
    assert keychain.write(TOKEN)
    if how == "with a count":
        Download(NAME).run(lambda done, total: None)
    else:
        hub.resolve(NAME)
    asked = [token for asked, token in zip(server.asked, server.tokens, strict=True) if NAME in asked]
    assert len(asked) > 3 and set(asked) == {TOKEN}


@pytest.mark.parametrize("name", account.VARIABLES)
def test_the_environment_comes_first(name: str, mac: Mac, monkeypatch: pytest.MonkeyPatch) -> None:
    mac.program("security", KEYCHAIN)
    assert keychain.write(TOKEN) and account.token() == TOKEN
    monkeypatch.setenv(name, "hf_another_one")
    assert account.token() is None


@pytest.mark.parametrize("secret", ["two words", 'with"quotes', "a\nb", "", "é"])
def test_what_a_command_would_take_apart_is_not_given_to_one(secret: str, mac: Mac) -> None:
    mac.program("security", KEYCHAIN)
    assert not keychain.write(secret) and not mac.calls("security")
    with pytest.raises(RgmlxError):
        account.checked(secret)
