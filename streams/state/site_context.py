"""The site context: the facts of a tenant's site and the policies of the detectors there."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from detectors.policy import Policy
from detectors.row_quality.data_quality import DataQualityPolicy
from detectors.shared.facts import SiteFacts
from streams.state.detector_state import DetectorGroup

Step = tuple[str, Any, Policy, bool, Any]
"""A detector's name, its `judge`, its policy, whether it has a state, and its `due_ms` if it finds absences."""


Plans = Mapping[str, Sequence[tuple[DetectorGroup, Sequence[Step]]]]


class SiteContext(msgspec.Struct, frozen=True):
    """The context of a tenant's site, or of events without a site."""

    facts: SiteFacts | None
    name: str | None
    client_id: int | None
    plans: Plans
    """For each table the groups that read it, each with its enabled detectors."""
    policies: Mapping[str, Policy]
    """The policy of each detector."""
    quality: DataQualityPolicy | None
    """The policy by which impossible values are removed; None if they are not."""
