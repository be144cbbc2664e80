"""From a recipe to a bundle in one call: prepare, train (teachers first, where the recipe asks for them), finish, report."""

import os
from pathlib import Path
from typing import NamedTuple

import torch

from models.bundle import EncoderBundle
from models.encoder.finish import finish
from models.encoder.prepare import network_of, prepare
from models.encoder.recipe import Recipe
from models.encoder.teachers import begin_as, numbers_of, taught, trained_teacher
from models.encoder.train import LOG, Progress, Run
from models.report import report_html
from models.score_file import DetectLanguage
from models.scorer import Finder
from models.training_log import read_log

RECIPE_FILE = "recipe.toml"


class Made(NamedTuple):
    """What a run leaves behind."""

    bundle: EncoderBundle
    report: Path


def make(
    recipe: Recipe,
    *,
    recipe_text: str,
    data: Path,
    run: Path,
    out: Path,
    finder: Finder,
    detect: DetectLanguage,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Made:
    """Train by a recipe and make the bundle.

    Args:
        recipe: what to do.
        recipe_text: the file that it was read from.
        data: folder with train/ and dev/.
        run: the run's folder; a run that was stopped there is gone on with.
        out: the bundle's folder; it must not exist.
        finder: companies in a text.
        detect: decides a text's language.
        device: "cpu", "cuda", or "auto" for a GPU where there is one.
        threads: cores; None = those that this process may use.
        progress: called with every line of the log, and with {"note": ...} between the stages.
    """
    tell = progress or (lambda _: None)
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    place = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    tell({"note": f"reading {', '.join(recipe.data.corpora)}"})
    prepared = prepare(recipe, data)
    run.mkdir(parents=True, exist_ok=True)
    (run / RECIPE_FILE).write_text(recipe_text, encoding="utf-8")
    network, lessons = network_of(recipe, prepared.heads), prepared.learned
    if recipe.distillation.teachers:
        teachers = [trained_teacher(recipe, number, prepared, run, device=place, progress=tell) for number in numbers_of(recipe)]
        tell({"note": f"{len(teachers)} teachers answer for {len(lessons) + len(prepared.unlabelled):,} texts"})
        lessons = taught(recipe, prepared, teachers, device=place)
        begin_as(network, teachers[0], recipe)
    training = Run(run, recipe=recipe, network=network, lessons=lessons, looks=prepared.looks, device=place, progress=progress)
    trained = training.train().to("cpu")
    tell({"note": "rounding to int8, calibrating, measuring"})
    bundle, measured = finish(
        trained, recipe=recipe, recipe_text=recipe_text, prepared=prepared, data=data, out=out, finder=finder, detect=detect
    )
    report = run / "report.html"
    log = read_log((run / LOG).read_bytes().splitlines(), name=str(run / LOG))
    report.write_text(report_html(recipe.name, log=log, measured=measured, recipe=recipe_text), encoding="utf-8")
    return Made(bundle, report)
