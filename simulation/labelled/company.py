"""The companies of a labelled scenario: one city each, and a site of each kind.

A guarded site with two posts around the clock, an office, and a remote site with one post. Everybody works at one
site. At the posts a phone goes from hand to hand; in the office everybody has one.
"""

from random import Random

from simulation.world.company import SiteKind, Tenant
from simulation.world.geometry import offset
from simulation.world.vocabulary import CITIES, CLIENT_NAMES, TENANT_NAMES

CREW = 8
"""People of a site. The remote site has one more, who works on a plan of his own."""
_CITIES = tuple(
    next(city for city in CITIES if city.name == name)
    for name in ("Berlin", "New York", "Mumbai", "Sydney", "London", "Singapore")
)
"""Three of the first four change their clocks within six weeks, one has none to change and is half an hour off."""
_POSTS = {SiteKind.GUARDED: 2, SiteKind.OFFICE: 0, SiteKind.REMOTE: 1}
_NEAR_M, _REMOTE_M = (2_000.0, 6_000.0), (60_000.0, 80_000.0)


def build_companies(seed: int, tenants: int) -> list[Tenant]:
    """So many tenants of this seed."""
    return [_tenant(Random(f"{seed}/company/{number}"), number) for number in range(tenants)]


def _tenant(rng: Random, number: int) -> Tenant:
    city = _CITIES[number % len(_CITIES)]
    tenant = Tenant(rng, number + 1, TENANT_NAMES[number % len(TENANT_NAMES)], [rng.choice(CLIENT_NAMES)])
    for kind in SiteKind:
        away_m = rng.uniform(*(_REMOTE_M if kind is SiteKind.REMOTE else _NEAR_M))
        is_office = kind is SiteKind.OFFICE
        site = tenant.add_site(
            f"{kind.value} site",
            kind,
            city,
            offset(rng, away_m),
            has_reader=not is_office,
            post_phones=_POSTS[kind],
            has_sensor=True,
        )
        for place in range(CREW + (kind is SiteKind.REMOTE)):
            tenant.add_person((site,), has_phone=is_office or place == CREW)
    return tenant
