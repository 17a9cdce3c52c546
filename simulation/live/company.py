"""The demo's companies: eight sites in two cities a tenant, and people who work at two sites of one city.

A pure function of the seed. Each run has a crew of persons of its own, because nobody can have been in one city a
minute ago and have worked in another one since the morning.
"""

from random import Random

from simulation.world.company import CREWS, PERSONS_MAX, SiteKind, Tenant
from simulation.world.vocabulary import CITIES, CLIENT_NAMES, SITE_NAMES, TENANT_NAMES

TENANT_IDS = (1, 5, 9, 6, 2, 10, 12, 20)
"""In the order in which they are taken. Kafka's partitioner puts 1 to 4 into one partition of four; these take turns."""
TENANTS_MAX = len(TENANT_IDS)
_CLIENTS, _SITES, _CITIES = 3, 8, 2
"""Of a tenant."""
_OFFICE_SHARE = 0.5
_CITY_SPREAD_M = 7_000.0


def build_company(seed: int, tenants: int, *, persons: int = PERSONS_MAX, crew: int = 0) -> tuple[Tenant, ...]:
    """The first `tenants` tenants of this seed.

    Args:
        seed: any integer; a tenant is the same however many tenants there are.
        tenants: 1 to TENANTS_MAX.
        persons: of each tenant, 1 to PERSONS_MAX.
        crew: which identifiers the persons have, 0 to CREWS - 1.

    Raises:
        ValueError: more tenants or persons than there are identifiers for, or none.
    """
    if not 1 <= tenants <= TENANTS_MAX:
        raise ValueError(f"a company of {tenants} tenants: 1 to {TENANTS_MAX} are possible")
    if not 1 <= persons <= PERSONS_MAX or not 0 <= crew < CREWS:
        raise ValueError(f"{persons} persons in crew {crew}: there are no identifiers for them")
    return tuple(
        _tenant(Random(f"{seed}/{number}"), number, name, persons, crew)
        for number, name in zip(TENANT_IDS[:tenants], TENANT_NAMES, strict=False)
    )


def _tenant(rng: Random, number: int, name: str, persons: int, crew: int) -> Tenant:
    cities = rng.sample(CITIES, _CITIES)
    tenant = Tenant(rng, number, name, rng.sample(CLIENT_NAMES, _CLIENTS), crew)
    sites = []
    for place, site_name in enumerate(rng.sample(SITE_NAMES, _SITES)):
        # Both halves of the list lie in one city each: nobody commutes between cities.
        city = cities[place * _CITIES // _SITES]
        kind = SiteKind.OFFICE if rng.random() < _OFFICE_SHARE else SiteKind.GUARDED
        spread_m = (rng.uniform(-_CITY_SPREAD_M, _CITY_SPREAD_M), rng.uniform(-_CITY_SPREAD_M, _CITY_SPREAD_M))
        sites.append(tenant.add_site(site_name, kind, city, spread_m))
    halves = sites[: _SITES // 2], sites[_SITES // 2 :]
    for place in range(persons):
        home, other = rng.sample(halves[place % 2], 2)
        tenant.add_person((home, other))
    return tenant
