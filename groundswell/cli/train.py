"""The command that makes a model: train."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.errors import DependencyError


@click.command(epilog=example("groundswell train models/recipes/en.toml --data data/"))
@click.argument("recipe", type=click.Path(path_type=Path), metavar="RECIPE")
@click.option("--data", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder with train/ and dev/.")
@click.option("--run", "folder", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the run; var/runs/NAME unless given.")
@click.option("--bundle", "out", type=click.Path(path_type=Path), metavar="DIR", help="The bundle that is made; RUN/bundle unless given.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where to compute.")
@click.option("--threads", type=click.IntRange(min=1), help="Cores; all unless given.")
def train(recipe: Path, data: Path, folder: Path | None, out: Path | None, device: str, threads: int | None) -> None:
    """Fine-tune an encoder by RECIPE (TOML; models/recipes holds working ones) and make a bundle of it.

    A run that was stopped, killed even, goes on where it was when the command is given again. The bundle is measured on the dev parts,
    and RUN/report.html shows how the run went. To use it: groundswell models promote.
    """
    try:
        from models.encoder import workshop
    except ImportError as error:
        message = f"train: {error.name} is not installed; pip install 'groundswell[torch]'"
        raise DependencyError(message) from error
    from models.encoder.recipe import read_recipe
    from models.entities import Catalogue
    from stream.operators.normalise import detect_language

    chosen = read_recipe(recipe)
    run = folder or Path("var/runs") / chosen.name
    catalogue = Catalogue.load(extra=[Path(path) for path in o.settings().companies.extra])
    with _Shown() as shown:
        made = workshop.make(
            chosen,
            recipe_text=recipe.read_text(encoding="utf-8"),
            data=data,
            run=run,
            out=out or run / "bundle",
            device=device,
            threads=threads,
            finder=catalogue.find,
            detect=detect_language,
            progress=shown.step,
        )
    for name, metric in made.bundle.card.metrics.items():
        click.echo(f"{name:40} {metric.value:.4f}  ({metric.low:.4f} to {metric.high:.4f}, {metric.rows} rows)")
    click.echo(f"bundle {made.bundle.directory}: {made.bundle.bytes / 1e6:.1f} MB; report {made.report}")


class _Shown:
    """A progress bar on a terminal; a line per look elsewhere."""

    def __enter__(self) -> "_Shown":
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task = self._progress.add_task("reading", total=None)
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, record: Mapping[str, Any]) -> None:
        """Show a line of the run's log."""
        if "loss" in record:
            losses = " ".join(f"{head} {value:.2f}" for head, value in record["loss"].items())
            self._progress.update(self._task, completed=record["step"], total=record["steps"], description=losses)
        elif "eval" in record:
            figures = ", ".join(f"{name} {value:.3f}" for name, value in record["eval"]["held_out"].items())
            self._progress.console.print(f"step {record['step']}: {figures}", soft_wrap=True, highlight=False)
        elif "note" in record:
            self._progress.update(self._task, description=record["note"])
            if self._progress.disable:
                click.echo(record["note"], err=True)
