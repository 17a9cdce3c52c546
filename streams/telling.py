"""Tells the operators' feed what the detectors found, and counts it. Never judges."""

from collections.abc import Sequence

from contracts.envelope import Change
from detectors.judgement import Judgement
from streams.anomalies import anomaly_of_absence, anomaly_of_change
from streams.engine.model import MicroBatch
from streams.judging import Absence
from streams.metrics import WorkerMetrics
from streams.outbox import Outbox
from streams.places import Place
from streams.tables import TenantState, TenantTables


class Teller:
    """Makes feed records of judgements.

    Args:
        outbox: where they go.
        metrics: where they are counted.
    """

    def __init__(self, outbox: Outbox, metrics: WorkerMetrics) -> None:
        self._outbox = outbox
        self._metrics = metrics

    def of_change(
        self,
        batch: MicroBatch,
        tables: TenantTables,
        tenant: TenantState,
        change: Change,
        place: Place,
        site_id: int | None,
        person_id: int | None,
        judgements: Sequence[Judgement],
    ) -> None:
        """Tell what is wrong with a row change. The caller stores the tenant, whose last number it takes.

        Raises:
            RecordTooLargeError: nothing was told.
        """
        person = None if person_id is None else tables.persons.get((change.row.tenant_id, person_id))
        record = anomaly_of_change(change, judgements, tenant, place, site_id, person_id, person, self._outbox.epoch)
        self._outbox.feed(batch, tenant, record)
        self._count(judgements)

    def of_absence(
        self, batch: MicroBatch, tables: TenantTables, tenant_id: int, absence: Absence, place: Place
    ) -> None:
        """Tell what did not happen.

        Raises:
            RecordTooLargeError: nothing was told.
        """
        tenant = tables.tenants.get(tenant_id) or TenantState()
        person_id = absence.origin.person_id
        person = None if person_id is None else tables.persons.get((tenant_id, person_id))
        record = anomaly_of_absence(tenant_id, absence, tenant, place, person, self._outbox.epoch)
        self._outbox.feed(batch, tenant, record)
        tables.tenants.put(tenant_id, tenant)
        self._count(absence.judgements)

    def _count(self, judgements: Sequence[Judgement]) -> None:
        for judgement in judgements:
            self._metrics.findings.labels(judgement.finding_type).inc()
