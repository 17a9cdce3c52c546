"""Thresholds are rows: they hold from their commit on, and a replay of the topics says what was said by what held."""

import asyncio
from datetime import UTC, datetime

import pytest
from chain.detection.watched_company import AGO, LATITUDE, Company, World, heard, listen
from support.replay_comparison import Compared, compare

from contracts.topics import partition_of

pytestmark = pytest.mark.timeout(240)
NEAR = LATITUDE + 0.0022
"""About 145 m outside of the site's circle; by default 116 m are allowed at this accuracy."""


def test_a_policy_is_changed_while_running_and_a_replay_uses_what_held(world: World, company: Company) -> None:
    company.policy("late_check_in", enabled=False)
    with listen(world, company.tenant) as operator:
        row = company.policy("unexpected_location", margin_m=500.0)
        company.check_in(latitude=NEAR)
        assert operator.expect("event_processed")["anomalies_found"] is False
        company.change("policy", row, settings='{"margin_m": 10.0}')
        company.check_in(latitude=NEAR)
        _, finding = heard(operator, "UNEXPECTED_LOCATION")
        assert finding["evidence"]["margin_m"] == 10.0
        company.change("policy", row, settings='{"margin_m": "ten"}')
        company.check_in(latitude=NEAR)
        _, finding = heard(operator, "UNEXPECTED_LOCATION")
        assert finding["evidence"]["margin_m"] == 10.0, "a policy that does not fit changes nothing"
        site = company.add("policy", site_id=company.site, detector="unexpected_location", settings='{"margin_m": 900}')
        company.check_in(latitude=NEAR)
        assert operator.expect("event_processed")["anomalies_found"] is False
        company.session.execute("DELETE FROM public.policy WHERE id = %s", [site])
        company.check_in(latitude=NEAR)
        heard(operator, "UNEXPECTED_LOCATION")


def test_a_timer_that_waits_follows_the_policy(world: World, company: Company) -> None:
    created_at = datetime.now(UTC) - AGO(minutes=30)
    with listen(world, company.tenant) as operator:
        company.add("ticket", status="OPEN", priority="HIGH", created_at=created_at)
        assert operator.collect(0.5)[-1]["type"] == "event_processed"
        company.policy("ticket_sla_breach", high_hours_max=0.5 + 2 / 3_600)
        _, finding = heard(operator, "TICKET_SLA_BREACH")
    assert finding["evidence"]["threshold"] == pytest.approx(0.5 + 2 / 3_600)


def test_the_replays_of_everything_so_far_say_what_the_topics_hold(world: World, company: Company) -> None:
    with listen(world, company.tenant) as operator:
        company.check_in(verified_person_id=1)
        heard(operator, "WRONG_PERSON")
    settings = world.stack.settings

    async def all_partitions() -> list[Compared]:
        return [await compare(settings, partition) for partition in range(settings.kafka.partitions)]

    compared = asyncio.run(all_partitions())
    mine = compared[partition_of(company.tenant, settings.kafka.partitions)]
    assert len(mine.feed[company.tenant]) >= 1
