"""What holds at a site of a tenant: its facts and the policies of the detectors there."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from detectors.policy import Policy
from detectors.row_quality.data_quality import DataQualityPolicy
from detectors.shared.facts import SiteFacts
from streams.state.detector_state import DetectorGroup

Step = tuple[str, Any, Policy, bool, Any]
"""A detector's name, its `judge`, the policy that holds, whether it has a state, and its `due_ms` if it finds absences."""


Plans = Mapping[str, Sequence[tuple[DetectorGroup, Sequence[Step]]]]


class SiteContext(msgspec.Struct, frozen=True):
    """A site of a tenant, or no site, and what holds there."""

    facts: SiteFacts | None
    name: str | None
    client_id: int | None
    plans: Plans
    """Table to the groups that read it, each with its enabled detectors."""
    policies: Mapping[str, Policy]
    """Detector to the policy that holds."""
    quality: DataQualityPolicy | None
    """By which rows are cleaned; None where they are not."""
