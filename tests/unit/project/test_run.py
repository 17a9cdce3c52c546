"""The script `run` on machines with one Python or another: stub programs stand for Python, pip and uv."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.paths import ROOT

TOOLS = ("sh", "cat", "awk", "sed", "cksum", "mktemp", "rm", "dirname", "env")
LOCK = """\
tool==1.0 \\
    --hash=sha256:aa
    # via watchfloor (pyproject.toml)
uv==9.9 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via watchfloor (pyproject.toml:tooling)
venusian==3.1 \\
    --hash=sha256:dd
"""
STUB = """
import sys
from pathlib import Path

log, fails, kind, version, *arguments = sys.argv[1:]
log = Path(log)


def make(file, kind, version):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\\nexec {sys.executable} {__file__} {log} '{fails}' {kind} {version} \\"$@\\"\\n")
    file.chmod(0o755)


def done(line, failure):
    with log.open("a") as out:
        out.write(line + "\\n")
    raise SystemExit(1 if failure in fails.split() else 0)


match kind, arguments:
    case "python", ["-c", code]:
        sys.version_info = tuple(map(int, version.split(".")))
        sys.executable = f"/{version}"
        exec(code)
    case "python", ["--version"]:
        print("Python", version)
    case "python", ["-m", "venv", folder]:
        make(Path(folder, "bin", "python"), "python", version)
        done(f"venv by {version}", "venv")
    case "python", ["-m", "pip", "install", *options, "-r", lock]:
        make(next(Path(lock).parent.glob("*/bin")) / "uv", "uv", "9.9")
        done(f"pip install {' '.join(options)} of " + " ".join(Path(lock).read_text().split()), "pip")
    case "uv", ["venv", *options, "--managed-python", "--python", "3.11", folder]:
        if "fetch" not in fails.split():
            make(Path(folder, "bin", "python"), "python", "3.11.9")
        done("uv fetches 3.11", "fetch")
    case "uv", ["venv", *options, "--python", chosen, folder]:
        make(Path(folder, "bin", "python"), "python", chosen.strip("/"))
        done(f"uv venv of {chosen.strip('/')}", "")
    case "uv", ["pip", "sync", *options, lock]:
        done("sync" + " by hash" * ("--require-hashes" in options), "sync")
    case "uv", ["pip", "install", *options, "-e", client, "-e", own]:
        make(Path(own, ".venv", "bin", "watchfloor"), "watchfloor", "0")
        done("install " + Path(client).relative_to(own).as_posix() + " and all", "")
    case "watchfloor", words:
        print("watchfloor runs", *words)
    case _:
        done(f"unexpected: {kind} {arguments}", "")
"""
UV_BY_HASH = (
    r"pip install --quiet --disable-pip-version-check --require-hashes of "
    r"uv==9.9 \ --hash=sha256:bb \ --hash=sha256:cc # via watchfloor (pyproject.toml:tooling)"
)
REST = ["sync by hash", "install clients/python and all"]


class Machine:
    """A checkout, a PATH with some Pythons, and what the programs were asked to do."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "checkout"
        (self.repository / "clients" / "python").mkdir(parents=True)
        shutil.copy(ROOT / "run", self.repository)
        (self.repository / "requirements.lock").write_text(LOCK)
        for project in (self.repository, self.repository / "clients" / "python"):
            (project / "pyproject.toml").write_text("")
        self._bin, self._log, self._stub = folder / "bin", folder / "log", folder / "stub.py"
        self._bin.mkdir()
        self._stub.write_text(STUB)
        for tool in TOOLS:
            self._bin.joinpath(tool).symlink_to(str(shutil.which(tool)))

    def has(self, *pythons: tuple[str, str], fails: str = "") -> None:
        """These Pythons, by name and version, and what does not work: venv, pip, fetch or sync."""
        for name, version in pythons:
            file = self._bin / name
            command = f"{sys.executable} {self._stub} {self._log} '{fails}' python {version}"
            file.write_text(f'#!/bin/sh\nexec {command} "$@"\n' if version else "#!/bin/sh\nexit 127\n")
            file.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.repository / "run", *arguments],
            env={"PATH": str(self._bin)} | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def done(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def lines(result: subprocess.CompletedProcess[str]) -> list[str]:
    """What was said after the line that names the environment."""
    said = [line.removeprefix("watchfloor: ") for line in result.stderr.splitlines()]
    return [line for line in said if not line.startswith("installing the locked dependencies into")]


def test_python_3_11_is_taken_and_everything_is_installed_by_hash(machine: Machine) -> None:
    machine.has(("python3", "3.13.0"), ("python3.11", "3.11.2"))
    result = machine.run("doctor", "--all")
    assert (result.returncode, result.stdout, lines(result)) == (0, "watchfloor runs doctor --all\n", [])
    assert machine.done == ["venv by 3.11.2", UV_BY_HASH, "uv venv of 3.11.2", *REST]


def test_a_second_start_installs_nothing_and_a_new_lock_keeps_the_environment(machine: Machine) -> None:
    machine.has(("python3", "3.11.2"))
    machine.run("sync")
    before = machine.done
    assert machine.run("sync").returncode == 0
    assert machine.done == before
    (machine.repository / "requirements.lock").write_text(LOCK + "new==1.0\n")
    assert machine.run("sync").returncode == 0
    assert machine.done[len(before) :] == ["venv by 3.11.2", UV_BY_HASH, *REST]


@pytest.mark.parametrize("version", ["3.9.2", "3.12.4", "3.14.0"])
def test_with_another_python_uv_fetches_3_11_and_one_line_says_so(machine: Machine, version: str) -> None:
    machine.has(("python3", version))
    result = machine.run("sync")
    assert (result.returncode, lines(result)) == (0, ["Python 3.11 is not on the PATH: uv fetches it"])
    assert machine.done == [f"venv by {version}", UV_BY_HASH, "uv fetches 3.11", *REST]


def test_a_stand_in_that_fails_is_no_python(machine: Machine) -> None:
    machine.has(("python3.11", ""), ("python3", ""), ("python3.12", "3.12.4"))
    assert machine.run("sync").returncode == 0
    assert "uv fetches 3.11" in machine.done


def test_what_cannot_be_fetched_is_replaced_by_a_supported_python(machine: Machine) -> None:
    machine.has(("python3", "3.12.4"), fails="fetch")
    result = machine.run("sync")
    assert result.returncode == 0
    assert lines(result)[1:] == ["uv could not fetch Python 3.11: continuing with Python 3.12.4"]
    assert machine.done[2:] == ["uv fetches 3.11", "uv venv of 3.12.4", *REST]


@pytest.mark.parametrize("version", ["3.10.1", "3.14.0"])
def test_what_cannot_be_fetched_and_not_replaced_is_one_line_with_what_to_do(machine: Machine, version: str) -> None:
    machine.has(("python3", version), fails="fetch")
    result = machine.run("sync")
    assert result.returncode == 1
    assert lines(result)[1:] == [
        "uv could not fetch Python 3.11: install it and put python3.11 on the PATH, then run this again"
    ]


def test_another_supported_python_can_be_chosen_and_changed(machine: Machine) -> None:
    machine.has(("python3.11", "3.11.2"), ("python3.13", "3.13.1"), ("python3.14", "3.14.0"))
    assert machine.run("sync").returncode == 0
    assert machine.run("sync", WATCHFLOOR_PYTHON="python3.13").returncode == 0
    assert "uv venv of 3.13.1" in machine.done
    refused = machine.run("sync", WATCHFLOOR_PYTHON="python3.14")
    assert refused.returncode == 1
    assert lines(refused) == [
        "WATCHFLOOR_PYTHON=python3.14 is not a Python from 3.11 to 3.13: name one, or unset it",
    ]


@pytest.mark.parametrize("version", ["", "2.7.18", "3.6.9"])
def test_without_a_usable_python_one_line_says_what_to_install(machine: Machine, version: str) -> None:
    machine.has(("python3", version), ("python", version))
    result = machine.run("sync")
    assert (result.returncode, lines(result)) == (1, ["there is no Python: install Python 3.11, then run this again"])


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        ("venv", "no virtual environment could be made: install Python's venv module (Debian: python3-venv)"),
        ("pip", "pip could not install uv: is the package index reachable?"),
        ("sync", "the dependencies could not be installed: is the package index reachable?"),
    ],
)
def test_each_failure_is_one_line_and_leaves_nothing_behind(
    machine: Machine, tmp_path: Path, failure: str, line: str
) -> None:
    machine.has(("python3.11", "3.11.2"), fails=failure)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    result = machine.run("sync", TMPDIR=str(temporary))
    assert (result.returncode, lines(result)) == (1, [line])
    assert list(temporary.iterdir()) == []
    assert not (machine.repository / ".venv" / ".watchfloor-stamp").exists()
    machine.has(("python3.11", "3.11.2"))
    assert machine.run("sync", TMPDIR=str(temporary)).returncode == 0
    assert list(temporary.iterdir()) == []


def test_the_versions_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "supported='(3, 11) <= sys.version_info[:2] <= (3, 13)'" in (ROOT / "run").read_text("utf-8")
