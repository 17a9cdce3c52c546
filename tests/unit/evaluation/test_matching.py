"""A finding is of a label of its type, tenant and entity within its time; a label takes one."""

from contracts.findings import Category, Finding, FindingType, Severity
from evaluation.fold import DeadLetter, Found, Outcome
from evaluation.matching import Tally, match
from evaluation.report import judge
from simulation.records import Label, Meta


def label(kind: str = "LATE_CHECK_IN", at_s: float = 100.0, *, entity: str = "person:1", **more: object) -> Label:
    values: dict[str, object] = {"tenant_id": 1, "after_s": 10.0} | more
    return Label(finding_type=kind, entities=[entity], at_s=at_s, **values)  # type: ignore[arg-type]


def found(
    kind: str = "LATE_CHECK_IN",
    at_s: float = 100.0,
    *,
    tenant: int = 1,
    entity: str = "person:1",
    reported_s: float = 0.0,
) -> Found:
    finding = Finding(
        id="1", finding_type=kind, category=Category.ATTENDANCE, severity=Severity.LOW, title="", description="",
        evidence={}, created_at="",
    )  # fmt: skip
    return Found(finding, tenant, None, "attendance", 1, frozenset({entity}), at_s, max(at_s, reported_s), timed=False)


def tally(findings: list[Found], labels: list[Label]) -> Tally:
    return match(Outcome(findings, 0, []), labels)["LATE_CHECK_IN"]


def test_a_finding_within_the_tolerance_is_a_hit() -> None:
    its = tally([found(at_s=110.0)], [label()])
    assert (its.recall, its.precision) == (1.0, 1.0)


def test_another_tenant_entity_or_time_is_a_miss_and_a_false_alarm() -> None:
    for wrong in (found(tenant=2), found(entity="person:2"), found(at_s=110.1), found(at_s=99.9)):
        its = tally([wrong], [label()])
        assert (its.recall, its.precision) == (0.0, 0.0)


def test_another_type_is_a_miss_here_and_a_false_alarm_there() -> None:
    tallies = match(Outcome([found("WRONG_PERSON")], 0, []), [label()])
    assert (len(tallies["LATE_CHECK_IN"].misses), len(tallies["WRONG_PERSON"].false)) == (1, 1)


def test_a_label_takes_one_finding_and_the_next_is_false() -> None:
    its = tally([found(), found(at_s=101.0)], [label()])
    assert (len(its.hits), len(its.false)) == (1, 1)


def test_two_labels_take_two_findings() -> None:
    its = tally([found(), found(at_s=101.0)], [label(), label(at_s=101.0)])
    assert (len(its.hits), len(its.misses), len(its.false)) == (2, 0, 0)


def test_what_is_not_required_is_neither_missed_nor_false() -> None:
    spare = label(required=False)
    assert match(Outcome([], 0, []), [spare]) == {}
    its = tally([found(), found()], [spare])
    assert (its.labels, len(its.false)) == (0, 0)


def test_a_required_label_goes_first() -> None:
    its = tally([found()], [label(required=False), label(at_s=95.0)])
    assert len(its.hits) == 1


def test_a_dead_letter_is_a_finding_about_its_row() -> None:
    wrong = label("DATA_QUALITY", entity="location:5")
    outcome = Outcome([], 0, [DeadLetter("location", 1, 5, 101.0, "decode: not a number")])
    assert match(outcome, [wrong])["DATA_QUALITY"].recall == 1.0
    elsewhere = Outcome([], 0, [DeadLetter("location", 1, 6, 101.0, "decode: not a number")])
    assert match(elsewhere, [wrong])["DATA_QUALITY"].recall == 0.0


def test_delay_is_known_only_where_the_moment_is_known() -> None:
    its = tally([found(reported_s=100.8), found(at_s=200.0)], [label(exact=True), label(at_s=200.0)])
    assert [round(delay, 3) for delay in its.delays_s] == [0.8]


def test_a_learned_type_is_judged_from_its_time_on_and_may_err_once_a_site_and_week() -> None:
    kind, week_s = "ANOMALY_PHONE_EVENTS_BELOW", 7 * 86_400.0
    meta = Meta(from_s=0.0, until_s=2 * week_s, judged_from_s=week_s, sites=2)
    right = label(kind, week_s + 1)
    false = [found(kind, week_s + 100, entity=f"person:{number}") for number in range(2, 5)]
    early = found(kind, week_s - 1)
    (line,) = judge(Outcome([found(kind, week_s + 2), early, *false[:2]], 0, []), [right], meta).lines
    assert line.met
    assert line.false_per_site_day * 7 == 1.0
    report = judge(Outcome([found(kind, week_s + 2), early, *false], 0, []), [right], meta)
    assert not report.lines[0].met
    assert report.early == 1


def test_a_rule_that_is_late_does_not_hold_its_target() -> None:
    meta = Meta(from_s=0.0, until_s=86_400.0, judged_from_s=0.0, sites=1)
    exact = label(exact=True)
    assert judge(Outcome([found(reported_s=101.9)], 0, []), [exact], meta).met
    assert not judge(Outcome([found(reported_s=102.1)], 0, []), [exact], meta).met


def test_the_scenario_says_what_has_to_be_learned_and_what_nobody_planted_is_named() -> None:
    kind = "UNUSUAL_COMPLETION_TIME"
    meta = Meta(from_s=0.0, until_s=86_400.0, judged_from_s=1_000.0, sites=1, learned=[kind])
    report = judge(Outcome([], 0, []), [label(kind, 500.0), label(kind, 2_000.0), label()], meta)
    assert [(line.tally.finding_type, line.learned, line.tally.labels) for line in report.lines] == [
        ("LATE_CHECK_IN", False, 1),
        (kind, True, 1),
    ]
    assert set(report.unlabelled) == {*map(str, FindingType)} - {"LATE_CHECK_IN", kind}
