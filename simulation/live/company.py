"""The simulated company's reference data: tenants, clients, sites, persons, devices.

A pure function of the seed: the same seed gives the same rows, and identifiers depend only on the
place in the structure, so that another seed renames what is there instead of colliding with it.
Persons and their telephones are the exception: each run has a crew of its own, because nobody can have
been in one city a minute ago and have worked in another one since the morning.
Never touches a connection, and knows no time.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from simulation.live.geometry import moved
from simulation.live.operations import Insert
from simulation.live.vocabulary import (
    CITIES,
    CLIENT_NAMES,
    FAMILY_NAMES,
    GIVEN_NAMES,
    SITE_KINDS,
    TENANT_NAMES,
    City,
)

TENANT_IDS = (1, 5, 9, 6, 2, 10, 12, 20)
"""In the order in which they are taken. Kafka's partitioner puts 1 to 4 into one partition of four; these take turns."""
TENANTS_MAX = len(TENANT_IDS)
CLIENTS_PER_TENANT = 3
SITES_PER_TENANT = 8
PERSONS_PER_TENANT_MAX = 90
CREWS = 100
"""After so many runs the identifiers of the first crew are used again."""
_PERSON_IDS_PER_TENANT = 10_000
_PERSON_IDS_PER_CREW = _PERSON_IDS_PER_TENANT // CREWS
_PHONE_IDS_FROM = 1_000_000
_POLYGON_SHARE = 0.5
"""Of the sites have a polygon beside their circle."""
_CITY_SPREAD_M = 7_000.0


@dataclass(frozen=True, slots=True)
class Site:
    """A guarded place; the geofence is a circle, at some sites also a polygon within it."""

    id: int
    tenant_id: int
    client_id: int
    name: str
    latitude: float
    longitude: float
    geofence_radius_m: int
    geofence: str | None
    timezone: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works at two sites and at no other; that makes a visit elsewhere a finding."""

    id: int
    tenant_id: int
    name: str
    phone: str
    email: str
    sites: tuple[Site, Site]

    @property
    def device_id(self) -> int:
        """Of the person's own telephone."""
        return _PHONE_IDS_FROM + self.id


@dataclass(frozen=True, slots=True)
class Device:
    """A site's gate reader, or somebody's telephone, which is entered at the site where they mostly work."""

    id: int
    tenant_id: int
    site_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer of the system with all that belongs to it."""

    id: int
    name: str
    timezone: str
    clients: tuple[tuple[int, str], ...]
    sites: tuple[Site, ...]
    persons: tuple[Person, ...]
    devices: tuple[Device, ...]

    def rows(self) -> Iterator[Insert]:
        """The reference rows, each after the rows it refers to."""
        yield Insert("tenant", {"id": self.id, "tenant_id": self.id, "name": self.name, "timezone": self.timezone})
        for client_id, name in self.clients:
            yield Insert("client", {"id": client_id, "tenant_id": self.id, "name": name})
        for site in self.sites:
            yield Insert("site", {field: getattr(site, field) for field in Site.__slots__})
        for person in self.persons:
            yield Insert("person", {field: getattr(person, field) for field in Person.__slots__ if field != "sites"})
        for device in self.devices:
            values = {field: getattr(device, field) for field in Device.__slots__}
            yield Insert("device", values | {"status": "ONLINE", "battery_percent": 100})


def build_company(
    seed: int, tenants: int, *, persons: int = PERSONS_PER_TENANT_MAX, crew: int = 0
) -> tuple[Tenant, ...]:
    """The first `tenants` tenants of this seed.

    Args:
        seed: any integer; a tenant is the same however many tenants there are.
        tenants: 1 to TENANTS_MAX.
        persons: of each tenant, 1 to PERSONS_PER_TENANT_MAX.
        crew: which identifiers the persons have, 0 to CREWS - 1.

    Raises:
        ValueError: more tenants or persons than there are identifiers for, or none.
    """
    if not 1 <= tenants <= TENANTS_MAX:
        raise ValueError(f"a company of {tenants} tenants: 1 to {TENANTS_MAX} are possible")
    if not 1 <= persons <= PERSONS_PER_TENANT_MAX or not 0 <= crew < CREWS:
        raise ValueError(f"{persons} persons in crew {crew}: there are no identifiers for them")
    # Chance that can be repeated, and no secret.
    return tuple(
        _tenant(Random(f"{seed}/{number}"), number, name, persons, crew)
        for number, name in zip(TENANT_IDS[:tenants], TENANT_NAMES, strict=False)
    )


def crew_of(person_id: int) -> int:
    """The crew to which a person of this id belongs.

    >>> crew_of(10_090), crew_of(10_101), crew_of(59_901)
    (0, 1, 99)
    """
    return person_id % _PERSON_IDS_PER_TENANT // _PERSON_IDS_PER_CREW


def _tenant(rng: Random, number: int, name: str, persons: int, crew: int) -> Tenant:
    cities = rng.sample(CITIES, 2)
    clients = tuple(
        (number * 100 + place, name) for place, name in enumerate(rng.sample(CLIENT_NAMES, CLIENTS_PER_TENANT), 1)
    )
    sites = _sites(rng, number, cities, clients)
    people = _persons(rng, number, name, sites, persons, crew)
    return Tenant(
        id=number,
        name=name,
        timezone=cities[0].timezone,
        clients=clients,
        sites=sites,
        persons=people,
        devices=_devices(number, sites, people),
    )


def _sites(rng: Random, tenant_id: int, cities: list[City], clients: tuple[tuple[int, str], ...]) -> tuple[Site, ...]:
    kinds = rng.sample(SITE_KINDS, SITES_PER_TENANT)
    sites = []
    for place, kind in enumerate(kinds):
        # Both halves of the list lie in one city each: nobody commutes between cities.
        city = cities[place * 2 // SITES_PER_TENANT]
        client_id, client_name = clients[place % len(clients)]
        spread = (rng.uniform(-_CITY_SPREAD_M, _CITY_SPREAD_M), rng.uniform(-_CITY_SPREAD_M, _CITY_SPREAD_M))
        latitude, longitude = moved(city.latitude, city.longitude, *spread)
        radius_m = rng.randrange(90, 260, 10)
        sites.append(
            Site(
                id=tenant_id * 1_000 + place + 1,
                tenant_id=tenant_id,
                client_id=client_id,
                name=f"{client_name} {kind}, {city.name}",
                latitude=latitude,
                longitude=longitude,
                geofence_radius_m=radius_m,
                geofence=_polygon(latitude, longitude, radius_m) if rng.random() < _POLYGON_SHARE else None,
                timezone=city.timezone,
            )
        )
    return tuple(sites)


def _polygon(latitude: float, longitude: float, radius_m: int) -> str:
    """A GeoJSON octagon on the circle, closed as RFC 7946 wants it: counterclockwise, first point repeated."""
    diagonal = radius_m * 0.7071
    offsets = [
        (radius_m, 0), (diagonal, diagonal), (0, radius_m), (-diagonal, diagonal),
        (-radius_m, 0), (-diagonal, -diagonal), (0, -radius_m), (diagonal, -diagonal), (radius_m, 0),
    ]  # fmt: skip
    ring = [list(reversed(moved(latitude, longitude, east, north))) for east, north in offsets]
    return json.dumps({"type": "Polygon", "coordinates": [ring]})


def _persons(
    rng: Random, tenant_id: int, company: str, sites: tuple[Site, ...], number: int, crew: int
) -> tuple[Person, ...]:
    domain = "".join(letter for letter in company.partition(" ")[0].lower() if letter.isalpha()) + ".example"
    half = len(sites) // 2
    persons = []
    for place in range(number):
        given, family = rng.choice(GIVEN_NAMES), rng.choice(FAMILY_NAMES)
        local = sites[:half] if place % 2 == 0 else sites[half:]
        home, other = rng.sample(local, 2)
        persons.append(
            Person(
                id=tenant_id * _PERSON_IDS_PER_TENANT + crew * _PERSON_IDS_PER_CREW + place + 1,
                tenant_id=tenant_id,
                name=f"{given} {family}",
                phone=f"+1-{rng.randrange(201, 990)}-555-01{place % 100:02d}",
                email=f"{given}.{family}{place + 1}@{domain}".lower(),
                sites=(home, other),
            )
        )
    return tuple(persons)


def _devices(tenant_id: int, sites: tuple[Site, ...], persons: tuple[Person, ...]) -> tuple[Device, ...]:
    readers = tuple(
        Device(reader_of(site), tenant_id, site.id, f"Gate reader {place}") for place, site in enumerate(sites, 1)
    )
    phones = tuple(
        Device(person.device_id, tenant_id, person.sites[0].id, f"Telephone {person.id}") for person in persons
    )
    return readers + phones


def reader_of(site: Site) -> int:
    """The id of the device at a site's gate."""
    return site.id
