"""What is said of a database by its catalogs; against real servers in tests/hostile/capture and tests/chain/capture."""

import msgspec
import pytest

from common.settings.source import SourceSettings, TableMapping
from connect.problems import Effect, problems, slot_problems
from connect.source_state import Gap, Part, PublicationState, SlotState, SourceState, TableState

SOURCE = SourceSettings(tables={"ticket": TableMapping(table="t")})


def part(**more: object) -> Part:
    fine = {"relation": "public.t", "identity": "f", "names_tenant": True, "breaks": None, "best": "f"}
    rest = {"best_index": None, "full_breaks": None, "fits": True}
    return Part(**fine | rest | more)  # type: ignore[arg-type]


def state(*parts: Part, gaps: list[Gap] | None = None, **more: object) -> SourceState:
    columns = {"id": "int8", "tenant_id": "int8"}
    fine = {
        "exists": True,
        "published": True,
        "narrowed": False,
        "partitioned": False,
        "may_read": True,
        "may_write": False,
        "parts": list(parts),
    }
    table = TableState(**fine | more, columns=columns)  # type: ignore[arg-type]
    return SourceState("logical", True, True, PublicationState(True, False), [table], None, gaps or [])


def test_a_whole_capture_has_no_problem() -> None:
    assert list(problems(SOURCE, state(part()))) == []


@pytest.mark.parametrize(
    ("given", "effect", "advice"),
    [
        (part(breaks="why", fits=False), Effect.BREAKS_WRITES, "ALTER TABLE public.t REPLICA IDENTITY FULL"),
        (part(breaks="why", best="d", fits=False), Effect.BREAKS_WRITES, "REPLICA IDENTITY DEFAULT"),
        (part(breaks="why", best=None, fits=False), Effect.BREAKS_WRITES, "DROP TABLE public.t"),
        (part(identity="d", best="i", best_index='a"b', fits=False), Effect.UNPREPARED, 'USING INDEX "a""b"'),
        (part(identity="d", best="d", names_tenant=False), Effect.PARTIAL, "CREATE UNIQUE INDEX"),
        (part(identity="d", best=None, fits=False), Effect.LOSES, "add a primary key"),
    ],
)
def test_each_identity_has_its_way_out(given: Part, effect: Effect, advice: str) -> None:
    [problem] = problems(SOURCE, state(given))
    assert (problem.effect, problem.table) == (effect, "ticket")
    assert advice in problem.advice


def test_gaps_of_one_reason_are_one_line() -> None:
    gaps = [Gap(f"public.t{n}", "no publication", f"2026-01-0{n}", f"2026-02-0{n}") for n in range(1, 6)]
    [problem] = problems(SOURCE, state(part(), gaps=gaps))
    assert problem.since == "2026-01-01"
    assert (
        "public.t1, public.t2, public.t3 and 2 more were not captured from 2026-01-01 until 2026-02-05" in problem.text
    )
    [problem] = problems(SOURCE, state(part(), gaps=[*gaps, Gap("public.t9", "no publication", "2026-03-01", None)]))
    assert "until now" in problem.text


@pytest.mark.parametrize(
    ("slot", "effects"),
    [
        (None, [Effect.LOSES]),
        (SlotState(active=False, wal_status="lost", backlog_bytes=0), [Effect.LOSES]),
        (SlotState(active=False, wal_status="reserved", backlog_bytes=0), []),
        (SlotState(active=True, wal_status=None, backlog_bytes=0), []),
    ],
)
def test_a_slot_that_keeps_no_log_loses_rows(slot: SlotState | None, effects: list[Effect]) -> None:
    assert [problem.effect for problem in slot_problems("s", slot)] == effects


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (state(part(), narrowed=True), "only some rows or columns of captured table public.t"),
        (state(part(), partitioned=True), "the partitions of public.t under its name"),
        (msgspec.structs.replace(state(part()), publication=PublicationState(False, True)), "all of INSERT, UPDATE"),
        (msgspec.structs.replace(state(part()), publication=None), "publication watchfloor is missing"),
        (state(part(), published=False), "public.t is not in publication"),
    ],
)
def test_a_publication_that_leaves_something_out_loses_rows(given: SourceState, said: str) -> None:
    [problem] = problems(SOURCE, given)
    assert problem.effect is Effect.LOSES
    assert said in problem.text
