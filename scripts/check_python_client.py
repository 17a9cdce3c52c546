"""Runs the tests of clients/python against its built wheel, on every supported Python that this machine has.

    python scripts/check_python_client.py              all of them; missing ones are reported and skipped
    python scripts/check_python_client.py 3.13 3.14    these; a missing one is an error

Each Python gets an environment with the wheel, its dependencies, pytest and hypothesis, and nothing else, in the
versions and with the hashes of requirements.lock.
"""

# ruff: noqa: INP001, T201, S603 - a command that starts the project's own tools
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "clients" / "python"
sys.path.insert(0, str(ROOT))

from deploy.compose.lock_subset import subset  # noqa: E402 - a script's folder is not on the import path of the project

_NEEDED = ["msgspec", "websockets", "pytest", "hypothesis"]
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def supported() -> list[str]:
    """The Python versions that the client supports."""
    classifiers = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    return [each.rpartition(" ")[2] for each in classifiers if each.startswith("Programming Language :: Python :: 3.")]


def interpreter(version: str) -> Path | None:
    """A Python of this version from the PATH or from pyenv, if there is one."""
    return next((found for found in _candidates(version) if _run([found, "-c", _VERSION]) == version), None)


def _candidates(version: str) -> Iterator[Path]:
    """Possible interpreters; one on the PATH may be a shim of pyenv that fails because its version is not selected."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        yield Path(sys.executable)
    if named := shutil.which(f"python{version}"):
        yield Path(named)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"))


def _run(command: Sequence[str | Path]) -> str | None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def _tests(python: Path, wheel: Path, lock: Path, environment: Path) -> str:
    """Run the tests in a new environment of this Python; what came of it."""
    uv = [shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"]
    its_python = environment / "bin" / "python"
    for step in (
        [*uv, "venv", "--quiet", "--no-config", "--python", python, environment],
        [*uv, "pip", "sync", "--quiet", "--no-config", "--python", its_python, "--require-hashes", lock],
        [*uv, "pip", "install", "--quiet", "--no-config", "--python", its_python, "--no-deps", "--offline", wheel],
        # -P, so that the installed wheel is tested and not the current folder.
        [its_python, "-P", "-m", "pytest", "--rootdir", CLIENT, "-c", CLIENT / "pyproject.toml", CLIENT / "tests"],
    ):
        done = subprocess.run(step, cwd=environment.parent, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"FAILED\n{done.stdout}{done.stderr}"
    return done.stdout.splitlines()[-1]


def main(asked: Sequence[str]) -> int:
    """Build, test, report; the exit code."""
    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor() as pool:
        work = Path(directory)
        lock = work / "client.lock"
        lock.write_text(subset((ROOT / "requirements.lock").read_text(encoding="utf-8"), _NEEDED), encoding="utf-8")
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", work]
        subprocess.run(build, cwd=CLIENT, check=True, stdout=subprocess.DEVNULL)
        [wheel] = work.glob("*.whl")
        found = {version: interpreter(version) for version in asked or supported()}
        absent = "FAILED: not on this machine" if asked else "left out: not on this machine"
        # At once: most of it waits for sockets and clocks.
        running = {
            version: pool.submit(_tests, python, wheel, lock, work / version)
            for version, python in found.items()
            if python
        }
        results = {version: running[version].result() if version in running else absent for version in found}
    print("\n".join(f"Python {version}: {result}" for version, result in results.items()))
    return 1 if any(result.startswith("FAILED") for result in results.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
