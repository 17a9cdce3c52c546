"""The stored states of tenants, sites, persons and policies, as MessagePack arrays."""

import msgspec


class RateState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tenant's window and burst; windows are counted from 1970 in units of the window's length."""

    window: int = 0
    admitted: int = 0
    """The number of scored events in the window."""
    dropped: int = 0
    """The number of dropped events in the burst; 0: no burst."""
    burst_window: int = 0
    """The first window of the burst."""
    last_drop_window: int = 0


class TenantState(msgspec.Struct, array_like=True):
    """A tenant: the number of its last message, its limit and its rate window."""

    seq: int = 0
    events_per_second_max: int | None = None
    """From `tenant.max_events_per_second`; None: the default of the settings."""
    rate: RateState = RateState()
    timezone: str | None = None
    """From `tenant.timezone`, for sites without their own."""


class SiteState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The columns of a site that messages and detectors need."""

    name: str | None
    client_id: int | None
    latitude: float | None = None
    longitude: float | None = None
    geofence_radius_m: float | None = None
    geofence: str | None = None
    timezone: str | None = None


class PersonState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The columns of a person that messages need."""

    name: str | None


class PolicyState(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A policy row: some fields of a detector's policy, for a tenant, a client or a site."""

    client_id: int | None
    site_id: int | None
    detector: str
    settings: str
    """A JSON object, which was checked when the row was stored."""
