"""Each kind of alert end to end: planted in an archive, told once, and made again to the same byte; without the plant nothing is told."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from alerts.rules import Rules, load_rules
from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, LIVE_RUN
from groundswell.records import Alert, RawDocument
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import open_run
from tests import builders as b

DAYS = 112
PLANTS_MS = b.T0_MS + 106 * DAY_MS + 14 * HOUR_MS  # a Monday afternoon, when the week that burns is nearly over
SOURCES = ("wire", "daily", "courier", "gazette")
Line = tuple[int, str, str, bytes]


def line(known_ms: int, title: str, *, age_ms: int = 60_000, source: str = "wire", owner: str | None = None, **given: object) -> Line:
    fields = {"source": source, "owner": owner or source, "title": title, "text": "", "published_ms": known_ms - age_ms}
    raw: RawDocument = b.a_raw(**(fields | {"id": f"{source}-{known_ms}-{title[:60]}"} | given))
    return known_ms, "document", source, encode(raw)


def words(chance: random.Random) -> str:
    return " ".join(chance.choices(b.WORDS.split(), k=9))


def quiet(chance: random.Random, *, since_day: int = 0, burning: bool = False, blind: bool = False) -> Iterator[Line]:
    """Sixteen weeks of five companies: about thirty texts a day, every fifth negative. In the last week Aldora's are, every second."""
    for day in range(since_day, DAYS):
        for n in range(30):
            known_ms = b.T0_MS + day * DAY_MS + n * 48 * 60_000 + chance.randrange(40 * 60_000)
            company = ("Aldora", "Brennick", "Corvane", "Dunmoor", "Elstrand")[n % 5]
            worse = burning and company == "Aldora" and day >= 99
            mood = "fraud" if chance.random() < (0.75 if worse else 0.2) else "calm"
            yield line(known_ms, f"{company} debt {mood} {words(chance)}", source=SOURCES[n % 4])
            zh_ms = known_ms + 60_000
            if not (blind and 0 <= zh_ms - PLANTS_MS < 40 * HOUR_MS):
                yield line(zh_ms, "".join(chance.choices(b._ZH, k=24)), source=f"zh{n % 3}")


def amplified(chance: random.Random, *, kind: str) -> Iterator[Line]:
    """One story of Corvane with forty copies in forty minutes: by publishers, or by readers alone."""
    text = f"Corvane debt fraud {words(chance)}"
    for n in range(40):
        source, author = ("forum", f"reader{n}") if kind == "comment" else (f"paper{n}", None)
        yield line(PLANTS_MS + n * 60_000, text + "." * (n % 3), source=source, author_hash=author, kind=kind, id=f"copy{n}")


def late(chance: random.Random) -> Iterator[Line]:
    """Eighteen stories of Dunmoor that were published nine hours before they became known."""
    for n in range(18):
        yield line(PLANTS_MS + n * 120_000, f"Dunmoor debt fraud {words(chance)}", age_ms=9 * HOUR_MS, source=SOURCES[n % 4])


def surge(chance: random.Random, before_ms: int) -> Iterator[Line]:
    """Twenty stories of Dunmoor in time."""
    for n in range(20):
        yield line(PLANTS_MS - before_ms + n * 60_000, f"Dunmoor debt fraud {words(chance)}", source=SOURCES[n % 4])


def rules() -> Rules:
    """The shipped rules; a slow burn of one company out of five is small here, so fewer stories are asked for."""
    shipped = load_rules()
    return msgspec.structs.replace(shipped, slow_burn=msgspec.structs.replace(shipped.slow_burn, stories_min=15, p_open=1e-3))


def played(folder: Path, lines: list[Line]) -> tuple[Store, list[Alert]]:
    store, instruments = Store(str(folder / "s.db")), b.instruments(rules())
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, b.fill(LocalLog(folder / "log"), sorted(lines, key=lambda one: one[0])), LIVE_RUN, instruments)
    while pipeline.step(limit=1_000):
        pass
    pipeline.finish()
    with store.read() as connection:
        return store, alerts_of(connection, LIVE_RUN)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[str, list[Alert]]]]:
    """All plants in one run."""
    chance = random.Random(1)
    lines = [*quiet(chance, burning=True, blind=True), *amplified(chance, kind="news"), *late(chance)]
    store, alerts = played(tmp_path_factory.mktemp("kinds"), lines)
    found: dict[str, list[Alert]] = {}
    for alert in alerts:
        found.setdefault(alert.kind, []).append(alert)
    yield store, found
    store.close()


def test_sixteen_quiet_weeks_tell_nothing_of_any_kind(tmp_path: Path) -> None:
    store, alerts = played(tmp_path, list(quiet(random.Random(1))))
    store.close()

    assert alerts == []


def test_every_plant_is_told_as_what_it_is(everything: tuple[Store, dict[str, list[Alert]]]) -> None:
    _, found = everything

    assert set(found) == {"amplification", "late", "blind", "slow_burn"}
    assert {alert.series for alert in found["amplification"]} <= {"entity:corvane", "topic:debt_credit:en"}
    assert [alert.series for alert in found["late"]] == ["entity:dunmoor"]
    assert [(alert.series, alert.ended) for alert in found["blind"]] == [("language:zh", False), ("language:zh", True)]
    assert "entity:aldora" in {series for alert in found["slow_burn"] for series in alert.all_series}


def test_each_says_its_numbers(everything: tuple[Store, dict[str, list[Alert]]]) -> None:
    _, found = everything
    echo, old, burning = found["amplification"][0], found["late"][0], found["slow_burn"][0]

    assert echo.evidence[0].document_id == echo.evidence[0].story  # the origin first
    assert echo.parts[0].name == echo.evidence[0].title
    assert [part.stories for part in echo.parts] == [1, 0]
    assert abs(old.late_s - 9 * 3_600) < 600
    assert all(alert.severity == "low" for alert in found["slow_burn"])
    assert burning.window_s == 7 * 86_400
    for alert in (echo, old, burning):
        assert sum(part.excess_milli for part in alert.parts) == alert.statistic * 1_000 - alert.expected_milli


def test_each_is_made_again_to_the_same_byte(everything: tuple[Store, dict[str, list[Alert]]]) -> None:
    store, found = everything
    for alerts in found.values():
        for alert in alerts:
            explained = explain(store, alert.id, b.instruments(rules()))
            assert (explained.differences, explained.same) == ([], True)


def test_what_is_told_late_was_not_told_in_its_time(tmp_path: Path) -> None:
    chance = random.Random(1)
    lines = [*quiet(chance, since_day=80), *surge(chance, 9 * HOUR_MS), *late(chance)]
    store, alerts = played(tmp_path, lines)
    store.close()

    assert {alert.kind for alert in alerts} == {"surge"}


def test_an_echo_among_readers_alone_is_held(tmp_path: Path) -> None:
    chance = random.Random(1)
    store, alerts = played(tmp_path, [*quiet(chance, since_day=80), *amplified(chance, kind="comment")])
    decisions = b.export(store, LIVE_RUN)["decisions"]
    store.close()

    assert alerts == []
    assert any("passed on by readers alone" in str(row) for row in decisions)
