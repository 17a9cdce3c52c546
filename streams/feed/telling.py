"""Tells the operators' feed what the detectors found, and counts it. Never judges."""

from collections.abc import Sequence

from contracts.envelope import Change
from detectors.finding_draft import FindingDraft
from streams.detection.detector_runner import TimerFinding
from streams.engine.partition.micro_batch import MicroBatch
from streams.feed.anomalies import anomaly_of_absence, anomaly_of_change
from streams.feed.writer import FeedWriter
from streams.metrics import WorkerMetrics
from streams.state.entities import TenantState
from streams.state.site_context import SiteContext
from streams.state.tables import TenantTables


class Teller:
    """Makes feed records of judgements.

    Args:
        outbox: where they go.
        metrics: where they are counted.
    """

    def __init__(self, feed: FeedWriter, metrics: WorkerMetrics) -> None:
        self._feed = feed
        self._metrics = metrics

    def of_change(
        self,
        batch: MicroBatch,
        tables: TenantTables,
        tenant: TenantState,
        change: Change,
        context: SiteContext,
        site_id: int | None,
        person_id: int | None,
        judgements: Sequence[FindingDraft],
    ) -> None:
        """Tell what is wrong with a row change. The caller stores the tenant, whose last number it takes.

        Raises:
            RecordTooLargeError: nothing was told.
        """
        person = None if person_id is None else tables.persons.get((change.row.tenant_id, person_id))
        record = anomaly_of_change(change, judgements, tenant, context, site_id, person_id, person, self._feed.epoch)
        self._feed.feed(batch, tenant, record)
        self._count(judgements)

    def of_absence(
        self, batch: MicroBatch, tables: TenantTables, tenant_id: int, absence: TimerFinding, context: SiteContext
    ) -> None:
        """Tell what did not happen.

        Raises:
            RecordTooLargeError: nothing was told.
        """
        tenant = tables.tenants.get(tenant_id) or TenantState()
        person_id = absence.origin.person_id
        person = None if person_id is None else tables.persons.get((tenant_id, person_id))
        record = anomaly_of_absence(tenant_id, absence, tenant, context, person, self._feed.epoch)
        self._feed.feed(batch, tenant, record)
        tables.tenants.put(tenant_id, tenant)
        self._count(absence.judgements)

    def _count(self, judgements: Sequence[FindingDraft]) -> None:
        for judgement in judgements:
            self._metrics.findings.labels(judgement.finding_type).inc()
