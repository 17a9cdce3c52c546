"""What is kept of tenants, sites, persons and policies, as MessagePack arrays."""

import msgspec


class RateState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One tenant's window and burst; windows are counted from 1970 in units of the window's length."""

    window: int = 0
    admitted: int = 0
    """Events of the window that were scored."""
    dropped: int = 0
    """Events of the burst that were not scored; 0: no burst."""
    burst_window: int = 0
    """The first window of the burst."""
    last_drop_window: int = 0


class TenantState(msgspec.Struct, array_like=True):
    """One tenant: the number of its last message, its limit and its rate window."""

    seq: int = 0
    events_per_second_max: int | None = None
    """From `tenant.max_events_per_second`; None: the default of the settings."""
    rate: RateState = RateState()
    timezone: str | None = None
    """From `tenant.timezone`, for sites without their own."""


class SiteState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A site's row, as far as messages and detectors need it."""

    name: str | None
    client_id: int | None
    latitude: float | None = None
    longitude: float | None = None
    geofence_radius_m: float | None = None
    geofence: str | None = None
    timezone: str | None = None


class PersonState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What messages say of a person."""

    name: str | None


class PolicyState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One policy row: some fields of a detector's policy, for a tenant, a client or a site."""

    client_id: int | None
    site_id: int | None
    detector: str
    settings: str
    """JSON object, checked when the row was learnt."""
