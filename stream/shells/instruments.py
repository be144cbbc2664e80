"""Instruments: the model, the rules and the catalogue that a run is made with, and the run's own row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from alerts.rules import Rules, load_rules
from groundswell.codec import canonical
from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.runs import refuse_dropping
from groundswell.store.store import Store
from models.entities import Catalogue
from models.registry import Use, current_scorer, registry_at
from models.scorer import Scorer
from models.taxonomy import FLAG_NAMES, TOPIC_NAMES, measured_topics
from stream.operators.stories import digest
from stream.shells.reload import ScorerHolder
from stream.shells.switches import KEY, first_switch


@dataclass
class Instruments:
    """What a run is made with; equal instruments and an equal log give equal windows and alerts."""

    scorer: Scorer
    rules: Rules
    display: Callable[[str], str]  # a series key in the reader's words
    versions: dict[str, str]  # hashes in force: model, catalogue, rules
    holder: ScorerHolder | None = None  # brings promoted models to a live run; None where none can be promoted


def load_instruments(
    *,
    rules: Path | None = None,
    catalogues: Sequence[Path] = (),
    registry: Path | None = None,
    use: Use = "auto",
    device: str = "cpu",
) -> Instruments:
    """The shipped models with the shipped rules and catalogue, or the user's own.

    Args:
        rules: a rules file.
        catalogues: more companies.
        registry: the folder whose promoted models are in force; None: those that ship.
        use: "linear": the shipped linear models, whatever is in force.
        device: that encoders run on, "cpu" or "cuda".

    Raises:
        SettingsError: a rules file, catalogue or registry that cannot be used.
        BundleError: a bundle in force is broken.
        NotFoundError: a bundle in force is gone.
    """
    catalogue = Catalogue.load(extra=catalogues)
    chosen = load_rules(rules)
    models = registry_at(registry)
    load = partial(current_scorer, models, finder=catalogue.find, digest=digest, use=use, device=device)
    begun = models.revision()
    scorer = load()
    return Instruments(
        scorer=scorer,
        rules=chosen,
        display=lambda series: display(series, catalogue),
        versions={"catalogue": catalogue.hash, "model": scorer.model_id, "rules": chosen.hash},
        holder=ScorerHolder(scorer, load=load, revision=models.revision, begun=begun) if registry and use == "auto" else None,
    )


def display(series: str, catalogue: Catalogue) -> str:
    """A series key in English words: a company's name, a risk of a company, or a topic with its language."""
    kind, _, rest = series.partition(":")
    if kind == "entity":
        return catalogue.name(rest) if rest in catalogue.entities else rest
    if kind == "flag":
        flag, _, company = rest.partition(":")
        return f"{display(f'entity:{company}', catalogue)}, {FLAG_NAMES[flag]['en'] if flag in FLAG_NAMES else flag}"
    topic, _, language = rest.partition(":")
    return f"{TOPIC_NAMES[topic]['en']} ({language})" if topic in TOPIC_NAMES else series


def open_run(store: Store, run: str, *, kind: str, instruments: Instruments, manifest: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make the run's row, or check that it is the run that was meant; returns its manifest.

    A live run goes on with other instruments (a new model, new rules): the versions are recorded and each alert carries
    its own; from which document on another model scores is kept too (switches.py). Any other run is made with one set, or it
    would not mean anything.

    Raises:
        UsageError: the run exists with other input or other instruments, or is being dropped.
    """
    measured = {language: list(measured_topics(language)) for language in sorted(instruments.scorer.languages)}
    wanted = {**(manifest or {}), "versions": instruments.versions, "measured": measured}
    with store.write() as connection:
        store.insert(
            connection,
            t.versions,
            [{"kind": "rules", "hash": instruments.rules.hash, "effective_ms": 0, "content": canonical(instruments.rules)}],
        )
        row = connection.execute(select(t.runs).where(t.runs.c.run == run).with_for_update()).mappings().one_or_none()
        stored: dict[str, Any] | None = msgspec.json.decode(row["manifest"]) if row else None
        refuse_dropping(run, stored or {})
        if stored is None or run == LIVE_RUN:
            if run == LIVE_RUN and KEY not in (stored or {}):
                begun_with = (stored or {}).get("versions", {}).get("model", instruments.scorer.model_id)
                wanted[KEY] = msgspec.to_builtins([first_switch(begun_with)])
            body = msgspec.json.encode({**(stored or {}), **wanted})
            given = {"run": run, "kind": kind, "model_id": instruments.scorer.model_id, "manifest": body}
            store.upsert(connection, t.runs, [given])
            return {**(stored or {}), **wanted}
    for key, value in wanted.items():
        if stored.get(key) != value:
            reason = (
                f"run {run!r}: it was made with {key} {_short(stored.get(key))}, now {_short(value)} is asked for; "
                "a run has one input and one set of instruments: choose another --run name"
            )
            raise UsageError(reason)
    return stored


def update_manifest(store: Store, run: str, **changes: Any) -> None:
    """Add to a run's manifest."""
    with store.write() as connection:
        body = connection.execute(select(t.runs.c.manifest).where(t.runs.c.run == run)).scalar_one()
        manifest = {**msgspec.json.decode(body), **changes}
        connection.execute(t.runs.update().where(t.runs.c.run == run).values(manifest=msgspec.json.encode(manifest)))


def _short(value: object) -> str:
    shown = msgspec.json.encode(value).decode()
    return shown if len(shown) <= 200 else shown[:197] + "..."
