"""Reference data as detectors see it: the site of an event, and the shifts of its person. Values only."""

import msgspec

from detectors.shared.geo import Area

CHECK_IN = "CHECK_IN"
CHECK_OUT = "CHECK_OUT"
CHECKS = frozenset({CHECK_IN, CHECK_OUT})


class Shift(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A person's assignment to a site; times are Unix seconds."""

    assignment_id: int
    site_id: int
    start_s: float
    end_s: float


class SiteFacts(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A site. What is missing or unreadable in its row is None here, and detectors that need it judge nothing."""

    site_id: int
    client_id: int | None = None
    latitude: float | None = None
    """Degrees, WGS 84, within -90..90."""
    longitude: float | None = None
    """Degrees, WGS 84, within -180..180."""
    geofence_radius_m: float | None = None
    area: Area | None = None
    """Its polygon, or without one the circle of its position and radius; None where its row has neither."""
    timezone: str = "UTC"
    """IANA name: the site's own, otherwise its tenant's, otherwise UTC."""
