"""Checks of the watched PostgreSQL database: whether it answers, is prepared for capture, and its log is read."""

import psycopg

from common.errors import WatchfloorError
from connect.check import capture_dsn, check_source, connect_to
from watchfloor.doctor.checks import Report, Target, in_thread

_BACKLOG_BYTES_MAX = 256 << 20
_SLOT = (
    "SELECT active, wal_status, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn), 0)::bigint"
    " FROM pg_replication_slots WHERE slot_name = %s"
)


@in_thread
def probe_source(target: Target, report: Report) -> None:
    """Check the server, its preparation for capture and the replication slot, signed in as the capture role."""
    source = target.settings.source
    try:
        connection = connect_to(capture_dsn(source), source)
    except WatchfloorError as failure:
        report.failed("reachable", failure)
        report.unknown("not reachable", "prepared for capture", "slot")
        return
    with connection:
        version = connection.info.parameter_status("server_version") or "unknown version"
        report.ok("reachable", f"{source.host}:{source.port}, PostgreSQL {version.split()[0]}")
        try:
            check_source(source)
            report.ok("prepared for capture", f"wal_level=logical, publication {source.publication}")
        except WatchfloorError as failure:
            report.failed("prepared for capture", failure)
        try:
            row = connection.execute(_SLOT, [source.slot]).fetchone()
        except psycopg.Error as error:
            report.problem("slot", f"cannot be read ({type(error).__name__})", "read PostgreSQL's log")
            return
    _judge_slot(source.slot, row, report)


def _judge_slot(name: str, row: tuple[bool, str, int] | None, report: Report) -> None:
    if row is None:
        report.problem("slot", f"replication slot {name} is missing", "run `watchfloor connect apply`")
        return
    active, wal_status, backlog_bytes = row
    backlog = f"{backlog_bytes / 1024:.0f} KiB not yet captured"
    if wal_status == "lost":
        report.problem(
            "slot",
            f"slot {name} has lost log that was not read",
            "run `watchfloor connect apply --new-snapshot`, which reads all rows again",
        )
    elif not active:
        report.problem(
            "slot",
            f"nobody reads slot {name}, {backlog}",
            "check the connector (below); until it runs, PostgreSQL keeps its log",
        )
    elif backlog_bytes > _BACKLOG_BYTES_MAX:
        report.problem("slot", f"slot {name} is behind: {backlog}", "check Connect's CPU and its log")
    else:
        report.ok("slot", f"{name} is active, {backlog}")
