"""Names: what is stored under them must never move."""

from hypothesis import given
from hypothesis import strategies as st

from groundswell.names import (
    CONTRIBUTION_PARTITIONS,
    RAW_PARTITIONS,
    content_id,
    contribution_topic,
    fold_group,
    partition_of,
    raw_topic,
    score_group,
)


def test_partitions_of_keys_are_the_ones_that_stored_topics_were_written_with() -> None:
    keys = ["entity:SVB", "topic:debt_credit:zh", "00000000000000d1", ""]

    assert [partition_of(key, RAW_PARTITIONS) for key in keys] == [10, 6, 15, 4]
    assert [partition_of(key, CONTRIBUTION_PARTITIONS) for key in keys] == [10, 22, 31, 20]


def test_keys_spread_over_all_partitions() -> None:
    assert {partition_of(f"entity:{n}", CONTRIBUTION_PARTITIONS) for n in range(1_000)} == set(range(CONTRIBUTION_PARTITIONS))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1f")), min_size=1, max_size=4))
def test_an_id_depends_on_where_its_parts_end(parts: list[str]) -> None:
    assert content_id(*parts) == content_id(*parts)
    assert content_id(*parts, "") != content_id(*parts)
    assert len(content_id(*parts)) == 16


def test_ids_are_the_ones_that_stored_documents_carry() -> None:
    assert content_id("url", "https://a.example/1") == "c9d4aafe649b6fb2"


def test_a_run_other_than_live_has_topics_and_groups_of_its_own() -> None:
    for name in (raw_topic, contribution_topic, score_group, fold_group):
        assert name("r1") == f"{name('live')}.r1"
