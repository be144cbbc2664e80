"""The rules in force: one frozen tree from one commented TOML file, with the hash that alerts carry."""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Final, Literal

import msgspec

from alerts import toml_lines
from groundswell.codec import canonical
from groundswell.errors import SettingsError, reason_of
from groundswell.names import content_id, series_kind

NEVER: Final = 2**31
FULL_PPM: Final = 1_000_000
NUMBER_MAX: Final = 2**53
SHIPPED: Final = "alerts/rules.toml"


class SurgeRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Thresholds of the surge detector; alerts/rules.toml says why each is what it is."""

    forming_days: int
    dispersion: float
    p_open_hour: float
    p_open_day: float
    p_hold: float
    p_share_open: float
    p_share_alone: float
    share_stories_min: int
    share_exposure_min_ppm: int
    exposure_min_ppm: int
    expected_floor_hour: float
    expected_floor_day: float
    stories_min_hour: int
    stories_min_day: int
    owners_min: int
    one_platform_stories_min: int
    one_platform_factor_min: float
    repeat_growth: float
    repeat_s: int
    hold_s: int

    search_p_factor: float = 10.0

    def p_open(self, window_s: int, series: str = "") -> float:
        """The p-value that opens in a window of an hour or a day (seconds), of a series."""
        if window_s < 86_400:
            return self.p_open_hour
        return min(self.p_open_day * self.search_p_factor, self.p_hold) if series_kind(series) == "watch" else self.p_open_day


class SightingRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What makes a risk of a company worth a word although it is not many; alerts/rules.toml says why."""

    flags: frozenset[str]
    watched: frozenset[str]
    quiet_days: int
    stories_min: int
    owners_min: int
    one_owner_stories_min: int
    p_open: float
    forming_days: int
    credible_tier: int = 0
    watched_tier: int = 0


class AmplificationRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a single story has many copies; alerts/rules.toml says why."""

    documents_min: int
    owners_min: int
    publishers_min: int
    dispersion: float
    p_open: float
    growth: float
    repeat_s: int


class LateRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What older news has to be, to be told although it comes too late; alerts/rules.toml says why."""

    horizon_s: int
    stories_min: int
    owners_min: int
    p_open: float
    p_share_open: float
    repeat_s: int


class SlowBurnRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a week is worse than the three months before it; alerts/rules.toml says why."""

    days: int
    days_before: int
    stories_min: int
    growth: float
    share_growth_ppm: int
    dispersion_min: float
    p_open: float
    seen_min_ppm: int
    repeat_days: int

    def __post_init__(self) -> None:
        """Refuse what the test cannot be made with."""
        if self.days < 1 or self.days_before < 21 or self.dispersion_min <= 0:
            reason = (
                f"days {self.days}, days_before {self.days_before}, dispersion_min {self.dispersion_min:g}: a slow burn needs a day, three "
                "whole weeks before it and a dispersion above 0"
            )
            raise ValueError(reason)


class BlindRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When analysts are told that sources are missing; alerts/rules.toml says why."""

    exposure_min_ppm: int
    seeing_ppm: int
    hours: int
    forming_days: int


class ModelShiftRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When it is the model that has moved and not the world; alerts/rules.toml says why."""

    topics_min: int
    moved_ppm: int
    stories_min: int
    p_moved: float
    after_days: int
    volume_growth: float
    pooled_growth_ppm: int
    remind_s: int


class DeskRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Budget and life of incidents."""

    budget_per_day: int
    incident_quiet_s: int
    cooldown_s: int
    updates_per_day: int
    update_growth: float
    update_owners: int
    overlap_min: float
    false_share: float = 0.0
    late_per_day: int = 1
    slow_burn_per_day: int = 3
    told_s: int = 259_200
    word_tier: int = 0


class BurstRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="channel", tag="burst"):
    """A profile of the volume detector that looks for steep bursts (alerts/detectors/burst.py)."""

    threshold: float
    forming_s: int
    rest_s: int
    windows_s: tuple[int, ...]
    quantiles: tuple[float, ...]
    level_half_life_s: int
    spread_half_life_s: int
    excess_weight: float


class RegimeRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="channel", tag="regime"):
    """A profile of the volume detector that looks for a rate that has been multiplied (alerts/detectors/regime.py)."""

    threshold: float
    forming_s: int
    quiet_s: int
    level_half_life_s: int
    season_level_half_life_s: int
    season_half_life_s: int
    season_prior_s: dict[Literal["hour", "day", "hour_of_week"], int]
    factors: tuple[float, ...]
    spikes: tuple[float, ...]
    surge_every_s: int
    surge_lasts_s: int
    spike_every_s: int
    noises: tuple[float, ...]
    noise_half_life_s: int
    dispersions: tuple[float, ...]
    evidence_half_life_s: int
    handicap_calm: float
    handicap_noise: float
    handicap_dispersion: float


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that decides whether an analyst hears of something. Rules without a kind's section never find it."""

    surge: SurgeRules
    sighting: SightingRules
    desk: DeskRules
    amplification: AmplificationRules = AmplificationRules(NEVER, NEVER, NEVER, 1.0, 0.0, 1.0, 0)
    late: LateRules = LateRules(0, NEVER, NEVER, 0.0, 0.0, 0)
    slow_burn: SlowBurnRules = SlowBurnRules(7, 90, NEVER, 1.0, FULL_PPM, 1.0, 0.0, FULL_PPM, 0)
    blind: BlindRules = BlindRules(0, FULL_PPM, NEVER, 0)
    model_shift: ModelShiftRules = ModelShiftRules(NEVER, FULL_PPM, NEVER, 0.0, 0, 1.0, FULL_PPM, 0)
    volume: dict[str, BurstRules | RegimeRules] = {}

    @property
    def hash(self) -> str:
        """Content hash: equal rules, equal hash, whatever the file's comments say."""
        return content_id(canonical(self).decode())


def load_rules(path: Path | None = None) -> Rules:
    """Rules from a TOML file, or the shipped ones.

    Raises:
        SettingsError: the file cannot be read, or `rules_of` refuses what stands in it.
    """
    return rules_of(shipped_text() if path is None else rules_text(path), place=str(path) if path else SHIPPED)


def rules_text(path: Path) -> str:
    """What stands in a rules file.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or reason_of(error)
        reason = f"{path}: cannot be read: {said}; name an existing rules file or leave the setting out"
        raise SettingsError(reason) from error


def shipped_text() -> str:
    """The shipped rules with their comments."""
    return resources.files("alerts").joinpath("rules.toml").read_text(encoding="utf-8")


def rules_of(text: str, *, place: str) -> Rules:
    """Rules from TOML.

    Args:
        text: the file.
        place: what it is called.

    Raises:
        SettingsError: it is no TOML, lacks a key, or has one that there is not, a value of the wrong type, or a number that no worker
            can use; the line, the key and the nearest valid key are named.
    """
    rules = toml_lines.read(text, Rules, place=place, example=f"the shipped {SHIPPED}")
    # Every worker makes its rules of what is stored, where an infinite number is none, and asks its database with them.
    odd = next((number for number in _numbers(msgspec.to_builtins(rules)) if not abs(number) <= NUMBER_MAX), None)
    if odd is not None:
        reason = f"{place}: {odd!r} is no number that can be used; write one of at most 2^53"
        raise SettingsError(reason)
    return rules


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(each)
    elif isinstance(value, int | float):
        yield value
