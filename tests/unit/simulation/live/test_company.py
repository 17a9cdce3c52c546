"""The demo's companies.

Also of simulation/world/vocabulary.py.
"""

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.settings.kafka import KafkaSettings
from contracts.topics import partition_of
from simulation.live.company import TENANT_IDS, TENANTS_MAX, build_company
from simulation.records import Row

seeds = st.integers(min_value=0, max_value=2**32)


def rows_of(seed: int, tenants: int, **more: int) -> list[tuple[int, str, Row]]:
    return [(tenant.id, table, row) for tenant in build_company(seed, tenants, **more) for table, row in tenant.rows()]


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_a_tenants_rows_depend_on_the_seed_and_not_on_the_other_tenants(seed: int) -> None:
    assert rows_of(seed, 3) == rows_of(seed, 3)
    assert rows_of(seed, 5)[: len(rows_of(seed, 3))] == rows_of(seed, 3)


def test_another_seed_gives_other_names_under_the_same_identifiers() -> None:
    one, other = rows_of(1, 2), rows_of(2, 2)
    assert [(table, row["id"]) for _, table, row in one] == [(table, row["id"]) for _, table, row in other]
    assert one != other


@settings(max_examples=25, deadline=None)
@given(seed=seeds)
def test_nobody_works_in_two_cities_and_everybody_has_a_site_where_they_do_not_work(seed: int) -> None:
    for tenant in build_company(seed, 2):
        for person in tenant.persons:
            home, other = person.sites
            assert home is not other
            assert home.city is other.city
            assert home.distance_m(other) < 25_000
            assert any(site.city is home.city and site not in person.sites for site in tenant.sites)


@pytest.mark.parametrize("tenants", range(1, TENANTS_MAX + 1))
def test_the_tenants_spread_over_the_partitions_of_the_default_settings(tenants: int) -> None:
    partitions = KafkaSettings().partitions
    used = Counter(partition_of(tenant.id, partitions) for tenant in build_company(1, tenants))
    assert len(used) == min(tenants, partitions)
    assert max(used.values()) == math.ceil(tenants / partitions)
    assert TENANT_IDS[0] == 1


def test_there_is_a_name_for_every_tenant() -> None:
    names = [tenant.name for tenant in build_company(1, TENANTS_MAX)]
    assert len(set(names)) == len(TENANT_IDS)


def test_phone_numbers_and_mail_addresses_belong_to_nobody() -> None:
    for tenant in build_company(7, TENANTS_MAX):
        for person in tenant.persons:
            assert "-555-01" in person.phone
            assert person.email.endswith(".example")


def test_each_crew_has_persons_and_phones_of_its_own_and_the_same_sites() -> None:
    rows = [rows_of(3, 2, crew=crew) for crew in (0, 1, 99)]
    for wanted, shared in (("person", 0), ("device", 16)):
        ids = [{row["id"] for _, table, row in each if table == wanted} for each in rows]
        assert len(ids[0] & ids[1] | ids[1] & ids[2]) == shared
    assert len({tuple(row["name"] for _, table, row in each if table == "site") for each in rows}) == 1


@pytest.mark.parametrize(("persons", "crew"), [(0, 0), (91, 0), (10, 100), (10, -1)])
def test_persons_for_whom_there_are_no_identifiers_are_refused(persons: int, crew: int) -> None:
    with pytest.raises(ValueError, match="identifiers"):
        build_company(1, 1, persons=persons, crew=crew)


@pytest.mark.parametrize("tenants", [0, -1, TENANTS_MAX + 1])
def test_a_company_of_no_or_too_many_tenants_is_refused(tenants: int) -> None:
    with pytest.raises(ValueError, match="tenants"):
        build_company(1, tenants)
