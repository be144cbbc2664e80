"""Instruments: the model, the rules and the catalogue that a run is made with, and the run's own row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import select

from alerts.rules import Rules, load_rules
from alerts.shipped_watches import load_watches
from groundswell.clock import SystemClock
from groundswell.codec import canonical
from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN
from groundswell.schedule import CATALOGUE, ERRORS, MODEL, RULES, WATCHES
from groundswell.store import schema as t
from groundswell.store.runs import manifest_of, refuse_dropping
from groundswell.store.store import Store
from groundswell.store.versions import AHEAD_MS, begin_schedule, put_in_force
from groundswell.watches import NOTHING, Watches
from models.entities import Catalogue
from models.error_matrix import load_matrices
from models.registry import Use, current_scorer, registry_at
from models.scorer import Scorer
from models.taxonomy import FLAG_NAMES, TOPIC_NAMES
from stream.operators.stories import digest
from stream.shells.around import nobody
from stream.shells.reload import Models
from stream.shells.versions import ScorersInForce, VersionsInForce, content_of_rules, manifest_of_model

FILE_RULES: Final = "file_rules"
"""In a live run's manifest: hash of the rules that its process was last started with."""


@dataclass
class Instruments:
    """What a process was started with; equal instruments and an equal log give equal windows and alerts."""

    scorer: Scorer
    rules: Rules
    display: Callable[[str], str]  # a series key in the reader's words
    versions: dict[str, str]  # their hashes: model, catalogue, rules
    models: Models | None = None  # brings other models to a live run; None where none can be promoted
    content: bytes = b"{}"  # what the model's version holds: which bundles it is made of
    errors: tuple[str, bytes] | None = None  # hash and content of what models were measured to get wrong
    sector: Callable[[str], Sequence[str]] = nobody  # the companies that one is compared with
    watches: Watches = NOTHING  # what a new run begins to watch; what a live run watches later is its own

    @property
    def contents(self) -> dict[str, tuple[str, bytes]]:
        """Kind -> (hash, content) of each of them."""
        given = {MODEL: (self.scorer.model_id, self.content), RULES: content_of_rules(self.rules)}
        if CATALOGUE in self.versions:
            given[CATALOGUE] = (self.versions[CATALOGUE], b"{}")
        return given | ({ERRORS: self.errors} if self.errors else {})

    @property
    def first_contents(self) -> dict[str, tuple[str, bytes]]:
        """The same, and what else a new run begins with."""
        return self.contents | ({} if self.watches == NOTHING else {WATCHES: (self.watches.hash, canonical(self.watches))})

    def in_force(self, run: str) -> VersionsInForce:
        """The rules and hashes of a run, as whoever folds or decides it needs them."""
        return VersionsInForce(run, self.rules, self.versions)

    def scorers(self, store: Store, run: str) -> ScorersInForce:
        """The scorers of a run."""
        return ScorersInForce(store, run, self.scorer, self.models, self.versions.get(CATALOGUE))


class _ModelContent(msgspec.Struct, frozen=True):
    """What a version of the model holds."""

    bundles: dict[str, str] = {}  # language -> bundle


def load_instruments(
    *,
    rules: Path | None = None,
    catalogues: Sequence[Path] = (),
    registry: Path | None = None,
    errors: Sequence[Path] = (),
    use: Use = "auto",
    device: str = "cpu",
    bundles: Mapping[str, str] | None = None,
    watches: Path | None = None,
) -> Instruments:
    """The shipped models with the shipped rules and catalogue, or the user's own.

    Args:
        rules: a rules file.
        catalogues: more companies.
        registry: the folder whose promoted models are in force; None: those that ship.
        errors: measured errors of more models, files of `groundswell models errors`.
        use: "linear": the shipped linear models, whatever is in force.
        device: that encoders run on, "cpu" or "cuda".
        bundles: {language: name}, instead of what the registry has in force: for a run that asks what another model would have said.

        watches: a file of searches that a new run begins to watch; None: those that ship.

    Raises:
        SettingsError: a rules file, catalogue, file of errors or of searches, or registry that cannot be used.
        BundleError: a bundle in force is broken.
        NotFoundError: a bundle in force is gone.
    """
    catalogue = Catalogue.load(extra=catalogues)
    chosen = load_rules(rules)
    models = registry_at(registry)
    chosen_use: Use = "auto" if bundles else use
    make = partial(current_scorer, models, finder=catalogue.find, digest=digest, device=device)

    def promoted() -> bytes:
        return canonical(_ModelContent(models.in_force()))

    def load(content: bytes) -> Scorer:
        return make(bundles=msgspec.json.decode(content, type=_ModelContent).bundles)

    begun = models.revision()
    content = canonical(_ModelContent(models.in_force() | dict(bundles or {}))) if chosen_use == "auto" else b"{}"
    scorer = load(content) if chosen_use == "auto" else make(use=chosen_use)
    known = partial(Models, scorer, content, load=load, promoted=promoted, revision=models.revision, begun=begun)
    return Instruments(
        scorer=scorer,
        rules=chosen,
        display=lambda series: display(series, catalogue),
        versions={CATALOGUE: catalogue.hash, MODEL: scorer.model_id, RULES: chosen.hash},
        models=known(now_ms=lambda: SystemClock().now_ms() + AHEAD_MS) if registry and chosen_use == "auto" and not bundles else None,
        content=content,
        errors=load_matrices(errors),
        sector=catalogue.peers,
        watches=load_watches(watches, ids_of=catalogue.ids_of),
    )


LANGUAGE_NAMES = {"en": "All English sources", "zh": "All Chinese sources"}
WORD_NAMES = {"official": "official word", "denial": "denied"}


def display(series: str, catalogue: Catalogue) -> str:
    """A series key in English words: a company's name, a risk of a company, a saved search, or a topic with its language."""
    kind, _, rest = series.partition(":")
    if kind == "entity":
        return catalogue.name(rest) if rest in catalogue.entities else rest
    if kind == "language":
        return LANGUAGE_NAMES.get(rest, rest)
    if kind == "flag":
        flag, _, company = rest.partition(":")
        return f"{display(f'entity:{company}', catalogue)}, {FLAG_NAMES[flag]['en'] if flag in FLAG_NAMES else flag}"
    if kind == "word":
        word, _, company = rest.partition(":")
        return f"{display(f'entity:{company}', catalogue)}, {WORD_NAMES.get(word, word)}"
    if kind == "watch":
        return f"Watch {rest}"
    topic, _, language = rest.partition(":")
    return f"{TOPIC_NAMES[topic]['en']} ({language})" if topic in TOPIC_NAMES else series


def open_run(
    store: Store,
    run: str,
    *,
    kind: str,
    instruments: Instruments,
    manifest: dict[str, Any] | None = None,
    now_ms: int = 0,
    others_work: bool = False,
) -> dict[str, Any]:
    """Make the run's row, or check that it is the run that was meant; returns its manifest.

    A live run goes on with other instruments (a new model, new rules, another catalogue): they come into force behind everything that
    was read so far. Rules do so only if they are others than at the last start: those that were saved on the board outlive it. Any other
    run is made with one set, or it would not mean anything.

    Args:
        store: where it is.
        run: its name.
        kind: "live", "demo", "backfill", "rescore".
        instruments: what the process was started with.
        manifest: what the run is made from.
        now_ms: the moment from which other instruments are in force; by default at once.
        others_work: other processes work on the live run too: only `groundswell versions put` changes its rules and errors, so that
            workers with different files do not take turns.

    Raises:
        UsageError: the run exists with other input or other instruments, or is being dropped.
    """
    wanted = {**(manifest or {}), "versions": instruments.versions, **manifest_of_model(instruments.scorer)}
    if run == LIVE_RUN and not others_work:
        wanted[FILE_RULES] = instruments.rules.hash
    with store.write() as connection:
        row = connection.execute(select(t.runs).where(t.runs.c.run == run).with_for_update()).mappings().one_or_none()
        stored: dict[str, Any] | None = msgspec.json.decode(row["manifest"]) if row else None
        refuse_dropping(run, stored or {})
        if stored is None:
            given = {"run": run, "kind": kind, "model_id": instruments.scorer.model_id, "manifest": msgspec.json.encode(wanted)}
            store.insert(connection, t.runs, [given])  # another process may make the same row now
            begin_schedule(store, connection, run, instruments.first_contents)
            return wanted
        if run == LIVE_RUN:
            connection.execute(t.runs.update().where(t.runs.c.run == run).values(kind=kind))
            begin_schedule(store, connection, run, instruments.contents)
    if run == LIVE_RUN:
        # A file that has not changed since the last start says nothing new: rules that were put in force meanwhile stay.
        is_old = stored.get(FILE_RULES) == instruments.rules.hash
        left_out = {RULES, ERRORS} if others_work else {RULES} if is_old else set()
        contents = {kind: given for kind, given in instruments.contents.items() if kind not in left_out}
        put_in_force(store, run, contents, now_ms=now_ms, manifest={**(manifest or {}), **manifest_of_model(instruments.scorer)})
        if FILE_RULES in wanted and not is_old:
            update_manifest(store, run, **{FILE_RULES: wanted[FILE_RULES]})
        with store.read() as connection:
            return manifest_of(connection, run)
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
