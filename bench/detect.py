"""The volume detector on planted surges and on NAB's tweets, beside plain rules.

Thresholds of the plain rules are tuned, for each world apart, to one false alert per series-week on seeds of their own; the detector has
the one that ships. NAB's series and the judge of its standard profile are not part of the project: without them that half says so.
"""

import csv
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import msgspec
import numpy as np

from alerts.detectors.regime import RegimeFilter
from alerts.detectors.volume import VolumeDetector
from alerts.rules import BurstRules, RegimeRules, load_rules
from bench.pipeline import Ratio
from bench.planted import STEP_S, WEEK, Counts, Floats, Found, judge, threshold_for, world
from bench.replays import SHARED
from bench.volume_rules import RULES, oracle, three_sigma

TUNING, FRESH = (1, 2, 3), (21, 22, 23, 24, 25)
RECALL: Final = {False: 0.88, True: 0.66}
MINUTES: Final = {2: 30, 3: 15, 5: 10}
NAB_WANTED, NAB_APART, ARTIME = 90.0, 85.0, 87.0
THRESHOLDS: Final = np.arange(0.80, 1.10, 0.005)


def detectors(_: Path) -> list[Ratio]:
    """Both tables."""
    return [*(row for rough in (False, True) for row in planted(rough=rough)), *nab()]


# --- planted surges -----------------------------------------------------------------------------------------------------------
def planted(*, rough: bool) -> Iterator[Ratio]:
    """One world: the detector, then each rule that it is set against."""
    name, fresh, tuning = ("rough" if rough else "clean") + " world", world(FRESH, rough=rough), world(TUNING, rough=rough)
    desk = cast(RegimeRules, load_rules().volume["desk"])
    odds = log_odds(fresh.counts, desk)
    ours = judge(fresh, odds, desk.threshold)
    after = judge(fresh, odds, threshold_for(fresh, odds))
    weeks = f"{fresh.counts.shape[1] * 9:,} series-weeks of seeds {FRESH[0]} to {FRESH[-1]}, {len(fresh.surges):,} surges"
    said = f"{shown(ours)}; with the threshold set afterwards to one false alert a week {shown(after)}; {weeks}"
    yield Ratio(f"recall of planted surges, {name}", f"{RECALL[rough]}", ours.recall / RECALL[rough], "at least 1", said)
    if not rough:
        worst = max(MINUTES, key=lambda factor: ours.minutes[factor] / MINUTES[factor])
        slow = ours.minutes[worst] / MINUTES[worst]
        yield Ratio(f"median delay, {name}", "30 / 15 / 10 minutes at 2 / 3 / 5 times", slow, "at most 1", f"{worst} times is nearest")
    for rule, statistic in RULES.items():
        threshold = threshold_for(tuning, statistic(tuning.counts))
        theirs = judge(fresh, statistic(fresh.counts), threshold)
        yield Ratio(f"recall, {name}", rule, ours.recall / theirs.recall, "at least 1", f"{shown(theirs)}; k = {threshold:.2f}")
    if not rough:
        theirs = judge(fresh, oracle(fresh), threshold_for(tuning, oracle(tuning)))
        yield Ratio(f"recall, {name}", "a CUSUM that is told rate and dispersion", ours.recall / theirs.recall, "printed", shown(theirs))


def log_odds(counts: Counts, profile: RegimeRules) -> Floats:
    """The regime filter's statistic, all series at once."""
    regime = RegimeFilter(counts.shape[1], profile, step_s=STEP_S)
    return np.stack([regime.step(number * STEP_S, row) for number, row in enumerate(counts)])


def shown(found: Found) -> str:
    """Figures in words."""
    shares = "/".join(f"{share:.2f}" for share in found.by_factor.values())
    minutes = "/".join(f"{value:.0f}" for value in found.minutes.values())
    return f"recall {found.recall:.3f} ({shares} at 2/3/5 times), {minutes} min, {found.false_a_week:.2f} false alerts a series-week"


# --- NAB ----------------------------------------------------------------------------------------------------------------------
class Labelled(NamedTuple):
    """One series of NAB, with what each row is worth if it is flagged."""

    counts: list[int]
    worth: list[tuple[str, int | None, float] | None]
    windows: int


def nab() -> list[Ratio]:
    """The five series that are here."""
    folder, tool = SHARED / "data" / "nab_tweets", SHARED / "tools" / "nab_score.py"
    if not (folder.is_dir() and tool.is_file()):
        print(f"bench: {folder} or {tool} is not here: NAB's series are not part of the project, that half is left out")
        return []
    series = labelled(folder, _module(tool))
    profile = cast(BurstRules, load_rules().volume["nab"])
    scores = [raw_scores(each.counts, profile) for each in series]
    shipped = total(series, scores, [profile.threshold] * len(series))
    apart = total(series, scores, [best_without(series, scores, left_out) for left_out in range(len(series))])
    said = f"{len(series)} series, {sum(each.windows for each in series)} windows, standard profile, threshold {profile.threshold}"
    sigma = [np.asarray(three_sigma(np.array(each.counts, dtype=np.int64)[:, None])[:, 0]) for each in series]
    sigmas = np.arange(3.0, 30.0, 0.5)
    plain = max(total(series, sigma, [float(k)] * len(series), rest=1) for k in sigmas)
    rested = max(total(series, sigma, [float(k)] * len(series)) for k in sigmas)
    what = "NAB's tweets, shipped threshold"
    return [
        Ratio(what, f"{NAB_WANTED:.0f}", shipped / NAB_WANTED, "at least 1", f"{shipped:.1f}; {said}"),
        Ratio("NAB's tweets, threshold of the other series", f"{NAB_APART:.0f}", apart / NAB_APART, "at least 1", f"{apart:.1f}"),
        Ratio(what, "ARTime as published", shipped / ARTIME, "at least 1", f"{ARTIME} with its best threshold"),
        Ratio(what, "k standard deviations above seven days, best k", shipped / plain, "at least 1", f"{plain:.1f}"),
        Ratio(what, "the same, one alert a day at most", shipped / rested, "at least 1", f"{rested:.1f}"),
    ]


def raw_scores(counts: list[int], profile: BurstRules) -> Floats:
    """Scores that no alert has muted, so that any threshold can be tried on them."""
    detector = VolumeDetector(msgspec.structs.replace(profile, threshold=1e6), step_s=STEP_S)
    return np.array([detector.step(number, count).score_milli / 1_000 for number, count in enumerate(counts)])


def total(series: list[Labelled], scores: list[Floats], thresholds: list[float], *, rest: int = WEEK // 7) -> float:
    """NAB's normalised score: 0 = nothing found, 100 = all of it at once."""
    gained = sum(_gain(each, _rested(score, t, rest)) for each, score, t in zip(series, scores, thresholds, strict=True))
    windows = sum(each.windows for each in series)
    return 100 * (gained + windows) / (2 * windows)


def best_without(series: list[Labelled], scores: list[Floats], left_out: int) -> float:
    """The threshold that is best on all series but one."""
    kept = [place for place in range(len(series)) if place != left_out]
    others, theirs = [series[place] for place in kept], [scores[place] for place in kept]
    return float(max(THRESHOLDS, key=lambda threshold: total(others, theirs, [float(threshold)] * len(others))))


def _gain(each: Labelled, flagged: list[int]) -> float:
    best: dict[int, float] = {}
    false = 0.0
    for row in flagged:
        worth = each.worth[row]
        if worth is None:
            continue
        _, window, value = worth
        if window is None:
            false += value
        else:
            best[window] = max(best.get(window, value), value)
    return false + sum(best.values()) - (each.windows - len(best))


def _rested(score: Floats, threshold: float, rest: int) -> list[int]:
    """Rows that alert: crossings, `rest` rows apart at least."""
    found: list[int] = []
    for row in np.flatnonzero(score >= threshold):
        if not found or row - found[-1] >= rest:
            found.append(int(row))
    return found


def labelled(folder: Path, judge_of_nab: Any) -> list[Labelled]:
    """The series of a folder with NAB's windows."""
    found = []
    windows = msgspec.json.decode((folder / "windows.json").read_bytes(), type=dict[str, list[tuple[str, str]]])
    for name, spans in sorted(windows.items()):
        with (folder / name.rsplit("/", 1)[-1]).open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        parse: Callable[[str], Any] = judge_of_nab.parse
        times = [parse(row["timestamp"]) for row in rows]
        worth, count = judge_of_nab.rows_scores(times, [(parse(a), parse(b)) for a, b in spans])
        found.append(Labelled([int(float(row["value"])) for row in rows], worth, count))
    return found


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        sys.exit(f"bench: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
