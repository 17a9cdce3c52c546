"""The identity of a stack."""

from deploy.embedded.startup import cluster_id


def test_cluster_ids_follow_from_the_identity_and_suit_kafka() -> None:
    assert cluster_id("a") == cluster_id("a") != cluster_id("b")
    for number in range(50):
        assert len(cluster_id(str(number))) == 22
        assert not cluster_id(str(number)).startswith("-")
