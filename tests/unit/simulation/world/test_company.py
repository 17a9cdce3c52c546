"""Reference data of any company: identifiers, references and geofences."""

import doctest
import json
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.labelled.company import build_companies
from simulation.live.company import build_company
from simulation.world import company
from simulation.world.company import Tenant
from simulation.world.geometry import distance_m

seeds = st.integers(min_value=0, max_value=2**32)


def tenants_of(seed: int) -> list[Tenant]:
    return [*build_company(seed, 8, crew=seed % company.CREWS), *build_companies(seed, 4)]


def test_the_examples_hold() -> None:
    assert doctest.testmod(company).failed == 0


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_every_row_has_an_identifier_of_its_own_and_refers_only_to_rows_before_it(seed: int) -> None:
    for tenants in (build_company(seed, 8), build_companies(seed, 6)):
        known: set[tuple[str, int]] = set()
        for tenant in tenants:
            for table, row in tenant.rows():
                for column, other in (("client_id", "client"), ("site_id", "site")):
                    assert column not in row or (other, row[column]) in known
                assert (table, row["id"]) not in known
                known.add((table, row["id"]))


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_sites_have_a_time_zone_and_a_closed_geofence_that_holds_where_people_walk(seed: int) -> None:
    for tenant in tenants_of(seed):
        for site in tenant.sites:
            ZoneInfo(site.city.timezone)
            if site.geofence is None:
                assert site.extent_m < site.radius_m
                continue
            [ring] = json.loads(site.geofence)["coordinates"]
            assert ring[0] == ring[-1]
            middles = [((before[0] + after[0]) / 2, (before[1] + after[1]) / 2) for before, after in pairwise(ring)]
            for longitude, latitude in middles:  # the edges of a rectangle are nearest at their middles
                assert distance_m(latitude, longitude, site.latitude, site.longitude) > site.extent_m


def test_the_staff_of_a_site_are_those_who_work_there() -> None:
    for tenant in tenants_of(5):
        assert {person for staff in tenant.staff.values() for person in staff} == set(tenant.persons)
        assert all(
            any(site.id == site_id for site in person.sites)
            for site_id in tenant.staff
            for person in tenant.staff[site_id]
        )
