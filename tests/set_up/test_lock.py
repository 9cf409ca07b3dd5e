"""What `make` installs: versions and hashes that fit pyproject.toml on every platform, from no particular index."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from rooms import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = ("requirements.lock", "requirements-test.lock")
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
PLACES = [
    {
        "sys_platform": system,
        "platform_system": {"darwin": "Darwin", "linux": "Linux"}[system],
        "os_name": "posix",
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.7",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    for system, machine in (("darwin", "arm64"), ("linux", "x86_64"), ("linux", "aarch64"))
    for python in PYTHONS
]


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    """The requirements of a lock with their hashes; a line that is neither fails."""
    out: list[tuple[Requirement, list[str]]] = []
    for line in (ROOT / lock).read_text().splitlines():
        text = line.removesuffix("\\").strip()
        if line.startswith("    "):
            out[-1][1].append(text)
        elif not line.startswith("#"):
            out.append((Requirement(text), []))
    return out


def pins(lock: str, place: dict[str, str]) -> dict[str, Version]:
    """What a lock installs in one place, by name."""
    out: dict[str, Version] = {}
    for requirement, _ in entries(lock):
        if requirement.marker is None or requirement.marker.evaluate(place):
            [pin] = requirement.specifier
            name = canonicalize_name(requirement.name)
            assert pin.operator == "==" and name not in out, requirement
            out[name] = Version(pin.version)
    return out


def declared(lock: str) -> list[Requirement]:
    """What pyproject.toml asks for: to run and to build, and for the tests."""
    lists = [
        PROJECT["project"]["dependencies"],
        PROJECT["dependency-groups"]["build"],
        PROJECT["build-system"]["requires"],
    ]
    if lock == "requirements-test.lock":
        lists.append(PROJECT["project"]["optional-dependencies"]["test"])
    return [Requirement(text) for names in lists for text in names]


@pytest.mark.parametrize("lock", LOCKS)
def test_26_every_entry_is_a_version_with_hashes_and_names_no_index(lock: str) -> None:
    for requirement, hashes in entries(lock):
        assert requirement.url is None and not requirement.extras
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes), requirement
    text = (ROOT / lock).read_text()
    assert not re.search(
        r"://|^-|--(index|extra|find|trusted|constraint)|file:|\.(org|com|io|net)\b", text, re.MULTILINE
    )


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize(
    "place", PLACES, ids=lambda p: f"{p['sys_platform']}-{p['platform_machine']}-{p['python_version']}"
)
def test_26_what_pyproject_asks_for_is_pinned_within_its_bounds(lock: str, place: dict[str, str]) -> None:
    found = pins(lock, place)
    for requirement in declared(lock):
        name = canonicalize_name(requirement.name)
        if requirement.marker is None or requirement.marker.evaluate(place):
            assert name in found and requirement.specifier.contains(found[name]), requirement
    assert ("mlx-metal" in found, "mlx-cpu" in found) == (
        place["sys_platform"] == "darwin",
        place["sys_platform"] == "linux",
    )


@pytest.mark.parametrize("place", PLACES[:: len(PYTHONS)], ids=lambda p: f"{p['sys_platform']}-{p['platform_machine']}")
def test_26_the_tests_run_with_what_is_installed_for_the_chat(place: dict[str, str]) -> None:
    chat, tests = (pins(lock, place) for lock in LOCKS)
    assert chat.items() <= tests.items() and len(chat) < len(tests)


def test_26_what_the_pinned_packages_ask_for_is_pinned_too() -> None:
    """Of those that are installed here in their pinned version: nothing is left to a resolver."""
    found = pins("requirements-test.lock", {})
    checked = 0
    for name, version in found.items():
        try:
            here = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        if Version(here.version) != version:
            continue
        checked += 1
        for requirement in map(Requirement, here.requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                needed = canonicalize_name(requirement.name)
                assert needed in found and requirement.specifier.contains(found[needed], prereleases=True), (
                    name,
                    needed,
                )
    assert checked > len(found) / 2


def test_26_what_breaks_between_releases_has_an_upper_bound() -> None:
    texts = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["cuda"]]
    bounded = {"mlx": "0.33", "mlx-lm": "0.33", "llguidance": "2", "textual": "9"}
    for requirement in map(Requirement, texts):
        if requirement.name in bounded:
            upper = [s.version for s in requirement.specifier if s.operator == "<"]
            assert upper == [bounded[requirement.name]], requirement
    assert bounded.keys() <= {Requirement(t).name for t in texts}


@pytest.mark.parametrize(
    "place", PLACES, ids=lambda p: f"{p['sys_platform']}-{p['platform_machine']}-{p['python_version']}"
)
def test_tensorstore_is_asked_for_where_it_has_wheels(place: dict[str, str]) -> None:
    """None for Python 3.15: `make test` would end there before its first test."""
    has_wheels = place["python_version"] != "3.15"
    assert ("tensorstore" in pins("requirements-test.lock", place)) == has_wheels
    for extra in ("deepmind", "test"):
        [asked] = [
            r for t in PROJECT["project"]["optional-dependencies"][extra] if (r := Requirement(t)).name == "tensorstore"
        ]
        assert asked.marker is not None and asked.marker.evaluate(place) == has_wheels
