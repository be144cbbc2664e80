"""Which version is in force from which known time on, and which model's score counted for an admission.

Existing data: kept. A run begins with the versions of its manifest; a live run's switches of model become rows, each at the start of
the tick by which all raw partitions had made it. Alerts keep the hashes that they have. Admissions before the first switch say nothing
of a model: that means the one that the run began with.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from groundswell.names import TICK_MS
from groundswell.store import schema as t

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table, add the column, and fill both from the manifests."""
    connection = op.get_bind()
    t.metadata.create_all(connection, tables=[t.in_force])
    op.add_column("admissions", sa.Column("model_id", sa.Text, nullable=True))
    op.execute("DELETE FROM versions WHERE kind = 'model'")  # they did not say which bundles a model is made of
    op.execute("ALTER TABLE versions DROP COLUMN effective_ms")
    for run, body in connection.execute(sa.text("SELECT run, manifest FROM runs")).all():
        manifest = json.loads(bytes(body))
        switches = manifest.get("models", [])
        rows = [(0, kind, name) for kind, name in manifest.get("versions", {}).items() if kind != "model" or not switches]
        for effective_ms, kind, name in [*rows, *_turns(switches)]:
            connection.execute(
                sa.text("INSERT INTO in_force (run, kind, effective_ms, hash) VALUES (:run, :kind, :ms, :hash)"),
                {"run": run, "kind": kind, "ms": effective_ms, "hash": name},
            )
        for switch in switches[1:]:
            connection.execute(
                sa.text("UPDATE admissions SET model_id = :model WHERE run = :run AND part = :part AND position >= :offset"),
                {"model": switch["model_id"], "run": run, "part": switch["part"], "offset": switch["offset"]},
            )


def _turns(switches: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    """One row for each time that the run went over to another model: when the last of its partitions had."""
    turns: list[tuple[int, str, str]] = []
    for switch in switches:
        effective_ms = -(-switch["effective_ms"] // TICK_MS) * TICK_MS
        if turns and turns[-1][2] == switch["model_id"] and len(turns) > 1:
            effective_ms = max(effective_ms, turns.pop()[0])
        elif turns and turns[-1][2] == switch["model_id"]:
            continue
        before_ms = turns[-1][0] if turns else -TICK_MS
        turns.append((max(effective_ms, before_ms + TICK_MS), "model", switch["model_id"]))
    return turns
