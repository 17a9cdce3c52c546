"""Short distances on the globe, good to a per mille within a city.

Owns the one approximation that the simulation uses: a degree of latitude has the same length
everywhere, a degree of longitude shrinks with the cosine of the latitude.
"""

import math

METRES_PER_DEGREE = 111_320.0


def moved(latitude: float, longitude: float, east_m: float, north_m: float) -> tuple[float, float]:
    """The point so many metres east and north, as degrees rounded to a centimetre.

    >>> moved(0.0, 0.0, 0.0, 111_320.0)
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
