"""Checks of the watched PostgreSQL database: whether it answers, is prepared for capture, and its log is read."""

import psycopg

from common.errors import WatchfloorError
from common.settings.source import SourceSettings, is_this_machine
from connect.check import capture_dsn, connect_to, read_state
from connect.problems import Effect, problems, slot_problems
from connect.source_state import SlotState
from watchfloor.doctor.checks import Report, Target, in_thread

_BACKLOG_BYTES_MAX = 256 << 20
_CHECKS = {
    Effect.BREAKS_WRITES: "writes of the application",
    Effect.LOSES: "captures all changes",
    Effect.LOST: "has captured all changes",
    Effect.PARTIAL: "captures whole changes",
}


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
        _judge_encryption(source, report, encrypted=bool(connection.pgconn.ssl_in_use))
        try:
            state = read_state(connection, source)
        except psycopg.Error as error:
            report.problem("prepared for capture", f"cannot be read ({type(error).__name__})", "read PostgreSQL's log")
            report.unknown("the catalogs cannot be read", "slot")
            return
    found = list(problems(source, state))
    for problem in found:
        report.problem(_CHECKS.get(problem.effect, "prepared for capture"), problem.text, problem.advice)
    if not found:
        report.ok("prepared for capture", f"wal_level=logical, publication {source.publication}")
    _judge_slot(source.slot, state.slot, report)


def _judge_encryption(source: SourceSettings, report: Report, *, encrypted: bool) -> None:
    """Rows and the password travel to Connect and to here; `verify-full` also knows to whom the password is sent."""
    mode = source.sslmode_of(source.host)
    if is_this_machine(source.host):
        report.ok("encryption", "the connection does not leave this machine")
    elif mode == "verify-full":
        report.ok("encryption", "encrypted, and the server's certificate is checked (source.sslmode=verify-full)")
    else:
        how = "encrypted, but not checked against the server's name" if encrypted else "not encrypted"
        report.problem(
            "encryption",
            f"the connection to {source.host} is {how} (source.sslmode={mode})",
            "set source.sslmode to verify-full, and source.ssl_ca_file to the certificate authority of the server",
        )


def _judge_slot(name: str, slot: SlotState | None, report: Report) -> None:
    for problem in slot_problems(name, slot):
        report.problem("slot", problem.text, problem.advice)
    if slot is None or slot.lost:
        return
    backlog = f"{slot.backlog_bytes / 1024:.0f} KiB not yet captured"
    if not slot.active:
        report.problem(
            "slot",
            f"nobody reads slot {name}, {backlog}",
            "check the connector (below); until it runs, PostgreSQL keeps its log",
        )
    elif slot.backlog_bytes > _BACKLOG_BYTES_MAX:
        report.problem("slot", f"slot {name} is behind: {backlog}", "check Connect's CPU and its log")
    else:
        report.ok("slot", f"{name} is active, {backlog}")
