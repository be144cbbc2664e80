"""Commands for Grafana: dashboards build, check, publish."""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.errors import DependencyError, UsageError, reason_of

if TYPE_CHECKING:
    from dashboards.grafana.limits import Limits
    from dashboards.grafana.publish import Change, Mark
    from groundswell.settings import Settings

HTTP_TIMEOUT_S = 10.0


@click.group(cls=Group)
def dashboards() -> None:
    """Grafana's dashboards: opinion, incident, pipeline, sources and model. Thresholds come from the rules and settings in force."""


@dashboards.command(epilog=example("groundswell dashboards build -o /etc/groundswell/grafana"))
@click.option(
    "-o",
    "--output",
    default="deploy/grafana",
    show_default=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write what Grafana reads.",
)
@click.option(
    "--rules",
    default="deploy/prometheus",
    show_default=True,
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where to write Prometheus's rules.",
)
def build(output: Path, rules: Path) -> None:
    """Write what Grafana reads at its start (data sources, folder, dashboards) and Prometheus's rules.

    Files of dashboards that are gone are removed.
    """
    from dashboards.grafana.catalogue import dashboards as all_dashboards
    from dashboards.grafana.files import files
    from dashboards.grafana.model import PREFIX
    from dashboards.prometheus.files import files as rule_files

    made = files(all_dashboards(_limits(o.settings())))
    gone = [path for path in sorted(output.glob(f"dashboards/{PREFIX}*.json")) if path.relative_to(output).as_posix() not in made]
    written = _write(output, made, option="--output")
    for path in gone:
        path.unlink()
    click.echo(f"{output}: {written} files written, {len(made) - written} as they were, {len(gone)} removed")
    made = {Path(name).name: text for name, text in rule_files().items()}
    written = _write(rules, made, option="--rules")
    click.echo(f"{rules}: {written} files written, {len(made) - written} as they were")


def _write(folder: Path, made: Mapping[str, str], *, option: str) -> int:
    """Write what differs; how many files that were."""
    written = 0
    try:
        for name, text in made.items():
            path = folder / name
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                written += 1
    except OSError as error:
        reason = f"{option} {folder}: {reason_of(error)}; give a folder that can be written"
        raise DependencyError(reason) from error
    return written


@dashboards.command(epilog=example("groundswell dashboards check exported/"))
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
def check(folder: Path | None) -> None:
    """Hold the dashboards against every rule, without a Grafana; with FOLDER those of its *.json files.

    Says each fault with dashboard, panel, rule, value and next step. Exit code 1 if there is one.
    """
    from dashboards.grafana.catalogue import dashboards as all_dashboards
    from dashboards.grafana.lint import Known, faults, panels
    from dashboards.grafana.lint_queries import exported_metrics, metrics_named
    from groundswell.store.schema import metadata

    ours = [dashboard.as_json() for dashboard in all_dashboards(_limits(o.settings()))]
    read, metrics = list(_read(folder)) if folder else ours, exported_metrics()
    found = faults(read, Known(metrics, frozenset(metadata.tables)))
    for fault in found:
        click.echo(fault)
    shown = {
        name
        for dashboard in read
        for panel in panels(dashboard)
        for t in panel.get("targets", [])
        for name in metrics_named(t.get("expr", ""))
    }
    unseen = sorted(_families(set(metrics)) - _families(shown))
    click.echo(f"{len(read)} dashboards, {sum(1 for one in read for _ in panels(one))} panels, {len(found)} faults")
    if unseen:
        click.echo(f"no panel shows: {', '.join(unseen)}")
    if found:
        sys.exit(1)


@dashboards.command(epilog=example("groundswell dashboards publish --dry-run"))
@click.option("--dry-run", is_flag=True, help="Show what would change, panel by panel, and write nothing.")
@click.option("--annotate", metavar="SPAN", help="Also mark the incidents told within this span before now, for all dashboards: 7d.")
@o.run_option
@o.store_option
def publish(dry_run: bool, annotate: str | None, run: str | None, store_url: str | None) -> None:
    """Bring the dashboards into the Grafana of grafana.url; what is there already is left alone, so run it as often as you like.

    The token is in GROUNDSWELL_GRAFANA_TOKEN or the settings file. What was changed in Grafana by hand is replaced: look with --dry-run
    first. Grafana keeps the version before.
    """
    from dashboards.grafana.catalogue import dashboards as all_dashboards
    from dashboards.grafana.client import HttpGrafana
    from dashboards.grafana.publish import TESTED_WITH, is_too_old
    from dashboards.grafana.publish import publish as bring

    settings = o.settings()
    if not settings.grafana.url:
        reason = "grafana.url is not set: write GROUNDSWELL_GRAFANA_URL=https://HOST and GROUNDSWELL_GRAFANA_TOKEN"
        raise UsageError(reason)
    grafana = HttpGrafana(settings.grafana.url, settings.grafana.token, timeout_s=HTTP_TIMEOUT_S)
    version = grafana.health()
    if is_too_old(version):
        oldest = ".".join(map(str, TESTED_WITH))
        reason = f"Grafana {settings.grafana.url} is {version}, and the dashboards are written for {oldest} and later; upgrade Grafana"
        raise UsageError(reason)
    marks = _marks(settings, annotate, run=run, store_url=store_url) if annotate else []
    changes = bring(grafana, all_dashboards(_limits(settings)), sources=list(_sources(settings)), marks=marks, write=not dry_run)
    for change in changes:
        _say(change, dry_run=dry_run)


def _say(change: "Change", *, dry_run: bool) -> None:
    would = "would be " if dry_run and change.outcome != "same" else ""
    click.echo(f"{change.what}: {would}{change.outcome}")
    if dry_run and change.difference:
        click.echo(change.difference, nl=False)


def _limits(settings: "Settings") -> "Limits":
    """The numbers of the rules and settings in force, and of the shells that act on them."""
    from alerts.rules import load_rules
    from dashboards.grafana.limits import Limits
    from stream.operators.contribute import FRESH_MS
    from stream.shells.canaries import GRACE_MS
    from stream.shells.lookout import BEHIND_MS

    rules = load_rules(Path(settings.rules.path) if settings.rules.path else None)
    return Limits(
        board_url=settings.board.base_url,
        behind_s=BEHIND_MS / 1_000,
        canary_every_s=settings.canary.every_s,
        canary_late_s=GRACE_MS / 1_000,
        budget_per_day=rules.desk.budget_per_day,
        incident_quiet_s=rules.desk.incident_quiet_s,
        exposure_min=rules.surge.exposure_min_ppm / 1e6,
        fresh_s=FRESH_MS["news"] // 1_000,
    )


def _sources(settings: "Settings") -> Iterator[dict[str, Any]]:
    """The data sources whose addresses are set; the others are said to be left alone."""
    from dashboards.grafana.files import StoreAccess, postgres_source, prometheus_source

    if settings.grafana.prometheus_url:
        yield prometheus_source(settings.grafana.prometheus_url)
    else:
        click.echo("data source of Prometheus: left alone, grafana.prometheus_url is empty", err=True)
    if settings.grafana.store_url:
        yield postgres_source(StoreAccess.of_url(settings.grafana.store_url))
    else:
        click.echo("data source of PostgreSQL: left alone, grafana.store_url is empty", err=True)


def _marks(settings: "Settings", span: str, *, run: str | None, store_url: str | None) -> list["Mark"]:
    """The incidents first told within a span before now."""
    from dashboards.grafana.publish import marks_of
    from groundswell.clock import SystemClock
    from groundswell.store.query import alerts_of, run_named

    since_ms = SystemClock().now_ms() - o.duration_ms(span, name="--annotate")
    with o.open_store(store_url).read() as connection:
        found = alerts_of(connection, run_named(connection, run), start_ms=since_ms, end_ms=None)
    return marks_of(found, settings.board.base_url)


def _families(metrics: set[str]) -> set[str]:
    """Metrics without the parts of their histograms."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in metrics}


def _read(folder: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.glob("*.json")):
        try:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if not {"panels", "templating", "annotations"} <= found.keys():
                reason = f"{path}: no dashboard of the classic form (panels, templating, annotations); export it as JSON from Grafana"
                raise UsageError(reason)
        except (OSError, ValueError, AttributeError) as error:
            reason = f"{path}: {reason_of(error)}; give a folder with dashboards as JSON"
            raise UsageError(reason) from error
        yield found
