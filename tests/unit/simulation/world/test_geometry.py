"""Short distances on the globe."""

import doctest

from hypothesis import given
from hypothesis import strategies as st

from simulation.world import geometry


def test_the_examples_hold() -> None:
    assert doctest.testmod(geometry).failed == 0


@given(
    latitude=st.floats(-60, 60),
    longitude=st.floats(-170, 170),
    east=st.floats(-5_000, 5_000),
    north=st.floats(-5_000, 5_000),
)
def test_a_move_is_as_long_as_it_was_asked_to_be(latitude: float, longitude: float, east: float, north: float) -> None:
    moved = geometry.moved(latitude, longitude, east, north)
    length = (east**2 + north**2) ** 0.5
    assert abs(geometry.distance_m(latitude, longitude, *moved) - length) <= 0.5 + 0.002 * length
