"""A model from Hugging Face made ready, with a real client and a real server: in one go, in pieces, and refused."""

from __future__ import annotations

import hashlib
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import checkpoints
import mlx.core as mx
import pytest
from hub_server import COMMIT, NAME, Handler, Hub, Large, point_to, repository
from huggingface_hub.utils import _http
from published import CONFIG, INDEX, SHARDS, TOKEN, Gated, Talk, anything, are_here, offered, publish, sums
from waiting import PATIENCE

import rgmlx
from rgmlx.convert import pipeline, recipe
from rgmlx.convert import run as conversion
from rgmlx.convert.obtain import default_target, obtain
from rgmlx.convert.writer import Writer, partial
from rgmlx.errors import ModelNotFoundError, RgmlxError
from rgmlx.weights import removal
from rgmlx.weights.catalog import list_models
from rgmlx.weights.download import Download
from rgmlx.weights.parts import Cancelled
from rgmlx.weights.refusals import NoAccess

pytestmark = pytest.mark.usefixtures("one_thread")


__all__ = ["offered"]


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is written in several files, as one of gigabytes is."""
    monkeypatch.setitem(conversion.begin.__kwdefaults__, "shard_bytes", 40_000)


def files_asked_for(server: Hub) -> list[str]:
    return [asked.rpartition("/")[2] for asked in server.asked if asked.startswith("GET") and "/resolve/" in asked]


# --- in one go ----------------------------------------------------------------------------


def test_one_call_makes_what_a_conversion_makes(offered: Hub, home: Path, tmp_path: Path) -> None:
    talk = Talk()
    name = obtain(NAME, talk)
    target = home / "models" / "tiny-4bit"
    assert name == str(target) == str(default_target(NAME, 4))
    job = pipeline.Job(NAME, tmp_path / "converted", recipe.RECIPES["4bit"])
    list(pipeline.run(job, anything))
    assert sums(target) == sums(tmp_path / "converted")
    assert rgmlx.load(target).generate("Hello", max_tokens=2) is not None
    total = sum(len(b) for n, b in offered.files.items() if n != "README.md")
    assert talk.lines[0] == f"{NAME}: {total / 1e6:.1f} MB to download."
    assert "In 4 bits it is" in talk.text and "are free" in talk.text and "of memory" in talk.text
    assert "KL " in talk.text and talk.offered == [removal.held(NAME)] and talk.offered[0] >= total
    assert [m.complete for m in list_models() if m.name == NAME] == [True], "the 16-bit model is of use, too"


def test_it_is_converted_while_it_comes(offered: Any, home: Path) -> None:
    """The last file does not come before blocks of the second one are done."""
    converting = threading.Event()

    class Watching(Talk):
        def progress(self, what: str, done: int, total: int) -> None:
            super().progress(what, done, total)
            if "converting model.layers.2." in what:
                converting.set()

    def hold(name: str, at: int) -> None:
        if name == SHARDS[2] and at >= len(offered.files[name]) - 2048:
            converting.wait(PATIENCE)

    offered.hold = hold
    talk = Watching()
    assert obtain(NAME, talk) == str(home / "models" / "tiny-4bit")
    assert converting.is_set()
    done = [done for what, done, total in talk.shown if what.startswith("downloading")]
    assert done == sorted(done)


def test_the_second_time_nothing_is_asked(
    offered: Hub, home: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = obtain(NAME, Talk())
    before = sums(Path(name))
    offered.asked.clear()
    talk = Talk(delete=True)
    assert obtain(NAME, talk) == name and not offered.asked
    assert talk.offered and "Deleted the 16-bit files" in talk.text and not repository(home).exists()
    point_to(closed, monkeypatch)
    talk = Talk(delete=True)
    assert obtain(NAME, talk) == name and sums(Path(name)) == before
    assert not talk.offered and not talk.lines


def test_what_is_here_already_is_converted_without_a_network(
    offered: Hub, home: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Download(NAME).run(anything)
    point_to(closed, monkeypatch)
    talk = Talk()
    assert Path(obtain(NAME, talk)).is_dir() and "all here" in talk.lines[0]


def test_a_place_and_bits_of_ones_own(offered: Hub, home: Path) -> None:
    name = obtain(NAME, Talk(), bits=8, target="~/mine")
    assert name == str(home / "mine") and rgmlx.load(name).config.quantization["bits"] == 8
    with pytest.raises(
        RgmlxError, match=r"is there, and is not griff/tiny in 4 bits: move it away, or name another place"
    ):
        obtain(NAME, Talk(), target="~/mine")
    assert obtain(NAME, Talk(), bits=8, target="~/mine") == name


def test_in_16_bits_it_is_only_downloaded(offered: Hub, home: Path) -> None:
    talk = Talk()
    assert obtain(NAME, talk, bits=16) == NAME and not talk.offered
    assert not (home / "models").exists() and rgmlx.load(NAME).config.quantization is None


def test_what_others_have_converted_is_only_downloaded(offered: Any, home: Path, tmp_path: Path) -> None:
    source = tmp_path / "by others"
    source.mkdir()
    for name, body in offered.files.items():
        (source / name).write_bytes(body)
    made = tmp_path / "made"
    list(pipeline.run(pipeline.Job(str(source), made, recipe.RECIPES["4bit"]), anything))
    offered.files = {p.name: p.read_bytes() for p in made.iterdir()}
    talk = Talk()
    assert obtain(NAME, talk) == NAME and not talk.offered and not (home / "models").exists()
    assert rgmlx.load(NAME).config.quantization["bits"] == 4
    with pytest.raises(RgmlxError, match="has 4 bits already, which can't become 8: leave --bits out"):
        obtain(NAME, Talk(), bits=8)


def test_short_names_are_googles(closed: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(closed, monkeypatch)
    for name in ("2b", "9b"):
        talk = Talk()
        with pytest.raises(ModelNotFoundError, match=f"google/recurrentgemma-{name}-it .*can't be reached"):
            obtain(name, talk)
        assert {"2b": "5.4 GB, 1.5 GB in 4 bits", "9b": "17.2 GB, 4.9 GB in 4 bits"}[name] in talk.lines[0]


@pytest.mark.parametrize("name", ["", "3b", "demo", "a/b/c", "https://huggingface.co/a/b", "."])
def test_nonsense(name: str, home: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="write 2b, 9b, or owner/name"):
        obtain(name, Talk())


# --- stopped, cut off, damaged ------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "at"), [("config.json", 0), (SHARDS[0], 4096), (SHARDS[1], 50_000), (SHARDS[2], 50_000)]
)
def test_it_is_stopped_and_goes_on(
    offered: Any, home: Path, file: str, at: int, small_files: None, tmp_path: Path
) -> None:
    held, go_on = threading.Event(), threading.Event()
    target = home / "models" / "tiny-4bit"

    def hold(name: str, sent: int) -> None:
        if name == file and sent >= at and are_here(offered, file):  # a server that falls silent
            held.set()
            go_on.wait(2 * PATIENCE)

    def cancelled() -> bool:
        if not held.is_set() or file != SHARDS[2]:
            return held.is_set()
        blobs = {path.name for path in (home / "cache").glob("*/blobs/*")}  # what was sent may be on its way
        before = {hashlib.sha256(offered.files[name]).hexdigest() for name in SHARDS[:2]}
        return before <= blobs and any(partial(target).glob("*.safetensors"))

    offered.hold = hold
    with pytest.raises(Cancelled, match=r"what .* is kept, and it goes on from there when you start it again"):
        obtain(NAME, Talk(), cancelled=cancelled)
    offered.hold = None
    go_on.set()
    assert not target.exists()
    kept = sums(partial(target)) if partial(target).exists() else {}
    offered.sent.clear()
    talk = Talk()
    obtain(NAME, talk)
    if file == SHARDS[2]:
        assert "going on: " in talk.text and SHARDS[0] not in offered.sent and SHARDS[1] not in offered.sent
    now = sums(target)
    assert all(now[name] == digest for name, digest in kept.items() if name.endswith(".safetensors"))
    job = pipeline.Job(NAME, tmp_path / "converted", recipe.RECIPES["4bit"])
    list(pipeline.run(job, anything))
    assert now == sums(tmp_path / "converted")


def test_a_conversion_is_stopped_and_goes_on(offered: Hub, home: Path, small_files: None) -> None:
    """After the download, which is not made again, nor what was converted."""
    Download(NAME).run(anything)
    stop = threading.Event()

    class Impatient(Talk):
        def progress(self, what: str, done: int, total: int) -> None:
            if what.startswith("model.layers.3."):
                stop.set()

    with pytest.raises(Cancelled):
        obtain(NAME, Impatient(), cancelled=stop.is_set)
    offered.asked.clear()
    talk = Talk()
    obtain(NAME, talk)
    assert "going on: " in talk.text and not offered.asked


def test_broken_connections(offered: Any, home: Path) -> None:
    offered.cut = 30 * 1024
    obtain(NAME, Talk())
    assert offered.cut == 0


class Whole(Large):
    """Gives no parts of files: it begins at the beginning, or refuses."""

    refuses = False

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        if self.headers.get("Range"):
            if self.refuses and status == 200:
                Handler.reply(self, 416)
                return
            del self.headers["Range"]
        super().reply(status, body, **headers)


class Refusing(Whole):
    refuses = True


@pytest.mark.parametrize("handler", [Whole, Refusing])
def test_a_server_that_gives_no_parts(handler: type[Whole], offered: Any, home: Path) -> None:
    offered.RequestHandlerClass = handler
    offered.cut = 30 * 1024
    name = obtain(NAME, Talk())
    assert rgmlx.load(name).config.vocab_size == CONFIG["vocab_size"]


def test_too_many_requests_for_a_while(offered: Any, home: Path) -> None:
    left = [2]

    class Busy(Large):
        def do_GET(self) -> None:
            if SHARDS[1] in self.path and self.command == "GET" and left[0]:
                left[0] -= 1
                Handler.reply(self, 429, Retry_After="0")
            else:
                super().do_GET()

    offered.RequestHandlerClass = Busy
    obtain(NAME, Talk())
    assert left == [0]


@pytest.mark.parametrize("where", ["the header", "the numbers"])
def test_a_file_that_comes_damaged_is_thrown_away(offered: Any, home: Path, where: str) -> None:
    right = offered.files[SHARDS[1]]
    damage = {"the header": 20, "the numbers": len(right) - 20}[where]

    class Damaging(Large):
        def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
            if body == right and offered.damages:
                body = right[:damage] + b"#" + right[damage + 1 :]
            super().reply(status, body, **headers)

    offered.RequestHandlerClass, offered.damages = Damaging, True
    with pytest.raises(ModelNotFoundError, match=f"{SHARDS[1]} of {NAME} arrived damaged and was thrown away"):
        obtain(NAME, Talk())
    assert not (home / "models" / "tiny-4bit").exists()
    offered.damages = False
    obtain(NAME, Talk())


def test_a_result_that_was_damaged_since(offered: Hub, home: Path) -> None:
    target = Path(obtain(NAME, Talk()))
    with (target / "model.safetensors").open("r+b") as f:
        f.seek(-5, 2)
        f.write(b"#")
    with pytest.raises(
        RgmlxError, match=rf"model.safetensors is damaged: delete {target} and run the same command again"
    ):
        obtain(NAME, Talk())
    shutil.rmtree(target)
    assert obtain(NAME, Talk()) == str(target)


def test_weights_that_are_not_finite(offered: Any, home: Path) -> None:
    tensors = checkpoints.weights(CONFIG)
    tensors["model.layers.3.mlp_block.up_proj.weight"][0, 0] = float("nan")
    publish(offered, home / "nan", tensors)
    with pytest.raises(RgmlxError, match=r"model\.layers\.3\.mlp_block\.up_proj\.weight holds NaN"):
        obtain(NAME, Talk())


def test_a_header_as_it_was_published_that_does_not_fit(offered: Any, home: Path) -> None:
    tensors = checkpoints.weights(CONFIG)
    del tensors["model.layers.3.mlp_block.up_proj.weight"]
    publish(offered, home / "short", tensors)
    with pytest.raises(RgmlxError, match=r"the tensor model\.layers\.3\.mlp_block\.up_proj\.weight is missing"):
        obtain(NAME, Talk())


def test_another_program_is_at_it(offered: Hub, home: Path) -> None:
    target = home / "models" / "tiny-4bit"
    other = Writer(target, [], {})
    try:
        with pytest.raises(RgmlxError, match="another conversion is writing"):
            obtain(NAME, Talk())
    finally:
        other.close()


# --- the disk -----------------------------------------------------------------------------


def test_a_disk_that_is_too_small(offered: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough for the download alone, which is not begun."""
    total = sum(len(b) for n, b in offered.files.items() if n != "README.md")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(2 * total, total, total))
    with pytest.raises(
        RgmlxError, match=rf"{NAME} does not fit on the disk: .* are needed and .* are free .*: free .* there"
    ):
        obtain(NAME, Talk())
    assert not [name for name in files_asked_for(offered) if name.endswith(".safetensors")]
    monkeypatch.undo()


def other_revision(home: Path) -> Path:
    """An older revision in the cache, which shares a file with the one that is here."""
    main = repository(home) / "snapshots" / COMMIT
    old = main.parent / ("f" * 40)
    old.mkdir()
    (repository(home) / "blobs" / "old").write_bytes(b"old")
    (old / "config.json").symlink_to("../../blobs/old")
    (old / SHARDS[0]).symlink_to(Path("../../blobs") / (main / SHARDS[0]).resolve().name)
    return old


def test_other_revisions_are_not_deleted(offered: Hub, home: Path) -> None:
    Download(NAME).run(anything)
    old = other_revision(home)
    freed = removal.held(NAME)
    assert freed == sum(len(b) for n, b in offered.files.items() if n not in ("README.md", SHARDS[0]))
    removal.remove(NAME)
    assert {p.name: p.read_bytes() for p in old.iterdir()} == {
        "config.json": b"old",
        SHARDS[0]: offered.files[SHARDS[0]],
    }
    assert removal.held(NAME) == 0 and not (old.parent / COMMIT).exists()


@pytest.mark.parametrize("others", [False, True])
def test_a_deletion_that_is_cut_off_is_gone_on_with(
    others: bool, offered: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After every file in turn."""
    Download(NAME).run(anything)
    if others:
        other_revision(home)
    import os

    for name in ("unlink", "rmdir"):
        real = getattr(os, name)

        def cut(path: Any, *rest: Any, real: Any = real, **options: Any) -> None:
            real(path, *rest, **options)
            raise KeyboardInterrupt

        monkeypatch.setattr(os, name, cut)
    for _ in range(100):
        if not removal.held(NAME):
            break
        with pytest.raises(KeyboardInterrupt):
            removal.remove(NAME)
    assert removal.held(NAME) == 0
    monkeypatch.undo()


# --- access -------------------------------------------------------------------------------


@pytest.fixture
def gated(offered: Any) -> Any:
    offered.RequestHandlerClass = Gated
    offered.users, offered.let_in = {TOKEN: "anna"}, {"anna"}
    return offered


def test_a_token_is_asked_for_and_kept(gated: Any, home: Path) -> None:
    talk = Talk("two words", "hf_not_the_right_one", TOKEN)
    obtain(NAME, talk)
    assert [m.page for m in talk.missing] == [f"https://huggingface.co/{NAME}"] * 3
    assert [m.owner for m in talk.missing] == [None] * 3
    assert [
        next((p for p in ("no token of Hugging Face", "does not know this token") if p in m.problem), m.problem)
        for m in talk.missing
    ] == ["", "no token of Hugging Face", "does not know this token"]
    assert (home / "token").read_text() == TOKEN and "Logged in to Hugging Face as anna." in talk.text


def test_who_has_not_accepted_the_terms_is_told_so(gated: Any, home: Path) -> None:
    (home / "token").write_text(TOKEN)
    gated.let_in = set()

    class Accepting(Talk):
        def access(self, missing: Any) -> str | None:
            if len(self.missing) == 1:
                gated.let_in = {"anna"}
            return super().access(missing)

    talk = Accepting("", "")
    obtain(NAME, talk)
    assert [(m.owner, m.problem) for m in talk.missing] == [("anna", "")] * 2
    gated.let_in = set()
    shutil.rmtree(home / "models")
    shutil.rmtree(repository(home))
    with pytest.raises(
        NoAccess, match=f"{NAME} is gated, and anna has not been let in yet: accept its terms at https://"
    ):
        obtain(NAME, Talk(None))


def test_nobody_is_there_to_give_a_token(gated: Any, home: Path) -> None:
    with pytest.raises(
        NoAccess, match=f"{NAME} is gated: accept its licence at https://huggingface.co/{NAME}, .*rgmlx login"
    ):
        obtain(NAME, Talk(None))


def test_a_token_that_is_not_known_any_more(gated: Any, home: Path) -> None:
    (home / "token").write_text("hf_of_long_ago")
    with pytest.raises(RgmlxError, match=r"does not know this token: .*huggingface\.co/settings/tokens"):
        obtain(NAME, Talk(None))
    obtain(NAME, Talk(TOKEN))


def test_a_token_in_the_environment_is_not_asked_for_again(
    gated: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_long_ago")
    with pytest.raises(RgmlxError, match="does not know the token in HF_TOKEN: correct or unset it"):
        obtain(NAME, Talk())
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    gated.let_in = set()
    talk = Talk(None)
    with pytest.raises(NoAccess):
        obtain(NAME, talk)
    assert [(m.owner, m.variable) for m in talk.missing] == [("anna", "HF_TOKEN")]


def test_access_that_is_taken_away_in_the_middle(gated: Any, home: Path) -> None:
    (home / "token").write_text(TOKEN)

    def hold(name: str, at: int) -> None:
        if name == SHARDS[0] and at >= len(gated.files[name]) - 1024:
            gated.let_in = set()

    class Accepting(Talk):
        def access(self, missing: Any) -> str | None:
            gated.hold, gated.let_in = None, {"anna"}
            return super().access(missing)

    gated.hold = hold
    talk = Accepting("")
    obtain(NAME, talk)
    assert len(talk.missing) == 1


@pytest.mark.parametrize(
    ("where", "status", "code", "says"),
    [
        ("/api/models", 404, "RepoNotFound", "has no repository 'griff/tiny' that you may read: check the name"),
        ("/resolve/", 404, "RepoNotFound", "has no repository"),
        ("/api/models", 401, "", "has no repository"),
        ("GET /griff/tiny/resolve", 403, "", "does not give griff/tiny to this account .*accept its terms"),
        ("/tree/", 500, "", "error 500"),
        (SHARDS[2], 500, "", "error 500"),
    ],
)
def test_refusals_are_sentences(
    offered: Hub, home: Path, where: str, status: int, code: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None))  # half a minute between five tries
    offered.refuse = [(where, status, code)]
    talk = Talk(None)
    with pytest.raises(RgmlxError, match=says) as caught:
        obtain(NAME, talk)
    assert "\n" not in str(caught.value) and not talk.missing
    offered.refuse = []
    assert obtain(NAME, Talk())


def test_index_and_shards_are_those_of_the_index(offered: Any, home: Path) -> None:
    """A repository may hold other safetensors files, too."""
    mx.save_safetensors(str(home / "other.safetensors"), {"x": mx.zeros(3)})
    offered.files["adapter.safetensors"] = (home / "other.safetensors").read_bytes()
    assert INDEX in offered.files and obtain(NAME, Talk())
