"""Whatever channels, clocks, people and crashes do: no alert is lost, and none comes twice without a mark."""

import random
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from alerts.notify.message import Message
from groundswell.names import ROUTES_TARGET
from groundswell.records import Delivery
from tests.stream.shells.outbox_desk import MINUTE_MS, Desk, Keeper

ROUTES = """
[[reader]]
name = "anna"
mail = ["anna@bank.example"]
slack = "C01"
quiet = "22:00-07:00"
through_quiet = "high"
at_once = "medium"
pings_a_day = 3
[reader.escalation]
after_min = 15
severity = "low"
to = ["mail:head"]

[[reader]]
name = "head"
mail = ["head@bank.example"]
kinds = ["sighting"]
"""
ENDS = frozenset({"sent", "digested", "failed", "routed", "withdrawn", "stopped"})


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Trouble(Keeper):
    """A channel in which anything happens; it knows what has really arrived."""

    chance: random.Random = field(default_factory=random.Random)
    arrived: list[tuple[frozenset[str], bool]] = field(default_factory=list)  # which alerts, and whether marked
    calm: bool = False

    async def send(self, message: Message, *, resend: bool) -> Delivery:
        happens = "ok" if self.calm else self.chance.choice(["ok", "ok", "ok", "later", "rest", "lost", "kept", "never", "die", "die late"])
        if happens in ("ok", "kept", "die late"):
            self.arrived.append((_alerts(message), resend))
        if happens in ("die", "die late"):
            raise Killed
        return Delivery(
            target=self.name,
            ok=happens == "ok",
            permanent=happens == "never",
            unknown=happens in ("lost", "kept"),
            retry_after_s=90.0 if happens == "rest" else None,
            reason=None if happens == "ok" else happens,
            provider_id=f"{self.name}/{len(self.arrived)}" if happens == "ok" else None,
        )


def _alerts(message: Message) -> frozenset[str]:
    """Which alerts a message tells of."""
    if message.data.get("kind") == "digest":
        return frozenset(alert["id"] for alert in message.data["alerts"])
    return frozenset({message.data["id"]})


@pytest.mark.parametrize(
    ("kind", "seed"), [*(("sqlite", seed) for seed in range(4)), pytest.param("postgresql", 8, marks=pytest.mark.postgres)]
)
async def test_no_alert_is_lost_and_none_comes_twice_in_silence(
    kind: str, seed: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(seed)
    url = str(tmp_path / "o.db") if kind == "sqlite" else request.getfixturevalue("postgres_store_url")
    channels = {name: Trouble(name, chance=chance) for name in ("mail:anna", "slack:anna", "mail:head")}
    desk = Desk(url, ROUTES, channels=channels)
    opened: list[str] = []
    with closing(desk.store):
        sender = desk.sender()
        for step in range(60):
            desk.clock.advance(chance.choice([1, 1, 2, 7, 40, 200]) * MINUTE_MS)
            if chance.random() < 0.5:
                incident = chance.choice([*opened, f"{step:016x}"])
                severity, kind = chance.choice(["low", "medium", "high"]), chance.choice(["surge", "sighting"])
                update = int(incident != f"{step:016x}")
                opened.append(desk.open("x", id=f"{step:016x}", incident=incident, update=update, severity=severity, kind=kind).id)
            incident = chance.choice(opened or ["none"])
            match chance.randrange(5):
                case 0:
                    desk.acknowledged.add(incident)
                case 1:
                    desk.quiet[incident] = "snoozed"
                case 2:
                    desk.say(chance.choice(sorted(channels)), "stop")
                case 3:
                    desk.say(chance.choice(sorted(channels)), "resume")
                case _:
                    desk.quiet.pop(incident, None)
            try:
                await sender.send_due()
            except Killed:
                sender = desk.sender()
        desk.quiet.clear()
        for channel in channels.values():
            channel.calm = True
        for _ in range(60):
            desk.clock.advance(30 * MINUTE_MS)
            await sender.send_due()
        rows = desk.whole_rows()
    assert len(opened) > 15
    assert set(rows.values()) <= ENDS
    assert {alert_id for alert_id, target in rows if target == ROUTES_TARGET} == set(opened)
    for name, channel in channels.items():
        silent = Counter(alert_id for alerts, marked in channel.arrived if not marked for alert_id in alerts)
        assert [alert_id for alert_id, number in silent.items() if number > 1] == [], name
        told = {alert_id for alerts, _ in channel.arrived for alert_id in alerts}
        assert {alert_id for (alert_id, target), state in rows.items() if target == name and state in ("sent", "digested")} <= told
