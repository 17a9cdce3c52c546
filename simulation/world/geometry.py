"""Short distances on the globe, good to a per mille within a city.

Owns the one approximation that the simulation uses: a degree of latitude has the same length
everywhere, a degree of longitude shrinks with the cosine of the latitude.
"""

import math
from random import Random

METRES_PER_DEGREE = 111_195.0


def moved(latitude: float, longitude: float, east_m: float, north_m: float) -> tuple[float, float]:
    """The point so many metres east and north, as degrees rounded to a centimetre.

    >>> moved(0.0, 0.0, 0.0, 111_195.0)
    (1.0, 0.0)
    """
    north = latitude + north_m / METRES_PER_DEGREE
    east = longitude + east_m / (METRES_PER_DEGREE * math.cos(math.radians(latitude)))
    return round(north, 7), round(east, 7)


def distance_m(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Metres between two points of one city.

    >>> round(distance_m(51.9, 4.4, 51.901, 4.4))
    111
    """
    middle = math.radians((latitude_a + latitude_b) / 2)
    north = (latitude_b - latitude_a) * METRES_PER_DEGREE
    east = (longitude_b - longitude_a) * METRES_PER_DEGREE * math.cos(middle)
    return math.hypot(north, east)


def offset(rng: Random, distance_m: float) -> tuple[float, float]:
    """Metres east and north of a point so far away in any direction."""
    bearing = rng.uniform(0, math.tau)
    return distance_m * math.sin(bearing), distance_m * math.cos(bearing)


def turned_rectangle(rng: Random, latitude: float, longitude: float, radius_m: float) -> list[list[float]]:
    """A closed GeoJSON ring, counterclockwise (RFC 7946): twice the radius long and 1.6 times the radius wide."""
    turn = rng.uniform(0, math.pi / 2)
    ring = []
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)):
        along, across = x * radius_m, y * 0.8 * radius_m
        east = along * math.cos(turn) - across * math.sin(turn)
        north = along * math.sin(turn) + across * math.cos(turn)
        ring.append(list(reversed(moved(latitude, longitude, east, north))))
    return ring
