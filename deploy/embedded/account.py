"""Which user PostgreSQL runs as, and where that user can read and write.

PostgreSQL refuses to run as root. When root starts the stack, PostgreSQL runs as `nobody`, who must be able to
read the binaries and own the data directory. Below a home directory that is closed to others neither is
possible, so both go to `/var/lib/watchfloor` instead. For any other user everything stays where it is.
"""

import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from common.errors import WatchfloorError
from deploy.embedded.child import Account

OPEN_DIR = Path("/var/lib/watchfloor")
_NOBODY_UID = 65534


def postgres_account() -> Account | None:
    """`nobody` if this process runs as root; None if PostgreSQL can run as the current user."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Account(_NOBODY_UID, _NOBODY_UID)
    return Account(entry.pw_uid, entry.pw_gid)


def can_pass(directory: Path, account: Account) -> bool:
    """Whether the account may enter `directory` and everything above it, by the permission bits."""
    return all(_may_enter(one.stat(), account) for one in (directory, *directory.parents))


def _may_enter(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def data_location(wanted: Path, identity: str, account: Account | None, open_dir: Path = OPEN_DIR) -> Path:
    """Where the data directory goes: `wanted`, or a directory below `open_dir` with a link to it at `wanted`.

    The parent of the returned path exists and can be entered by the account.

    Raises:
        WatchfloorError: the data is at `wanted` and the account can no longer reach it, or `open_dir` cannot be created.
    """
    if wanted.is_symlink():
        return wanted.readlink()
    if account is None or can_pass(wanted.parent, account):
        return wanted
    if wanted.exists():
        raise WatchfloorError(
            f"PostgreSQL, which must not run as root, can no longer reach its data in {wanted}",
            "let other users pass through the directories above it (chmod o+x), or move the state directory",
        )
    location = _open_directory(open_dir) / f"state-{identity}" / "postgres"
    location.parent.mkdir(mode=0o711, exist_ok=True)
    wanted.symlink_to(location)
    return location


def readable_binaries(bin_dir: Path, account: Account | None, open_dir: Path = OPEN_DIR) -> Path:
    """A directory of PostgreSQL's programs that the account can run: `bin_dir`, or a copy of it.

    The copy keeps the package's layout, because the programs find their libraries relative to themselves.
    """
    if account is None or can_pass(bin_dir, account):
        return bin_dir
    install, package = bin_dir.parent, bin_dir.parent.parent
    # Environments with different releases of the binaries each get their own copy.
    stamp = int((bin_dir / "postgres").stat().st_mtime)
    copy = _open_directory(open_dir) / f"postgresql-{install.name}-{stamp}"
    if not copy.exists():
        scratch = Path(tempfile.mkdtemp(dir=copy.parent, prefix=".copy-"))
        scratch.chmod(0o755)
        shutil.copytree(install, scratch / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, scratch / libraries.name, symlinks=True)
        _replace(scratch, copy)
    return copy / package.name / install.name / bin_dir.name


def _replace(scratch: Path, copy: Path) -> None:
    try:
        scratch.rename(copy)
    except OSError:
        # Another launcher was faster; its copy is the same.
        shutil.rmtree(scratch)
        if not copy.exists():
            raise


def _open_directory(path: Path) -> Path:
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.chmod(0o755)
    except OSError as error:
        raise WatchfloorError(
            f"{path} cannot be created for PostgreSQL, which must not run as root ({error.strerror})",
            "choose a --state-dir that other users can reach, or start as an unprivileged user",
        ) from error
    return path
