"""Who is told of what, when and how: the routes file, and for each alert the messages that follow from it. Pure; times come in.

alert -> readers that asked for it -> at once | held for a digest | after a while, if nobody has acknowledged
"""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from msgspec import Meta

from alerts import toml_lines
from groundswell.names import entity_series, word_of
from groundswell.records import Alert, AlertKind, Severity

__all__ = ["EXAMPLE", "TARGET_KINDS", "Due", "Escalation", "Reader", "Routes", "day_began_ms", "parse_routes", "routes_of", "stand_ins"]

EXAMPLE: Final = "alerts/routes.toml"
LOUDNESS: Final[dict[str, int]] = {"low": 0, "medium": 1, "high": 2, "none": 3}
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTE_MS: Final = 60_000
DIGEST_DAYS_MAX: Final = 15  # a reader whose days are all quiet gets the digest all the same

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
How = Literal["now", "digest", "escalation"]
Variable = Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Clock = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Escalation(_Table, frozen=True):
    """Whom else to tell when nobody acknowledges; alerts/routes.toml says what each key means."""

    after_min: Annotated[int, Meta(ge=1, le=1_440)]
    to: Annotated[tuple[str, ...], Meta(min_length=1)]
    severity: Severity = "high"


class Reader(_Table, frozen=True):
    """A person or a channel that is told; alerts/routes.toml says what each key means."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    language: Literal["en", "zh"] = "en"
    tz: str = "UTC"
    mail: tuple[Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$")], ...] = ()
    slack: Annotated[str, Meta(pattern=r"^[CGD][A-Z0-9]+$")] | None = None
    slack_webhook_url_env: Variable | None = None
    webhook_url_env: Variable | None = None
    webhook_secret_env: Variable | None = None
    teams_url_env: Variable | None = None
    feishu_url_env: Variable | None = None
    feishu_secret_env: Variable | None = None
    dingtalk_url_env: Variable | None = None
    dingtalk_secret_env: Variable | None = None
    console: bool = False
    kinds: tuple[AlertKind, ...] = ()
    series: tuple[str, ...] = ("*",)
    severity: Severity = "low"
    at_once: Severity = "low"
    pings_a_day: Annotated[int, Meta(ge=0)] | None = None
    quiet: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")] | None = None
    quiet_days: tuple[Day, ...] = ()
    through_quiet: Literal["low", "medium", "high", "none"] = "none"
    digest_at: Clock = "08:00"
    escalation: Escalation | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """The stored names of where this reader is told: `mail:anna`, `slack:anna`."""
        return tuple(f"{kind}:{self.name}" for kind, key in TARGET_KINDS.items() if getattr(self, key))

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """Variables of the environment that hold addresses or secrets of this reader."""
        return tuple(getattr(self, key) for key in msgspec.structs.asdict(self) if key.endswith("_env") and getattr(self, key))


TARGET_KINDS: Final = {
    "console": "console", "mail": "mail", "slack": "slack", "slack-webhook": "slack_webhook_url_env", "webhook": "webhook_url_env",
    "teams": "teams_url_env", "feishu": "feishu_url_env", "dingtalk": "dingtalk_url_env",
}  # fmt: skip
"""Kind of a target -> the key of the file that makes a reader have one. The kind is stored with each message: it never changes."""


class Routes(_Table, frozen=True):
    """The whole file."""

    reader: Annotated[tuple[Reader, ...], Meta(min_length=1)]

    def reader_of(self, target: str) -> Reader | None:
        """Whose target this is."""
        name = target.partition(":")[2]
        return next((reader for reader in self.reader if reader.name == name), None)

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """Variables of the environment that hold addresses or secrets."""
        return tuple(variable for reader in self.reader for variable in reader.secret_variables)


class Due(msgspec.Struct, frozen=True):
    """A message that follows from an alert."""

    target: str
    reader: str
    how: How
    not_before_ms: int
    reason: str  # why it is not sent at once, for whoever looks into the outbox; "" where it is


# --- the file -------------------------------------------------------------------------------------------------------------------
def parse_routes(text: str, *, place: str) -> Routes:
    """Routes from a file's text.

    Raises:
        SettingsError: a mistake; it names line, key, what is allowed and the nearest of it.
    """
    routes = toml_lines.read(text, Routes, place=place, example=EXAMPLE)
    targets = [target for reader in routes.reader for target in reader.targets]
    names = [reader.name for reader in routes.reader]
    for number, reader in enumerate(routes.reader):
        for key, holds, rule in _rules(reader, another=reader.name in names[:number]):
            if not holds:
                raise toml_lines.wrong(text, ("reader", number, key), place=place, rule=rule)
        for target in reader.escalation.to if reader.escalation else ():
            if target not in targets:
                rule = f"there is no target {target!r}{toml_lines.nearest(target, targets)}; there are {', '.join(targets)}"
                raise toml_lines.wrong(text, ("reader", number, "escalation", "to"), place=place, rule=rule)
    return routes


def _rules(reader: Reader, *, another: bool) -> tuple[tuple[str, bool, str], ...]:
    """(key, whether it holds, what must be) of what the types cannot say."""
    zones = available_timezones()
    zone = f"there is no zone {reader.tz!r}{toml_lines.nearest(reader.tz, sorted(zones))}; write a name such as Asia/Shanghai"
    signed = "webhook_url_env needs webhook_secret_env, because a webhook is signed; name its variable"
    return (
        ("name", not another, f"{reader.name!r} is another reader's name; choose one of its own"),
        ("name", bool(reader.targets), f"{reader.name!r} is told nowhere; give mail, slack or another target"),
        ("tz", reader.tz in zones, zone),
        ("webhook_secret_env", not reader.webhook_url_env or bool(reader.webhook_secret_env), signed),
        ("quiet_days", len(set(reader.quiet_days)) < len(DAYS), "every day is quiet; leave one out, or raise severity"),
        ("quiet", not reader.quiet or reader.quiet[:5] != reader.quiet[6:], "begins when it ends; write 22:00-07:00"),
    )


# --- what follows from an alert -------------------------------------------------------------------------------------------------
def routes_of(alert: Alert, routes: Routes, now_ms: int, *, pinged: Mapping[str, int] = MappingProxyType({})) -> list[Due]:
    """The messages that follow from an alert, by reader in the order of the file; nothing is forgotten, some of it waits.

    Args:
        alert: what happened.
        routes: who asked for what.
        now_ms: the wall clock: quiet hours are the reader's.
        pinged: reader -> incidents that they were told of at once today (their day), this one left out.
    """
    due: list[Due] = []
    for reader in routes.reader:
        if not wants(reader, alert):
            continue
        how, not_before_ms, reason = _when(reader, alert, now_ms=now_ms, pinged=pinged.get(reader.name, 0))
        due += [Due(target, reader.name, how, not_before_ms, reason) for target in reader.targets]
        escalation = reader.escalation
        if how == "now" and not alert.update and escalation and _loud(alert.severity, escalation.severity):
            at_ms = now_ms + escalation.after_min * MINUTE_MS
            reason = f"for {reader.name}: told in {escalation.after_min} min unless somebody acknowledges"
            due += [Due(target, target.partition(":")[2], "escalation", at_ms, reason) for target in escalation.to]
    first: dict[str, Due] = {}
    for one in sorted(due, key=lambda d: d.how == "escalation"):  # who is told anyway is not told twice
        first.setdefault(one.target, one)
    return [one for one in due if first[one.target] is one]


def stand_ins(routes: Routes, target: str, *, without: Collection[str]) -> tuple[str, ...]:
    """Who is told in place of a target that takes nothing: its reader elsewhere, else those whom this reader would call, and so on.

    Args:
        routes: who calls whom.
        target: the one that takes nothing.
        without: targets that take nothing either, or were told.

    Returns:
        Targets, all to be told; none: nobody is next.
    """
    asked: set[str] = set()
    reader = routes.reader_of(target)
    while reader is not None and reader.name not in asked:
        asked.add(reader.name)
        called = reader.escalation.to if reader.escalation else ()
        for some in (reader.targets, called):
            found = tuple(one for one in some if one != target and one not in without)
            if found:
                return found
        reader = routes.reader_of(called[0]) if called else None
    return ()


def wants(reader: Reader, alert: Alert) -> bool:
    """Whether a reader asked for such an alert: kind, severity, and a series of it that one of their globs finds and none excludes."""
    if reader.kinds and alert.kind not in reader.kinds:
        return False
    if not _loud(alert.severity, reader.severity):
        return False
    wanted = [glob for glob in reader.series if not glob.startswith("!")]
    unwanted = [glob[1:] for glob in reader.series if glob.startswith("!")]
    named = {alert.series, *alert.all_series}
    if word_of(alert.series):  # whoever follows the company waits for what is said of it
        named.add(entity_series(alert.series.rsplit(":", 1)[1]))
    return any(
        any(fnmatchcase(series, glob) for glob in wanted) and not any(fnmatchcase(series, glob) for glob in unwanted) for series in named
    )


def _when(reader: Reader, alert: Alert, *, now_ms: int, pinged: int) -> tuple[How, int, str]:
    """How and when a reader is told of an alert that they asked for."""
    quiet = is_quiet(reader, now_ms)
    if quiet and not _loud(alert.severity, reader.through_quiet):
        return "digest", _ends_ms(reader, now_ms), "quiet hours"
    if not _loud(alert.severity, reader.at_once):
        return "digest", digest_ms(reader, now_ms), f"below {reader.at_once}"
    # An update stands in the thread of what they were told: it is no further ping.
    if not alert.update and reader.pings_a_day is not None and pinged >= reader.pings_a_day:
        return "digest", digest_ms(reader, now_ms), f"over {reader.pings_a_day} a day"
    return "now", 0, ""


def _loud(severity: str, least: str) -> bool:
    return LOUDNESS[severity] >= LOUDNESS[least]


def is_quiet(reader: Reader, at_ms: int) -> bool:
    """Whether it is a quiet day or hour where the reader is; hours over midnight belong to the day on which they began."""
    local = _local(reader, at_ms)
    if DAYS[local.weekday()] in reader.quiet_days:
        return True
    if not reader.quiet:
        return False
    begins, ends = reader.quiet.split("-")
    now = f"{local:%H:%M}"
    return begins <= now < ends if begins < ends else now >= begins or now < ends


def digest_ms(reader: Reader, now_ms: int) -> int:
    """The reader's next time for a digest that is not quiet."""
    today = _local(reader, now_ms).date()
    moments = [_at_ms(reader, today + timedelta(days=n), reader.digest_at) for n in range(DIGEST_DAYS_MAX)]
    later = [moment for moment in moments if moment > now_ms]
    return next((moment for moment in later if not is_quiet(reader, moment)), later[0])


def _ends_ms(reader: Reader, now_ms: int) -> int:
    """When the quiet that now is ends: the first of the reader's midnights and ends of quiet hours that is not quiet itself."""
    today = _local(reader, now_ms).date()
    clocks = ["00:00", *([reader.quiet[6:]] if reader.quiet else [])]
    moments = sorted(_at_ms(reader, today + timedelta(days=n), clock) for n in range(DIGEST_DAYS_MAX) for clock in clocks)
    return next((moment for moment in moments if moment > now_ms and not is_quiet(reader, moment)), digest_ms(reader, now_ms))


def day_began_ms(reader: Reader, now_ms: int) -> int:
    """The midnight before, where the reader is."""
    return _at_ms(reader, _local(reader, now_ms).date(), "00:00")


def _local(reader: Reader, at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).astimezone(ZoneInfo(reader.tz))


def _at_ms(reader: Reader, day: date, clock: str) -> int:
    hour, minute = map(int, re.split(":", clock))
    return round(datetime.combine(day, time(hour, minute), ZoneInfo(reader.tz)).timestamp() * 1_000)
