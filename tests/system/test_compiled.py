"""D19: nothing is compiled into the shared directory for temporary files, and nothing loaded from there."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
import rooms
from waiting import PATIENCE

from rgmlx.generation.sampling import mlx_lm_samplers
from rgmlx.kernels import elementwise, launch
from rgmlx.system import cache

ASK = ["ask", "Tell me a joke", "--max-tokens", "8", "--seed", "1", "--min-p", "0.01", "--repetition-penalty", "1.1"]
COMPILING = "from rgmlx.kernels import elementwise; elementwise._original = lambda f: f\n"
"""As it was: the functions that MLX compiles are left compiled."""
EVIL = """
#include <cstdio>
#include <cstdlib>
__attribute__((constructor)) static void run() { std::fclose(std::fopen(std::getenv("EVIL_MARK"), "w")); std::_Exit(66); }
"""


def rgmlx_in(temporary: Path, *arguments: str, before: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """The command with another directory for temporary files."""
    code = f"{before}from rgmlx.cli import main\nmain({list(arguments)!r})"
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "TMPDIR": str(temporary), **env},
    )


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for temporary files in which MLX has compiled what an answer takes."""
    if shutil.which("g++") is None:
        pytest.skip("there is no g++: MLX compiles nothing on this machine")
    temporary = tmp_path_factory.mktemp("shared")
    done = rgmlx_in(temporary, *ASK, before=COMPILING)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(temporary.rglob("mlx/*/cpu/*.so"))) > 2
    return temporary


def test_a_library_that_somebody_else_has_put_there_is_not_loaded(compiled: Path, tmp_path: Path) -> None:
    shared, mark = tmp_path / "shared", tmp_path / "mark"
    shutil.copytree(compiled, shared)
    source = tmp_path / "evil.cpp"
    source.write_text(EVIL)
    subprocess.run(["g++", "-shared", "-fPIC", "-o", str(tmp_path / "evil.so"), str(source)], check=True)
    for library in shared.rglob("*.so"):
        shutil.copy(tmp_path / "evil.so", library)
    done = rgmlx_in(shared, *ASK, before=COMPILING, EVIL_MARK=str(mark))
    assert done.returncode == 66  # so it would have been taken
    assert mark.exists()
    mark.unlink()
    done = rgmlx_in(shared, *ASK, EVIL_MARK=str(mark))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert not mark.exists()


def test_a_library_that_was_cut_off_harms_nobody(compiled: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shutil.copytree(compiled, shared)
    for library in shared.rglob("*.so"):
        library.write_bytes(library.read_bytes()[:1000])
    assert rgmlx_in(shared, *ASK, before=COMPILING).returncode != 0  # as it was: a traceback, or a bus error
    done = rgmlx_in(shared, *ASK)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_directory_for_temporary_files_that_is_missing_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("missing", "file"):
        done = rgmlx_in(tmp_path / name, *ASK)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip()


def test_a_full_directory_for_temporary_files(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        with pytest.raises(OSError, match="No space left"), (tmp_path / "filling").open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
        done = rgmlx_in(tmp_path, *ASK)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


EVERYTHING = f"""
import sys
sys.path.insert(0, {str(rooms.TESTS)!r})
from pathlib import Path
import rgmlx
from rgmlx.convert import pipeline
from rgmlx.convert.recipe import RECIPES
import checkpoints
import mlx.core as mx
m = rgmlx.load()
for s in ({{"temperature": 0}}, {{"top_p": 0.5}}, {{"min_p": 0.1, "top_k": 3}}, {{"presence_penalty": 1.0, "frequency_penalty": 1.0}}):
    m.generate("Hi", max_tokens=3, seed=1, **s)
m.batch(["Hi", "Who are you?"], max_tokens=3)
list(m.chat().send("Hi", max_tokens=3))
mx.eval(m(mx.array([[1, 2, 3]])), m(mx.array([[4]]), m.make_cache()))
here = Path(sys.argv[1])
source = here / "source"
checkpoints.write(source, checkpoints.config(vocab_size=8192), checkpoints.weights(checkpoints.config(vocab_size=8192)))
job = pipeline.Job(str(source), here / "out", RECIPES["bf16"], tokenizer=str(m.directory), calibrate=None)
print(list(pipeline.run(job, lambda *_: None)))
w = rgmlx.load(here / "out", dtype="bfloat16")
w.train()
mx.eval(mx.grad(lambda p: w(mx.array([[1, 2, 3]])).sum())(w.trainable_parameters()))
"""


def test_nothing_of_the_library_is_compiled_on_a_cpu(tmp_path: Path) -> None:
    """Every way to sample, batches, chats, conversion, training in two dtypes: no file is written to be loaded."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert done.returncode == 0, done.stderr
    assert not (temporary / "mlx").exists()


def test_mlx_lm_compiles_nothing_either(tmp_path: Path) -> None:
    done = rgmlx_in(
        tmp_path, "mlx-lm", "generate", "--model", "demo", "--prompt", "Hi", "--max-tokens", "2", "--temp", "1"
    )
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mlx").exists()


@pytest.mark.parametrize("name", ["gelu_approx", "softplus", "apply_top_p", "apply_min_p", "apply_top_k"])
def test_the_functions_are_what_mlx_compiles(name: str) -> None:
    """Without the compiler they give the same numbers."""
    function = getattr(nn, name, None) or getattr(mlx_lm_samplers(), name)
    rest = {"apply_top_p": (0.9,), "apply_min_p": (0.1,), "apply_top_k": (3,)}.get(name, ())
    x = mx.random.normal((2, 50))
    plain = elementwise.suited(function)
    assert plain is not function
    assert np.allclose(np.array(plain(x, *rest)), np.array(function(x, *rest)), atol=1e-6)


def test_the_library_changes_nothing_for_others() -> None:
    """No variable of the environment, and MLX's compiler is as it was."""
    code = (
        "import os; before = dict(os.environ)\nimport rgmlx, mlx.core as mx\nrgmlx.load().generate('Hi', max_tokens=1)\n"
        "assert dict(os.environ) == before, set(os.environ) - set(before)\n"
        "assert mx.compile(lambda x: x + 1)(mx.array(1)).item() == 2"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


# --- CUDA's, which is told where to keep what it compiles ---------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "file", lambda name: tmp_path / "cache" / name)
    monkeypatch.delenv("MLX_PTX_CACHE_DIR", raising=False)
    return tmp_path / "cache" / "ptx"


def test_cuda_keeps_what_it_compiles_in_a_private_directory(place: Path) -> None:
    try:
        launch.keep_cuda_private()
        path = Path(os.environ["MLX_PTX_CACHE_DIR"])
        assert path == place / version("mlx")
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(place.stat().st_mode) == 0o700
        os.environ["MLX_PTX_CACHE_DIR"] = "/chosen"
        launch.keep_cuda_private()
        assert os.environ["MLX_PTX_CACHE_DIR"] == "/chosen"
    finally:
        os.environ.pop("MLX_PTX_CACHE_DIR", None)


def test_a_directory_that_is_not_ours_is_refused(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    place.parent.mkdir()
    place.symlink_to(tmp_path / "elsewhere")
    assert cache.private_directory("ptx", "1") is None
    place.unlink()
    place.mkdir(mode=0o777)
    assert cache.private_directory("ptx", "1") == place / "1"
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    assert cache.private_directory("ptx", "1") is None
    monkeypatch.undo()


def test_only_a_few_versions_are_kept(place: Path) -> None:
    for i in range(6):
        made = cache.private_directory("ptx", str(i))
        assert made is not None
        os.utime(made, (i, i))
    assert sorted(p.name for p in place.iterdir()) == ["3", "4", "5"]
