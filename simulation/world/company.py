"""The company's reference data: tenants, clients, sites, persons, devices.

Identifiers depend only on the place in the structure, so that another seed renames what is there instead of
colliding with it. Which sites and persons there are is said by `live.company` and `labelled.company`. Never touches a
connection, and knows no time.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from zoneinfo import ZoneInfo

from simulation.records import Row
from simulation.world.calendar import moment
from simulation.world.geometry import distance_m, moved, turned_rectangle
from simulation.world.vocabulary import FAMILY_NAMES, GIVEN_NAMES, City

CREWS = 100
"""After so many crews the identifiers of the first one are used again."""
PERSONS_MAX = 90
"""Of a crew."""
_PERSON_IDS_PER_TENANT = 10_000
_PERSON_IDS_PER_CREW = _PERSON_IDS_PER_TENANT // CREWS
_SENSOR_IDS_FROM, _POST_PHONE_IDS_FROM, _PHONE_IDS_FROM = 100_000, 200_000, 1_000_000
_POST_PHONES_PER_SITE_MAX = 10


class SiteKind(StrEnum):
    """What a site is."""

    GUARDED = "guarded"
    """Posts around the clock; its geofence is a circle."""
    OFFICE = "office"
    """People on weekdays; its geofence is a polygon."""
    REMOTE = "remote"
    """A post around the clock, an hour's drive away; it has its tenant's time zone, as a site without one does."""


@dataclass(frozen=True, slots=True, eq=False)
class Site:
    """A site of a client, and the devices that belong to it."""

    id: int
    tenant_id: int
    client_id: int
    name: str
    kind: SiteKind
    city: City
    latitude: float
    longitude: float
    radius_m: int
    geofence: str | None
    reader_id: int | None
    """The device at its gate; None where people check in with their own phones."""
    post_phone_ids: tuple[int, ...] = ()

    @property
    def extent_m(self) -> float:
        """People stay within this distance of its middle, and all of that is within its geofence."""
        return 0.6 * self.radius_m

    @property
    def zone(self) -> ZoneInfo:
        """Its time zone."""
        return ZoneInfo(self.city.timezone)

    def distance_m(self, other: "Site") -> float:
        """To another site of the same city."""
        return distance_m(self.latitude, self.longitude, other.latitude, other.longitude)

    def row(self) -> Row:
        """Its row of the table `site`."""
        return {
            "id": self.id,
            "client_id": self.client_id,
            "name": self.name,
            "latitude": self.latitude,
            "longitude": self.longitude,
            "geofence_radius_m": None if self.geofence else self.radius_m,
            "geofence": self.geofence,
            "timezone": None if self.kind is SiteKind.REMOTE else self.city.timezone,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """Somebody who works at these sites and at no other; that makes a visit elsewhere a finding."""

    id: int
    name: str
    phone: str
    email: str
    sites: tuple[Site, ...]
    phone_id: int | None
    """The device that is the person's own phone; None for those who use that of their post."""


@dataclass(frozen=True, slots=True)
class Device:
    """A gate reader, a sensor or a phone, which is entered at the site where its owner mostly works."""

    id: int
    site_id: int
    name: str
    is_phone: bool = False


class Tenant:
    """A customer of the system with all that belongs to it.

    Args:
        rng: for names and geofences.
        tenant_id: below 80.
        crew: which identifiers its persons have, 0 to CREWS - 1.
    """

    def __init__(self, rng: Random, tenant_id: int, name: str, clients: Iterable[str], crew: int = 0) -> None:
        self.id = tenant_id
        self.name = name
        self.clients = [(tenant_id * 100 + number, client) for number, client in enumerate(clients, 1)]
        self.sites: list[Site] = []
        self.persons: list[Person] = []
        self.devices: list[Device] = []
        self.staff: dict[int, list[Person]] = {}
        """By site, those who work there."""
        self._rng = rng
        self._first_person_id = tenant_id * _PERSON_IDS_PER_TENANT + crew * _PERSON_IDS_PER_CREW + 1

    @property
    def timezone(self) -> str:
        """That of its first site."""
        return self.sites[0].city.timezone

    def add_site(
        self,
        name: str,
        kind: SiteKind,
        city: City,
        offset_m: tuple[float, float],
        *,
        has_reader: bool = True,
        post_phones: int = 0,
        has_sensor: bool = False,
    ) -> Site:
        """A site so many metres east and north of the middle of its city."""
        number = len(self.sites)
        site_id = self.id * 1_000 + number + 1
        latitude, longitude = moved(city.latitude, city.longitude, *offset_m)
        radius_m = self._rng.randrange(150, 270, 10)
        ring = turned_rectangle(self._rng, latitude, longitude, radius_m) if kind is SiteKind.OFFICE else None
        client_id, client = self.clients[number % len(self.clients)]
        phones_from = _POST_PHONE_IDS_FROM + _POST_PHONES_PER_SITE_MAX * site_id
        site = Site(
            id=site_id,
            tenant_id=self.id,
            client_id=client_id,
            name=f"{client} {name}, {city.name}",
            kind=kind,
            city=city,
            latitude=latitude,
            longitude=longitude,
            radius_m=radius_m,
            geofence=None if ring is None else json.dumps({"type": "Polygon", "coordinates": [ring]}),
            reader_id=site_id if has_reader else None,
            post_phone_ids=tuple(range(phones_from, phones_from + post_phones)),
        )
        if has_reader:
            self.devices.append(Device(site_id, site_id, f"Gate reader {number + 1}"))
        if has_sensor:
            self.devices.append(Device(_SENSOR_IDS_FROM + site_id, site_id, "Door sensor"))
        self.devices += [Device(each, site_id, f"Post phone {each}", is_phone=True) for each in site.post_phone_ids]
        self.sites.append(site)
        self.staff[site_id] = []
        return site

    def add_person(self, sites: tuple[Site, ...], *, has_phone: bool = True) -> None:
        """Somebody who works at these sites, mostly at the first."""
        number = len(self.persons)
        person_id = self._first_person_id + number
        given, family = self._rng.choice(GIVEN_NAMES), self._rng.choice(FAMILY_NAMES)
        domain = "".join(letter for letter in self.name.partition(" ")[0].lower() if letter.isalpha()) + ".example"
        phone = f"+1-{self._rng.randrange(201, 990)}-555-01{number % 100:02d}"
        email = f"{given}.{family}{number + 1}@{domain}".lower()
        phone_id = _PHONE_IDS_FROM + person_id if has_phone else None
        person = Person(person_id, f"{given} {family}", phone, email, sites, phone_id)
        self.persons.append(person)
        for site in sites:
            self.staff[site.id].append(person)
        if phone_id is not None:
            self.devices.append(Device(phone_id, sites[0].id, f"Telephone {person_id}", is_phone=True))

    def rows(self, seen_s: float | None = None) -> Iterator[tuple[str, Row]]:
        """Table and reference row, each after the rows it refers to; the devices were seen last then, if ever."""
        last_seen = None if seen_s is None else moment(seen_s)
        yield "tenant", {"id": self.id, "name": self.name, "timezone": self.timezone}
        for client_id, name in self.clients:
            yield "client", {"id": client_id, "name": name}
        for site in self.sites:
            yield "site", site.row()
        for person in self.persons:
            yield "person", {"id": person.id, "name": person.name, "phone": person.phone, "email": person.email}
        for device in self.devices:
            row = {"id": device.id, "site_id": device.site_id, "name": device.name}
            yield "device", row | {"status": "ONLINE", "last_seen": last_seen, "battery_percent": 100}


def crew_of(person_id: int) -> int:
    """The crew to which a person of this id belongs.

    >>> crew_of(10_090), crew_of(10_101), crew_of(59_901)
    (0, 1, 99)
    """
    return person_id % _PERSON_IDS_PER_TENANT // _PERSON_IDS_PER_CREW
