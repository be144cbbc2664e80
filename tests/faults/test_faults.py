"""The short form of `make faults`: real workers, brokers and database, one run under every fault and one over twisted records.

The judge is the embedded shell: every stored row is what it makes of the same records undisturbed, and the balance is zero.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from groundswell.store.schema import documents
from tests.faults.catalogue import STRIKES
from tests.faults.material import Twists, make_material
from tests.faults.proxy import Way
from tests.faults.spool import crawl_through_an_outage
from tests.faults.trial import Outcome, Trial, World, expected_rows, world
from tests.kafka_run import embedded_rows

SHORT = [fault for fault in STRIKES if fault.short]
pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    # kafka-python 3.0 leaves the socket of a connection that was refused or broken to the garbage collector, which warns.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("faults")) as peers:
        yield peers


def assert_clean(outcome: Outcome) -> None:
    assert +outcome.lost == {}, f"rows lost: {outcome}"
    assert +outcome.doubled == {}, f"rows doubled: {outcome}"
    assert outcome.balance == 0


@pytest.mark.parametrize("proxied", [False, True], ids=["processes and peers", "network"])
def test_a_run_that_is_struck_again_and_again_ends_with_every_row_of_an_undisturbed_one(peers: World, proxied: bool) -> None:
    faults = [replace(fault, outage_s=fault.short_outage_s) for fault in SHORT if fault.proxied is proxied]
    strikes = sum(fault.short for fault in faults)
    name = "short-network" if proxied else "short"
    material = make_material(peers.folder / name, shares=2 + 4 * strikes, twists=Twists())
    expected = expected_rows(material, peers.folder / name)
    with Trial.begin(peers, material, name, proxied=proxied, seed=17) as trial:
        trial.feed()
        trial.catch_up()
        for fault in faults:
            for _ in range(fault.short):
                fault.strike(trial, fault)
        outcome = trial.finish(expected)
    assert len(expected["alerts"]) >= 3
    assert outcome.strikes == strikes
    assert outcome.in_midst >= strikes / 2, "faults came in the middle of work"
    assert_clean(outcome)


def test_twisted_records_lead_to_the_rows_of_the_embedded_shell(peers: World) -> None:
    twists = Twists(duplicates=True, clocks=True, old=True, poison=True)
    material = make_material(peers.folder / "twisted", shares=3, twists=twists)
    expected = expected_rows(material, peers.folder / "twisted")
    with Trial.begin(peers, material, "short-twisted") as trial:
        trial.feed()
        outcome = trial.finish(expected)
    assert_clean(outcome)


# --- the twists themselves, embedded -----------------------------------------------------------------------------------------
def test_a_crawlers_clock_changes_nothing_but_the_field_that_says_what_it_was(tmp_path: Path) -> None:
    plain, shifted = (make_material(tmp_path / str(on), shares=1, twists=Twists(clocks=on, readable=True)) for on in (False, True))
    before, after = embedded_rows(plain.log, tmp_path / "False", "r"), embedded_rows(shifted.log, tmp_path / "True", "r")
    assert {table for table in before if before[table] != after[table]} == {"documents", "drops"}, "a drop has the bytes, and so the field"
    place = documents.c.keys().index("fetched_ms")
    assert [row[:place] + row[place + 1 :] for row in before["documents"]] == [row[:place] + row[place + 1 :] for row in after["documents"]]
    assert len({row[place] for row in after["documents"]}) > 1_000


def test_what_is_delivered_twice_is_a_duplicate_and_changes_nothing_else(tmp_path: Path) -> None:
    once, twice = (make_material(tmp_path / str(on), shares=6, twists=Twists(duplicates=on)) for on in (False, True))
    before, after = embedded_rows(once.log, tmp_path / "False", "r"), embedded_rows(twice.log, tmp_path / "True", "r")
    assert {table for table in before if before[table] != after[table]} <= {"admissions", "drops"}
    more = [row for row in after["admissions"] if row not in set(before["admissions"])]
    assert len(more) == len(after["admissions"]) - len(before["admissions"]) > 200
    assert {row[3] for row in more} == {"duplicate"}


@pytest.mark.parametrize("way", ["refusing", "cut"])
def test_what_a_crawler_publishes_while_the_brokers_are_away_waits_on_disk_and_arrives_in_order(
    peers: World, way: Way, tmp_path: Path
) -> None:
    waited, arrived = crawl_through_an_outage(peers.brokers, way, run=f"spool-{way}", spool=tmp_path / "spool.db")
    assert waited >= 1_300
    assert arrived == list(range(1_601))
    assert list(tmp_path.iterdir()) == []
