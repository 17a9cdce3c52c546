"""Policies: the thresholds of each detector as one typed struct, changed by data while the worker runs.

A row of the table `policy` names a detector and some fields of its policy, for a tenant, one of its clients or one of
its sites. `overridden` applies such rows to the defaults, the most specific last. It is strict: a misspelt field, or a
text where a number belongs, is an error and changes nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec

P = TypeVar("P", bound="Policy")

Seconds: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=366 * 86_400)]
"""A span; like all spans at most a leap year, so that no time that is computed with it leaves the calendar."""
PositiveSeconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=366 * 86_400)]
Minutes: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=366 * 1_440)]
PositiveMinutes: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=366 * 1_440)]
PositiveHours: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=366 * 24)]
PositiveDays: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=366)]
Metres: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=20_100_000)]
"""A distance, at most half way around the earth."""
PositiveMetres: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=20_100_000)]
PositiveSpeed: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
"""Metres per second."""
Factor: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1_000)]
PositiveFactor: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
"""A ratio, a number of standard deviations, an expected count."""
COUNT_MAX: Final = 10_000
"""The upper bound of every policy field that counts something."""
Share: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""Also of fraud scores: 0 says nothing of fraud, 1 is fraud."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every detector's policy has. Each field has a default, a lower and an upper bound, and its unit in its name."""

    enabled: bool = True
    """False: the detector is not run."""


class PolicyError(ValueError):
    """The settings do not fit the detector's policy; the message is a sentence."""


def overridden(policy: P, layers: Iterable[Mapping[str, Any]]) -> P:
    """The policy with the fields that the layers name; a later layer overrides an earlier one.

    Raises:
        PolicyError: a field that the policy does not have, or a value of the wrong type or out of its range.

    >>> class Example(Policy, frozen=True):
    ...     speed_mps_max: float = 50.0
    >>> overridden(Example(), [{"speed_mps_max": 70}, {"enabled": False}])
    Example(speed_mps_max=70.0, enabled=False)
    >>> overridden(Example(), [{"speed": 70}])
    Traceback (most recent call last):
    detectors.policy.PolicyError: Object contains unknown field `speed`
    """
    values: dict[str, Any] = msgspec.structs.asdict(policy)
    for layer in layers:
        values.update(layer)
    try:
        return msgspec.convert(values, type(policy))
    except msgspec.ValidationError as error:
        raise PolicyError(str(error)) from None
