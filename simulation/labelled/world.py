"""The company as it stands: tenants, their sites, persons and devices, and where these are on the earth."""

import math
import random
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from simulation.labelled.calendar import HOLIDAYS
from simulation.labelled.ledger import Ledger
from simulation.records import Row

_M_PER_DEGREE = 111_195.0
_CITIES = (
    ("Europe/Berlin", 52.52, 13.40),
    ("America/New_York", 40.74, -73.99),
    ("Asia/Kolkata", 19.08, 72.88),
    ("Australia/Sydney", -33.87, 151.21),
    ("Europe/London", 51.51, -0.12),
    ("Asia/Singapore", 1.35, 103.82),
)
_PERSONS_PER_SITE = 8


class Kind(StrEnum):
    """What a site is."""

    GUARDED = "guarded"
    """Two posts around the clock, one at weekends; a terminal at the gate, a phone a post."""
    OFFICE = "office"
    """Technicians and cleaners on weekdays, one guard at weekends; everybody has a phone."""
    REMOTE = "remote"
    """One post around the clock, an hour's drive away."""


@dataclass(frozen=True, slots=True)
class Site:
    """A site, and the devices that belong to it."""

    id: int
    tenant_id: int
    kind: Kind
    latitude: float
    longitude: float
    extent_m: float
    """People stay within this distance of its middle, and all of that is within its fence."""
    zone: ZoneInfo
    kiosk_id: int | None
    post_phones: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who works at one site."""

    id: int
    tenant_id: int
    site_id: int
    phone_id: int


@dataclass(slots=True)
class Company:
    """A tenant."""

    id: int
    zone: ZoneInfo
    holidays: frozenset[date]
    sites: list[Site] = field(default_factory=list)
    persons: dict[int, list[Person]] = field(default_factory=dict)
    """By site."""
    machines: list[Row] = field(default_factory=list)
    """Device rows that send heartbeats."""


def moved(latitude: float, longitude: float, east_m: float, north_m: float) -> tuple[float, float]:
    """A position so far away, on a plane that touches the earth there: right to a few metres in 100 km."""
    return (
        latitude + north_m / _M_PER_DEGREE,
        longitude + east_m / (_M_PER_DEGREE * math.cos(math.radians(latitude))),
    )


def found_companies(ledger: Ledger, seed: int, tenants: int, at_s: float) -> list[Company]:
    """Write the reference rows of so many tenants; returns what they say."""
    return [_found(ledger, random.Random(f"{seed}/world/{number}"), number, at_s) for number in range(tenants)]


def _found(ledger: Ledger, chance: random.Random, number: int, at_s: float) -> Company:
    zone_name, latitude, longitude = _CITIES[number % len(_CITIES)]
    tenant_id = number + 1
    company = Company(tenant_id, ZoneInfo(zone_name), HOLIDAYS.get(zone_name, frozenset()))
    ledger.insert("tenant", tenant_id, at_s, name=f"Company {tenant_id}", timezone=zone_name)
    client = ledger.insert("client", tenant_id, at_s, name=f"Client {tenant_id}")
    for kind in Kind:
        away_m = chance.uniform(60_000, 80_000) if kind is Kind.REMOTE else chance.uniform(2_000, 6_000)
        angle = chance.uniform(0, 2 * math.pi)
        where = moved(latitude, longitude, away_m * math.cos(angle), away_m * math.sin(angle))
        company.sites.append(_site(ledger, chance, company, client["id"], kind, where, at_s))
    return company


def _site(
    ledger: Ledger,
    chance: random.Random,
    company: Company,
    client_id: int,
    kind: Kind,
    where: tuple[float, float],
    at_s: float,
) -> Site:
    latitude, longitude = where
    radius_m = chance.uniform(150, 260)
    geofence = _rectangle(chance, latitude, longitude, radius_m) if kind is Kind.OFFICE else None
    # The remote site takes its tenant's time zone, as a site without one does.
    zone_name = None if kind is Kind.REMOTE else company.zone.key
    row = ledger.insert(
        "site",
        company.id,
        at_s,
        client_id=client_id,
        name=f"{kind.value} {company.id}",
        latitude=latitude,
        longitude=longitude,
        geofence_radius_m=None if geofence else round(radius_m),
        geofence=geofence,
        timezone=zone_name,
    )
    posts = {Kind.GUARDED: 2, Kind.OFFICE: 0, Kind.REMOTE: 1}[kind]

    def device(name: str) -> Row:
        return ledger.insert(
            "device", company.id, at_s, site_id=row["id"], name=name, status="ONLINE", last_seen=None,
            battery_percent=None,
        )  # fmt: skip

    phones = tuple(device(f"post phone {post}")["id"] for post in range(posts))
    kiosk = None if kind is Kind.OFFICE else device("gate terminal")
    company.machines += [each for each in (kiosk, device("door sensor")) if each is not None]
    site = Site(
        row["id"], company.id, kind, latitude, longitude, 0.6 * radius_m, company.zone,
        None if kiosk is None else kiosk["id"], phones,
    )  # fmt: skip
    people = []
    for number in range(_PERSONS_PER_SITE + (kind is Kind.REMOTE)):  # the ninth is the remote site's stand-in
        person = ledger.insert(
            "person", company.id, at_s, name=f"Person {company.id}-{row['id']}-{number}", phone=None, email=None
        )
        own_phone = kind is Kind.OFFICE or number == _PERSONS_PER_SITE
        phone_id = device(f"phone {number}")["id"] if own_phone else 0
        people.append(Person(person["id"], company.id, site.id, phone_id))
    company.persons[site.id] = people
    return site


def _rectangle(chance: random.Random, latitude: float, longitude: float, radius_m: float) -> str:
    """A turned rectangle that holds the circle of the site's extent, as GeoJSON."""
    turn = chance.uniform(0, math.pi / 2)
    ring = []
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)):
        east, north = x * radius_m, y * 0.8 * radius_m
        corner = moved(
            latitude,
            longitude,
            east * math.cos(turn) - north * math.sin(turn),
            east * math.sin(turn) + north * math.cos(turn),
        )
        ring.append([round(corner[1], 7), round(corner[0], 7)])
    return msgspec.json.encode({"type": "Polygon", "coordinates": [ring]}).decode()
