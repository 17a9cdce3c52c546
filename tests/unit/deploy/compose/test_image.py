"""The image of the watchfloor command: locked, without root, without secrets."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.paths import ROOT

from common.version import __version__
from deploy.compose.lock_subset import blocks, subset

DOCKERFILE = (ROOT / "deploy" / "compose" / "Dockerfile").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
TINY_LOCK = """\
app-lib==1.0 \\
    --hash=sha256:aa
    # via
    #   watchfloor (pyproject.toml)
    #   tester
deep==2.0 ; sys_platform == 'linux' \\
    --hash=sha256:bb
    # via app-lib
tester==3.0 \\
    --hash=sha256:cc
    # via watchfloor (pyproject.toml:test)
only-tests==4.0 \\
    --hash=sha256:dd
    # via tester
"""


def test_a_subset_follows_who_needs_whom() -> None:
    assert list(blocks(subset(TINY_LOCK))) == ["app-lib", "deep"]
    assert list(blocks(subset(TINY_LOCK, ["tester"]))) == ["app-lib", "deep", "tester", "only-tests"]
    assert subset(TINY_LOCK, ["only-tests"]) == "".join(TINY_LOCK.splitlines(keepends=True)[-3:])
    with pytest.raises(KeyError):
        subset(TINY_LOCK, ["unknown"])


def needed(requirement: Requirement, found: set[str]) -> None:
    """Every package that an installed one asks for here, found by its own metadata."""
    extras = requirement.extras or {""}
    if canonicalize_name(requirement.name) in found and not requirement.extras:
        return
    found.add(canonicalize_name(requirement.name))
    try:
        asked = requires(requirement.name) or []
    except PackageNotFoundError:
        return
    for text in asked:
        inner = Requirement(text)
        if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
            needed(inner, found)


def test_the_image_gets_all_that_watchfloor_needs_and_no_test_tool() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: set[str] = set()
    for text in project["dependencies"]:
        needed(Requirement(text), found)
    names = {canonicalize_name(name) for name in blocks(subset(LOCK))}
    assert found - {"watchfloor-client"} <= names
    assert not names & {"pytest", "mypy", "ruff", "playwright", "hypothesis", "hatchling"}
    assert all("--hash=sha256:" in block for block in blocks(subset(LOCK)).values())
    assert "hatchling" in blocks(subset(LOCK, ["hatchling"]))


def test_the_image_is_built_of_all_distributions_of_the_project() -> None:
    [wheels] = re.findall(r"pip wheel .* (\S+ \S+) \\\n", DOCKERFILE)
    assert wheels.split() == ["./clients/python", "."]
    projects = [tomllib.loads((ROOT / path / "pyproject.toml").read_text(encoding="utf-8")) for path in wheels.split()]
    client, own = (project["project"] for project in projects)
    assert f"{client['name']}=={client['version']}" in own["dependencies"]
    assert client["version"] == own["version"] == __version__


def test_everything_is_installed_by_hash_and_runs_without_root() -> None:
    installs = re.findall(r"pip install .*", DOCKERFILE)
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)
    stages = DOCKERFILE.split("\nFROM ")
    assert re.search(r"^USER 10001:10001$", stages[-1], re.MULTILINE)
    assert [stage.split()[0] for stage in stages[1:]] == ["${BASE}", "${BASE}"]
    assert re.search(r"^ARG BASE=python:3\.11\.\d+-slim-bookworm$", DOCKERFILE, re.MULTILINE)


def test_every_package_of_the_project_is_copied_and_no_secret_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    ignore = (ROOT / "deploy" / "compose" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for package in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]:
        assert f"COPY {package} {package}" in DOCKERFILE
        assert f"!{package}" in ignore
    assert ignore[1] == "*"
    assert not any("secrets" in line for line in ignore if line.startswith("!"))
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / name).exists() for name in copied.split())
