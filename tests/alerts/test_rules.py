"""Rules: one frozen tree from one file, with the hash that alerts carry."""

import re
from pathlib import Path

import msgspec
import pytest

from alerts.detectors.surge import DAY_S, HOUR_S
from alerts.rules import NEVER, Rules, load_rules, rules_of, shipped_text
from alerts.rules_text import text_of
from groundswell.codec import canonical, decode
from groundswell.errors import SettingsError
from tests import builders as b

SHIPPED = Path(__file__).parents[2] / "alerts" / "rules.toml"


def test_the_shipped_rules_load_and_an_hour_must_be_less_likely_than_a_day() -> None:
    surge = load_rules().surge

    assert surge.p_open(HOUR_S) < surge.p_open(DAY_S) < surge.p_hold
    assert load_rules(SHIPPED) == load_rules()


def test_comments_and_order_do_not_change_the_hash_and_a_number_does(tmp_path: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    bare = tmp_path / "bare.toml"
    _, *sections = re.split(r"(?m)^(\[[a-z._]+\])$", text)
    pairs = list(zip(sections[::2], sections[1::2], strict=True))
    bare.write_text("\n".join(f"{name}\n" + "\n".join(_settings(body)) for name, body in reversed(pairs)))

    assert load_rules(bare).hash == load_rules().hash
    assert b.rules(forming_days=15).hash != load_rules().hash


def _settings(section: str) -> list[str]:
    """The lines that say something, in another order."""
    return sorted(line for line in section.splitlines() if line and line[0].isalpha())


def test_rules_come_back_from_their_stored_bytes() -> None:
    rules = b.easy_rules()

    assert decode(canonical(rules), type(rules)) == rules


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("forming_days = 14", "forming_days = 'long'"), r"mine\.toml:6: surge\.forming_days: Expected `int`, got `str`: 'long'"),
        (("forming_days = 14", "forming_weeks = 2"), r"mine\.toml:6: .*forming_weeks: there is no such key, did you mean 'forming_days'\?"),
        (("dispersion = 0.4", "cooldown_s = 7"), r"mine\.toml:8: surge\.cooldown_s: there is no such key; it belongs into \[desk\]"),
        (("dispersion = 0.4", "qqq = 7"), r"mine\.toml:8: surge\.qqq: there is no such key; surge has forming_days, dispersion, "),
        (("dispersion = 0.4\n", ""), r"mine\.toml:4: surge: Object missing required field `dispersion`"),
        (("[desk]", "[desks]"), r"mine\.toml:\d+: desks: there is no such key, did you mean 'desk'\?"),
        (("[desk]", "[desk"), r"line \d+, column 6\); mend the line, the shipped alerts/rules.toml"),
        (("budget_per_day = 3", "budget_per_day = 3.5"), r"desk\.budget_per_day: Expected `int`, got `float`: 3\.5"),
        (("rest_s = 86_400", "rests = 86_400"), r"mine\.toml:\d+: volume\.nab\.rests: there is no such key, did you mean 'rest_s'\?"),
        (('channel = "burst"', 'channel = "bust"'), r"mine\.toml:\d+: .*: Invalid value 'bust'"),
        (("season_prior_s = { hour", "season_prior_s = { minute"), r"Invalid enum value 'minute'"),
        (("days_before = 90", "days_before = 20"), r"slow_burn: .*a slow burn needs a day, three whole weeks before it"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_with_the_place(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(SHIPPED.read_text(encoding="utf-8").replace(*change))

    with pytest.raises(SettingsError, match=reason) as raised:
        load_rules(path)
    assert str(path) in str(raised.value)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone.toml: cannot be read: No such file or directory; name an existing rules file"):
        load_rules(tmp_path / "gone.toml")


def test_rules_without_the_section_of_a_kind_never_find_it_and_are_the_rules_that_they_were(tmp_path: Path) -> None:
    """A desk's own file, and the rules of a run that was made before there was the kind."""
    shipped = load_rules()
    path = tmp_path / "mine.toml"
    sections = re.split(r"(?m)^(?=\[)", SHIPPED.read_text(encoding="utf-8"))
    kept = [part for part in sections if not part.startswith(("[amplification]", "[late]", "[slow_burn]", "[blind]", "[model_shift]"))]
    path.write_text("".join(kept), encoding="utf-8")
    mine = load_rules(path)

    assert (mine.surge, mine.sighting) == (shipped.surge, shipped.sighting)
    assert mine.amplification.documents_min == mine.late.stories_min == mine.slow_burn.stories_min == mine.blind.hours == NEVER
    assert b"amplification" not in canonical(mine)
    assert decode(canonical(mine), type(mine)) == mine


# --- what cannot be stored, and rules as a file again ------------------------------------------------------------------------------
@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e999"])
def test_a_number_that_is_not_finite_is_refused_before_a_worker_reads_it(number: str) -> None:
    text = shipped_text().replace("dispersion = 0.4", f"dispersion = {number}")
    assert text != shipped_text()
    with pytest.raises(SettingsError, match=r"the rules: .* is no number that can be used"):
        rules_of(text, place="the rules")


def test_an_integer_beyond_what_a_database_takes_and_brackets_without_end_are_refused() -> None:
    with pytest.raises(SettingsError, match="is no number that can be used"):
        rules_of(shipped_text().replace("quiet_days = 30", f"quiet_days = {10**30}"), place="the rules")
    with pytest.raises(SettingsError, match="brackets within brackets"):
        rules_of("x = " + "[" * 50_000, place="the rules")


def test_rules_are_a_commented_file_again_whatever_their_values() -> None:
    shipped = load_rules()
    assert text_of(shipped) == shipped_text()
    other = msgspec.structs.replace(
        shipped,
        sighting=msgspec.structs.replace(shipped.sighting, watched=frozenset(['a "quoted" id', "b"])),
        desk=msgspec.structs.replace(shipped.desk, budget_per_day=7, false_share=0.25),
        volume={"nab": shipped.volume["nab"], "of my own": shipped.volume["desk"]},
    )
    text = text_of(other)
    assert rules_of(text, place="x") == other
    assert "budget_per_day = 7" in text
    assert "# Pings a day (UTC, known time) over all series." in text
    bare = Rules(shipped.surge, shipped.sighting, shipped.desk)
    assert rules_of(text_of(bare), place="x") == bare
