"""What `scripts/release.py` builds, and what is in it."""

import hashlib
import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from support.paths import ROOT

from common.version import __version__

WHEEL, CLIENT = f"watchfloor-{__version__}-py3-none-any.whl", f"watchfloor_client-{__version__}-py3-none-any.whl"
NPM, SBOM = f"watchfloor-client-{__version__}.tgz", f"watchfloor-{__version__}.cdx.json"
pytestmark = pytest.mark.timeout(600)  # the first test waits for the whole build
DEBIAN = "libc6 2.36-9+deb12u13 amd64\nbase-files 1:12.4 amd64\n"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built once, into a folder where the image is already."""
    folder = tmp_path_factory.mktemp("release")
    target = folder / "dist"
    target.mkdir()
    (target / "image.tar.gz").write_bytes(b"image")
    (folder / "packages.txt").write_text(DEBIAN)
    script = [sys.executable, str(ROOT / "scripts" / "release.py"), "dist", "--image-packages", "packages.txt"]
    done = subprocess.run(script, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def sbom(release: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((release / SBOM).read_text("utf-8"))
    return document


def test_it_is_complete_and_every_file_has_its_checksum(release: Path) -> None:
    sums = dict(reversed(line.split("  ")) for line in (release / "SHA256SUMS").read_text().splitlines())
    assert sums.keys() == {WHEEL, CLIENT, NPM, SBOM, "image.tar.gz"}
    assert {path.name for path in release.iterdir()} == sums.keys() | {"SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256((release / name).read_bytes()).hexdigest() == expected


def test_the_project_s_wheel_has_its_packages_typed_and_no_test_and_not_the_client(release: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    names = zipfile.ZipFile(release / WHEEL).namelist()
    assert {name.split("/")[0] for name in names} == {*packages, f"watchfloor-{__version__}.dist-info"}
    assert {f"{package}/py.typed" for package in packages} <= set(names)
    assert {"gateway/static/index.html", "gateway/static/client/index.js"} <= set(names)
    metadata = next(name for name in names if name.endswith("METADATA"))
    assert (
        f"Requires-Dist: watchfloor-client=={__version__}" in zipfile.ZipFile(release / WHEEL).read(metadata).decode()
    )


def test_the_client_s_packages_hold_the_client_and_nothing_else(release: Path) -> None:
    names = zipfile.ZipFile(release / CLIENT).namelist()
    assert {name.split("/")[0] for name in names} == {"watchfloor_client", f"watchfloor_client-{__version__}.dist-info"}
    assert {"watchfloor_client/py.typed", "watchfloor_client/readers.py"} <= set(names)
    with tarfile.open(release / NPM) as package:
        files = {name.removeprefix("package/") for name in package.getnames()}
    assert {"package.json", "README.md", "dist/index.js", "dist/index.d.ts"} <= files
    assert all(name.startswith("dist/") for name in files - {"package.json", "README.md"})


def test_the_sbom_is_valid_and_lists_what_the_image_holds(sbom: dict[str, Any]) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(sbom)) is None
    root = sbom["metadata"]["component"]
    assert (root["name"], root["version"], root["type"]) == ("watchfloor", __version__, "application")
    purls = {component["purl"] for component in sbom["components"]}
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = dict(line.split()[0].split("==") for line in lock.splitlines() if "==" in line and line[0].isalnum())
    for name in ("faust-streaming", "aiokafka", "websockets", "pyjwt"):
        assert f"pkg:pypi/{name}@{pinned[name]}" in purls
    assert f"pkg:pypi/watchfloor-client@{__version__}" in purls
    assert not {"pytest", "ruff", "cyclonedx-bom"} & {component["name"] for component in sbom["components"]}
    assert {
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64",
        "pkg:deb/debian/base-files@1%3A12.4?arch=amd64",
    } <= purls


def test_the_sbom_names_nothing_of_the_machine_that_built_it(release: Path) -> None:
    text = (release / SBOM).read_text("utf-8")
    assert "file://" not in text
    assert str(ROOT) not in text
    assert str(release) not in text
