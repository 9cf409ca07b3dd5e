"""The commands as a shell runs them: answers on stdout, one sentence on stderr, exit codes, no tracebacks."""

from __future__ import annotations

import array
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import checkpoints
import numpy as np
import pytest
import warm
from asked import Ask, ask, piped
from rooms import ROOT
from waiting import PATIENCE, wait_for

import rgmlx.cli
import tui.cli
from rgmlx import __version__
from rgmlx.cli import common, main
from rgmlx.griffin.config import PRESETS
from rgmlx.system.printable import first_line, printable
from rgmlx.weights.hub import demo_directory

__all__ = ["ask", "piped"]


def unread(pipe: IO[bytes]) -> int:
    """Bytes in a pipe that its reader has not taken yet."""
    count = array.array("i", [0])
    fcntl.ioctl(pipe.fileno(), termios.FIONREAD, count)
    return count[0]


def run(*arguments: str, module: str = "rgmlx", **options: Any) -> subprocess.CompletedProcess[str]:
    """`python -m MODULE ARGUMENTS`, from the repository's root."""
    imported = warm.MLX_LM if "mlx-lm" in arguments else warm.COMMANDS
    return warm.run(["-m", module, *arguments], imported=imported, timeout=PATIENCE, **options)


def begun(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same with nothing imported, for what Python does as it begins."""
    command = [sys.executable, "-m", "rgmlx", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE)


def here(capsys: pytest.CaptureFixture[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, which need not import anything: for tables of what is refused."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return subprocess.CompletedProcess(arguments, ended.value.code, *capsys.readouterr())


def answered(out: subprocess.CompletedProcess[str]) -> str:
    """The answer of an `ask` that works."""
    assert (out.returncode, out.stderr) == (0, "")
    return out.stdout


def sentence(out: subprocess.CompletedProcess[str], program: str = "rgmlx") -> str:
    """The one line of a command that refuses."""
    assert out.returncode == 1, out
    assert not out.stdout
    assert re.fullmatch(rf"{program}: [^\n]+\n", out.stderr), out.stderr
    return out.stderr


# --- help ---------------------------------------------------------------------------------


def test_help_lists_the_commands_and_examples() -> None:
    out = begun("--help")
    assert out.returncode == 0 and out.stderr == ""
    assert all(name in out.stdout for name in ("ask", "info", "mlx-lm", 'rgmlx ask "', "rgchat"))


@pytest.mark.parametrize("command", ["ask", "info", "mlx-lm"])
def test_every_command_has_help_with_an_example(command: str) -> None:
    out = run(command, "--help")
    assert out.returncode == 0 and out.stderr == ""
    assert re.search(rf"^examples:\n  rgmlx {command}", out.stdout, re.MULTILINE)


def test_version() -> None:
    assert run("--version").stdout == f"rgmlx {__version__}\n"
    assert run("--version", module="tui").stdout == f"rgchat {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("ask", "--nonsense"), ("info", "a", "b")])
def test_a_wrong_command_line_is_exit_code_2_with_the_usage(arguments: tuple[str, ...]) -> None:
    out = run(*arguments)
    assert out.returncode == 2 and out.stdout == ""
    assert out.stderr.startswith("usage: rgmlx")


def refused(arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command line that is wrong says, which ends with exit code 2."""
    program, *words = arguments.split(" ")
    with pytest.raises(SystemExit) as ended:
        common.parsed({"rgmlx": rgmlx.cli.parser, "rgchat": tui.cli.parser}[program](), words)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    return err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("rgmlx ask --temperature hot", "--temperature must be a finite number, 0 or more, not 'hot'"),
        (
            "rgmlx ask --temperature 0,5",
            "--temperature must be a finite number, 0 or more, written with a point, not '0,5'",
        ),
        ("rgmlx ask --max-tokens x", "--max-tokens must be a whole number between 1 and "),
        ("rgmlx ask -n 0", "-n must be a whole number, 1 or more, not '0'"),
        ("rgmlx sessions show x --last \x1b", "--last must be a whole number, 1 or more, not '\ufffd'"),
        ("rgmlx convert a b --q-bits many", "--q-bits must be a whole number, not 'many'"),
        ("rgmlx desktop run x --minutes soon", "--minutes must be a number, not 'soon'"),
        ("rgchat --temperature hot", "--temperature must be a finite number, 0 or more, not 'hot'"),
        ("rgchat --seed x", "--seed must be a whole number between "),
    ],
)
def test_a_wrong_number_is_one_sentence_and_exit_code_2(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused(arguments, capsys)
    assert err.startswith(f"{arguments.split()[0]}: {said}") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("rgmlx ask --temprature=1 hi", "rgmlx ask: error: there is no --temprature: did you mean --temperature?"),
        ("rgmlx sessions show x --lats 2", "rgmlx sessions show: error: there is no --lats: did you mean --last?"),
        ("rgchat --sessions diary", "rgchat: error: there is no --sessions: did you mean --session?"),
        ("rgchat --nonsense", "rgchat: error: unrecognized arguments: --nonsense"),
    ],
)
def test_an_option_that_is_nearly_one_is_told_which(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    err = refused(arguments, capsys)
    assert err.startswith("usage: rg") and err.endswith(f"{said}\n")


def test_help_needs_no_model_and_no_mlx() -> None:
    code = "import sys; from rgmlx.cli import parser; parser().format_help(); print('mlx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


# --- ask ----------------------------------------------------------------------------------


def test_ask_prints_an_answer() -> None:
    answer = answered(begun("ask", "Who are you?", "--max-tokens", "30"))
    assert answer.strip() and answer.endswith("\n")


def test_the_same_seed_gives_the_same_answer(ask: Ask) -> None:
    """In another process too."""

    def story(seed: str) -> tuple[str, ...]:
        return "Tell me a story", "--seed", seed, "--temperature", "1", "--max-tokens", "12"

    first, other = (answered(ask(*story(seed))) for seed in ("7", "8"))
    assert answered(run("ask", *story("7"))) == answered(ask(*story("7"))) == first != other


def test_max_tokens(demo: Any, ask: Ask) -> None:
    def length(n: str) -> int:
        answer = answered(ask("Once", "--raw", "--temperature", "0", "--max-tokens", n))
        return len(demo.tokenizer.encode(answer.removesuffix("\n")))

    assert 1 <= length("3") <= 3 < length("12") <= 12


@pytest.mark.parametrize("arguments", [(), ("-",)])
def test_ask_reads_standard_input(arguments: tuple[str, ...], ask: Ask) -> None:
    options = ("--temperature", "0", "--max-tokens", "8")
    given = run("ask", *arguments, *options, input="Who are you?\n")
    assert answered(given) == answered(ask("Who are you?", *options))


def test_ask_refuses_input_that_is_not_utf_8() -> None:
    """Read as anything else it would be another question."""
    command = [sys.executable, "-m", "rgmlx", "ask", "--max-tokens", "2"]
    out = subprocess.run(command, input=b"caf\xe9?", capture_output=True, cwd=ROOT)
    assert out.returncode == 1 and out.stdout == b""
    assert out.stderr.startswith(b"rgmlx: standard input is not UTF-8 text: convert it first")


def test_raw_goes_on_with_the_text_and_system_stands_in_front(demo: Any, ask: Ask) -> None:
    options = ("--temperature", "0", "--max-tokens", "6")
    raw = demo.generate("Once upon", raw=True, temperature=0, max_tokens=6)
    assert answered(ask("Once upon", "--raw", *options)) == raw + "\n"
    with_system = "".join(demo.chat(system="Your name is Bob.", temperature=0).send("Who are you?", max_tokens=6))
    assert answered(ask("Who are you?", "--system", "Your name is Bob.", *options)) == with_system + "\n"
    assert "--system" in sentence(ask("hi", "--raw", "--system", "x"))


@pytest.mark.parametrize("words", [("-", "extra"), ("extra", "-"), ("3", "-", "2"), ("-", "-")])
def test_a_dash_stands_alone(words: tuple[str, ...]) -> None:
    """Fault 12h: it became a part of the question, while the help says that it reads one."""
    said = sentence(run("ask", *words, input="Who are you?"))
    assert "- reads the question from standard input and stands alone" in said and "in quotes" in said


def test_a_dash_in_quotes_is_text(ask: Ask) -> None:
    assert answered(ask("What is 3 - 2?", "--max-tokens", "2"))


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_question(text: str) -> None:
    assert "the question is empty" in sentence(run("ask", text))
    assert "the question is empty" in sentence(run("ask", input=text))


@pytest.mark.parametrize(
    ("option", "value"),
    [("--max-tokens", "x"), ("--seed", "1.5"), ("--temperature", "warm"), ("--top-p", ""), ("--min-p", "1,5")],
)
def test_what_is_no_number_is_exit_code_2(option: str, value: str) -> None:
    out = run("ask", "hi", option, value)
    assert out.returncode == 2
    assert option in out.stderr and "Traceback" not in out.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--max-tokens", "-3"),
        ("--max-tokens", "0"),
        ("--max-tokens", str(2**63)),
        ("--max-tokens", "9" * 23),
        ("--seed", "-1"),
        ("--seed", str(2**63)),
        ("--temperature", "-1"),
        ("--temperature", "nan"),
        ("--temperature", "inf"),
        ("--top-p", "2"),
        ("--min-p", "-0.1"),
        ("--repetition-penalty", "-1"),
    ],
)
def test_a_number_out_of_range_is_exit_code_1_and_named(option: str, value: str) -> None:
    said = sentence(run("ask", "hi", "--max-tokens", "1", option, value))
    assert option.strip("-").replace("-", "_") in said


@pytest.mark.parametrize("name", ["nope", "2b", "./nope", "", "~nobody/x", "a" * 5000, "caf\udce9"])
def test_an_unknown_model(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["ask", "hi", "--model"], ["info"]):
        if (command, name) != (["info"], "2b"):
            # What a shell gives may be no text in its encoding, which is a matter of how a process begins.
            out = here(capsys, *command, name) if name.isascii() else begun(*command, name)
            assert "name a directory, a Hugging Face repository" in sentence(out)


# --- info ---------------------------------------------------------------------------------


def facts(out: subprocess.CompletedProcess[str]) -> dict[str, str]:
    assert out.returncode == 0, out.stderr
    assert out.stderr == ""
    rows = [re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in out.stdout.splitlines() if line.strip()]
    return {r[0]: r[1] for r in rows if len(r) == 2}


WIDE = {"env": os.environ | {"COLUMNS": "250"}}


@pytest.mark.parametrize("name", ["2b", "9b"])
def test_info_of_the_published_shapes(name: str) -> None:
    f, c = facts(run("info", name, **WIDE)), PRESETS[name]
    assert f["parameters"] == f"{c.parameter_counts()['total']:,}"
    assert f["without embedding"] == f"{c.parameter_counts()['non_embedding']:,}"
    assert f["width"] == f"{c.hidden_size:,}" and f["state, 16-bit"].startswith(f"{c.state_nbytes(2):,} bytes")
    assert "no weights here" in f["on disk"]


def test_info_of_the_embedded_model_is_the_default() -> None:
    f = facts(run("info", **WIDE))
    assert f == facts(run("info", "demo", **WIDE))
    assert f["vocabulary"] == "8,192" and f["precision"].startswith("4 and 6 bits, ")


def test_info_of_a_directory(tmp_path: Path) -> None:
    config = checkpoints.config(lru_width=48, num_hidden_layers=3)
    checkpoints.write(tmp_path / "caf\u00e9 [bold]", config, checkpoints.weights(config), shards=2)
    f = facts(run("info", str(tmp_path / "caf\u00e9 [bold]"), **WIDE))
    assert str(tmp_path / "caf\u00e9 [bold]") in f["model"]
    assert (f["RNN width"], f["layers"]) == ("48", "3  (2 recurrent, 1 attention)")
    size = sum(p.stat().st_size for p in (tmp_path / "caf\u00e9 [bold]").glob("*.safetensors"))
    assert f["on disk"].startswith(f"{size:,} bytes")


def test_info_lists_every_module_and_reads_no_weight() -> None:
    out = run("info", "9b", "--layers", **WIDE)
    lines = [line for line in out.stdout.splitlines() if line.startswith("model.")]
    assert len([line for line in lines if "RGLRU" in line]) == 26
    assert "model.layers.37.mlp_block.down_proj  Linear  weight 4096x12288, bias 4096" in lines
    assert "4-bit" in run("info", "demo", "--layers", **WIDE).stdout


def test_info_of_a_damaged_model(tmp_path: Path) -> None:
    assert "holds no config.json" in sentence(run("info", str(tmp_path)))
    config = checkpoints.config()
    path = checkpoints.write(tmp_path, config, checkpoints.weights(config)) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "1 bytes are missing" in sentence(run("info", str(tmp_path)))


# --- a model whose weights are another's --------------------------------------------------


def other_layers(directory: Path) -> Path:
    """A copy of the embedded model, with a configuration that asks for fewer layers."""
    shutil.copytree(demo_directory(), directory)
    config = json.loads((directory / "config.json").read_text()) | {"num_hidden_layers": 3}
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def cut_off(directory: Path) -> Path:
    shutil.copytree(demo_directory(), directory)
    path = directory / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    return directory


TAKE_A_MODEL = {
    "ask": ("ask", "hi", "--model", "MODEL"),
    "info": ("info", "MODEL"),
    "convert": ("convert", "--model", "MODEL", "--mlx-path", "OUT"),
    "convert --dry-run": ("convert", "--model", "MODEL", "--dry-run"),
    "compare": ("compare", "MODEL", "demo"),
    "compare with it": ("compare", "demo", "MODEL"),
    "mlx-lm": ("mlx-lm", "generate", "--model", "MODEL"),
    "mlx-lm convert": ("mlx-lm", "convert", "--hf-path", "MODEL", "--mlx-path", "OUT"),
}


@pytest.mark.parametrize("command", TAKE_A_MODEL)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (other_layers, "the tensor model.layers.10.channel_pre_norm.weight is not part of this architecture"),
        (cut_off, "model.safetensors is truncated (100 bytes are missing)"),
    ],
)
def test_every_command_refuses_a_model_that_is_none(
    command: str, damage: Callable[[Path], Path], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults 9 and 13f: compare took it, and info described it; the exit code is 1, whoever refuses."""
    places = {"MODEL": str(damage(tmp_path / "model")), "OUT": str(tmp_path / "out")}
    words = [places.get(word, word) for word in TAKE_A_MODEL[command]]
    # mlx-lm's own error has the whole way to the end of a process to go.
    refused = sentence(run(*words) if command in ("ask", "mlx-lm convert") else here(capsys, *words))
    assert said in refused
    if "compare" in command:
        assert str(tmp_path / "model") in refused
    assert not (tmp_path / "out").exists()


# --- terminals, pipes and signals ---------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "Tell me a story", "--max-tokens", "20"),
        ("info",),
        ("info", "2b", "--layers"),
        ("--help",),
        ("ask", "--help"),
    ],
    ids=" ".join,
)
def test_a_reader_that_goes_away(arguments: tuple[str, ...]) -> None:
    """`rgmlx ... | head -0`: nobody holds the other end of the pipe any more."""
    reader, writer = os.pipe()
    os.close(reader)
    out = run(*arguments, stdout=writer)
    os.close(writer)
    assert out.stderr == ""
    assert out.returncode in (0, 1, 141)


def test_head() -> None:
    command = f"{sys.executable} -m rgmlx info 2b --layers | head -1"
    out = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert out.stdout.split() == ["model", "2b"] and out.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [("info",), ("ask", "hi", "--max-tokens", "2")], ids=" ".join)
def test_output_to_a_full_disk(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        assert "the output can't be written: No space left" in sentence(run(*arguments, stdout=full))


def test_an_error_never_goes_to_stdout() -> None:
    command = f"{sys.executable} -m rgmlx info nope 2>&-"
    out = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert (out.returncode, out.stdout) == (1, "")


def test_a_terminal_that_cannot_show_a_character(tmp_path: Path) -> None:
    config = checkpoints.config()
    checkpoints.write(tmp_path / "caf\u00e9", config, checkpoints.weights(config))
    env = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "250"}
    assert "caf?" in run("info", str(tmp_path / "caf\u00e9"), env=env).stdout


@pytest.mark.parametrize(
    "arguments", [["Once", "--raw", "--temperature", "0", "--max-tokens", "100000"], []], ids=["writing", "waiting"]
)
def test_ctrl_c(arguments: list[str]) -> None:
    """While it writes, and while it waits for a question: exit code 130, no traceback."""
    code = "import sys; from rgmlx.cli import main; print('>', flush=True); main(['ask', *sys.argv[1:]])"
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        **pipes,
    )
    assert process.stdout.read(2) == b">\n"
    if arguments:
        assert process.stdout.read(1)
    else:
        process.stdin.write(b"x")
        process.stdin.flush()
        wait_for(lambda: not unread(process.stdin))  # it is at its question
    process.send_signal(signal.SIGINT)
    process.stdout.read()
    assert process.stderr.read() == b"\n"
    process.stdin.close()
    assert process.wait(PATIENCE) == 130


def test_control_characters_are_shown_and_not_obeyed() -> None:
    assert printable("a\x1b[31mb\x1b]0;title\x07c") == "a\ufffd[31mb\ufffd]0;title\ufffdc"
    for code in [*range(0x20), *range(0x7F, 0xA0), 0x200E, 0x202E, 0x2066, 0x2069]:
        assert printable(chr(code)) == (chr(code) if chr(code) in "\t\n" else "\ufffd")
    plain = "Hello,\n\tcaf\u00e9 \u6f22\u5b57 \U0001f469\u200d\U0001f467 \u2764\ufe0f ~\u00a0"
    assert printable(plain) == plain


def test_first_line_of_an_error() -> None:
    assert first_line(ValueError("one\ntwo")) == "one"
    assert first_line(ValueError("")) == first_line(ValueError("\n")) == "ValueError"


ESCAPE = "\x1b]0;pwned\x07"


def test_a_name_from_a_file_cannot_command_the_terminal(tmp_path: Path) -> None:
    config = checkpoints.config()
    tensors = checkpoints.weights(config) | {f"x{ESCAPE}\ny": np.zeros(2, np.float32)}
    checkpoints.write(tmp_path, config, tensors)
    said = sentence(run("ask", "hi", "--model", str(tmp_path)))
    assert "x\ufffd]0;pwned\ufffd y is not part" in said


def test_text_of_a_model_cannot_command_the_terminal() -> None:
    """On a terminal control characters are replaced; in a pipe the text stays as it is."""
    code = (
        "import rgmlx.model\n"
        "from rgmlx.cli import main\n"
        "from rgmlx.tokenizer import Detokenizer\n"
        "load = rgmlx.model.load\n"
        "def loaded(name):\n"
        "    model = load(name)\n"
        f"    pieces = iter(['fox', {ESCAPE!r}, '!'])\n"
        "    Detokenizer.add = lambda *_: next(pieces)\n"
        "    return model\n"
        "rgmlx.model.load = loaded\n"
        "main(['ask', 'Once', '--raw', '--temperature', '0', '--max-tokens', '3'])"
    )
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert piped.stdout == f"fox{ESCAPE}!\n"

    master, slave = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 4096):
            shown += piece
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(master)
    assert process.wait(PATIENCE) == 0
    assert shown.decode() == "fox\ufffd]0;pwned\ufffd!\r\n"


def test_ask_without_a_question_on_a_terminal() -> None:
    master, slave = pty.openpty()
    out = run("ask", stdin=slave)
    os.close(master)
    os.close(slave)
    assert "there is no question" in sentence(out)


# --- mlx-lm and the chat ------------------------------------------------------------------


def test_mlx_lm_without_or_with_an_unknown_command() -> None:
    assert "name one of mlx-lm's commands" in sentence(run("mlx-lm"))
    assert "mlx-lm has no command 'nonsense'" in sentence(run("mlx-lm", "nonsense"))


def test_the_chat_has_help() -> None:
    out = run("--help", module="tui")
    assert out.returncode == 0 and out.stderr == ""
    assert "--model" in out.stdout and re.search(r"^examples:\n  rgchat", out.stdout, re.MULTILINE)


def test_the_home_of_nobody_holds_no_conversations() -> None:
    """It was a traceback."""
    said = sentence(run("--plain", "--data", "~nobody-here/x", module="tui"), "rgchat")
    assert "there is no user 'nobody-here'" in said


def test_the_chat_needs_a_terminal() -> None:
    assert "this is not a terminal: add a question" in sentence(run(module="tui"), "rgchat")
