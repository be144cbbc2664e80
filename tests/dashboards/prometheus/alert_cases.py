"""For every alert of dashboards/prometheus/rules.py: what must fire it, and what must not. Time begins at 0."""

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Case:
    """Series over time, and what is to be said at the end of it.

    Args:
        alert: its name without "Groundswell".
        title: what the case is.
        series: {series: values, in the notation of `promtool test rules`}.
        description: what it says where it must fire; None: it must not fire.
        labels: of the alert, besides its name and severity.
        at: when one looks.
        step: from one value to the next, and from one evaluation to the next.
    """

    alert: str
    title: str
    series: dict[str, str]
    description: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    at: str = "30m"
    step: str = "1m"


UP: Final = 'up{job="groundswell", instance="desk1:9464", process="score", run="live"}'
CLOSED: Final = 'groundswell_closed_tick_timestamp_seconds{instance="a", process="fold", run="live"}'
CLOSED_TOO: Final = 'groundswell_closed_tick_timestamp_seconds{instance="b", process="fold", run="live"}'
DECIDED: Final = 'groundswell_decided_tick_timestamp_seconds{instance="c", process="desk", run="live"}'
DECIDED_BY_FOLD: Final = 'groundswell_decided_tick_timestamp_seconds{instance="a", process="fold", run="live"}'
CANARY: Final = "groundswell_canary_timestamp_seconds"
CANARY_EVERY: Final = "groundswell_canary_interval_seconds"
TAKEN: Final = "groundswell_batch_records_sum"
ARCHIVE: Final = 'groundswell_closed_tick_timestamp_seconds{run="archive"}'
IN_TIME: Final = "0+60x60"  # as the clock goes


def condition(kind: str) -> str:
    return f'groundswell_conditions{{kind="{kind}"}}'


def outbox(state: str) -> str:
    return f'groundswell_outbox_messages{{state="{state}"}}'


def deliveries(result: str) -> str:
    return f'groundswell_deliveries_total{{result="{result}"}}'


def dropped(reason: str) -> str:
    return f'groundswell_records_dropped_total{{reason="{reason}"}}'


def sources(state: str) -> str:
    return f'groundswell_sources{{job="groundswell", state="{state}"}}'


def confidence(sum_or_count: str) -> str:
    return f'groundswell_score_confidence_ratio_{sum_or_count}{{language="en"}}'


def lag(stage: str, partition: int = 0) -> str:
    return f'groundswell_partition_lag_messages{{stage="{stage}", partition="{partition}"}}'


def loads(result: str) -> str:
    return f'groundswell_model_loads_total{{result="{result}"}}'


def look(le: str) -> str:
    return f'groundswell_look_duration_seconds_bucket{{le="{le}"}}'


CASES: Final = (
    Case(
        "ProcessDown",
        "a worker has been gone for three minutes",
        {UP: "1x26 0x10"},
        "score at desk1:9464 shows no metrics: it has ended, or it hangs.",
        {"job": "groundswell", "instance": "desk1:9464", "process": "score", "run": "live"},
    ),
    Case("ProcessDown", "a worker is back after a minute", {UP: "1x26 0 1x10"}),
    Case("ProcessDown", "another job is down", {'up{job="node", instance="x"}': "0x60"}),
    Case(
        "NothingScraped",
        "only a backfill's workers are there",
        {ARCHIVE: "5x60"},
        "No process of the live run is known to Prometheus: none runs, or its files in DATA/targets are not read.",
    ),
    Case("NothingScraped", "a process that has not closed anything yet", {CLOSED: "0x60"}),
    Case(
        "WorkersGivenUp",
        "a crash loop",
        {condition("crash_loop"): "0x28 1x10", condition("final"): "0x60"},
        "The condition crash_loop holds: workers crash again and again, or say that starting them again does not help.",
        {"kind": "crash_loop"},
    ),
    Case("WorkersGivenUp", "another condition", {condition("spool"): "1x60", condition("final"): "0x60"}),
    Case(
        "Behind",
        "one of two fold workers has stood still for ten minutes",
        {CLOSED: IN_TIME, CLOSED_TOO: "0+60x20 1200x40"},
        "Everything is known only until 10m 0s ago; no alert can come from later documents.",
    ),
    Case("Behind", "two minutes behind is usual under load", {CLOSED: "0x1 0+60x60"}),
    Case("Behind", "a fold worker without a partition, and one that has closed nothing yet", {CLOSED: IN_TIME, CLOSED_TOO: "0x60"}),
    Case("Behind", "a backfill's ticks are years old", {ARCHIVE: "5x60", CLOSED: IN_TIME}),
    Case("Behind", "a short halt", {CLOSED: "0+60x26 1560 1560 1740+60x30"}),
    Case(
        "DeskStopped",
        "the desk has decided nothing for ten minutes",
        {CLOSED: IN_TIME, DECIDED: "0+60x20 1200x40", DECIDED_BY_FOLD: "0x60"},
        "Nothing was decided of the last 10m 0s that are folded; no alert can come.",
    ),
    Case(
        "DeskStopped",
        "there is no desk, only fold workers",
        {CLOSED: IN_TIME, DECIDED_BY_FOLD: "0x60"},
        "Nothing was decided of the last 30m 0s that are folded; no alert can come.",
    ),
    Case("DeskStopped", "the desk follows the slower of two fold workers", {CLOSED: IN_TIME, CLOSED_TOO: "60x60", DECIDED: "60x60"}),
    Case("DeskStopped", "all has stopped together: that is behind", {CLOSED: "60x60", DECIDED: "60x60"}),
    Case("DeskStopped", "nothing has begun", {CLOSED: "0x60", DECIDED: "0x60"}),
    Case(
        "BalanceOff",
        "three documents were counted twice",
        {'groundswell_balance_documents{term="balance"}': "-3x60", 'groundswell_balance_documents{term="fetched"}': "500x60"},
        "The balance is off by 3 documents.",
    ),
    Case("BalanceOff", "in balance, with documents in flight", {'groundswell_balance_documents{term="in_flight"}': "7x60"}),
    Case("BalanceOff", "one count between two commits", {'groundswell_balance_documents{term="balance"}': "0x27 1x1 0x30"}),
    Case(
        "CanaryOverdue",
        "the last of every ten minutes came twenty minutes ago",
        {CANARY: "600x60", CANARY_EVERY: "600x60"},
        "The last canary that reached the desk was to be sent 20m 0s ago.",
    ),
    Case("CanaryOverdue", "the last one is within its time", {CANARY: "600x60", CANARY_EVERY: "900x60"}),
    Case("CanaryOverdue", "none is to be sent", {CANARY: "600x60", CANARY_EVERY: "0x60"}),
    Case("CanaryOverdue", "none has come yet: the condition of the store says so in time", {CANARY: "0x60", CANARY_EVERY: "600x60"}),
    Case(
        "MessageFailed",
        "a relay has refused a mail for good",
        {deliveries("failed"): "0x20 1x40"},
        "A mail or a Slack message of an alert was refused and is not sent again by itself.",
    ),
    Case(
        "MessageFailed",
        "messages are sent, and some wait for their next attempt",
        {deliveries("failed"): "1x60", deliveries("waits"): "0+1x60"},
    ),
    Case(
        "MessagesWait",
        "two messages wait, and every attempt fails",
        {outbox("due"): "0x5 2x90", outbox("attempted"): "0x90", deliveries("waits"): "0x5 0+0.1x90"},
        "For a quarter of an hour attempts have failed and messages have waited, now 2.",
        at="80m",
    ),
    Case("MessagesWait", "three wait for their hour and were never tried", {outbox("due"): "3x90", deliveries("waits"): "0x90"}, at="80m"),
    Case(
        "MessagesWait",
        "attempts fail now and then, but each goes out in the end",
        {outbox("due"): "0x90", outbox("sent"): "9000x90", deliveries("waits"): "0+0.1x90"},
        at="80m",
    ),
    Case(
        "NothingPolled",
        "the last answer is three hours old",
        {"groundswell_poll_timestamp_seconds": "60x200"},
        "No source has answered for two hours: what is published now is not seen.",
        at="181m",
    ),
    Case(
        "NothingPolled",
        "the crawler began again and has polled nothing since; the store remembers",
        {"groundswell_poll_timestamp_seconds": "0x60", condition("crawler"): "1x60"},
        "No source has answered for two hours: what is published now is not seen.",
    ),
    Case("NothingPolled", "the last answer is an hour old", {"groundswell_poll_timestamp_seconds": "7200x200"}, at="180m"),
    Case("NothingPolled", "nothing was polled yet", {"groundswell_poll_timestamp_seconds": "0x200"}, at="180m"),
    Case(
        "SpoolGrows",
        "records have waited for ten minutes",
        {'groundswell_spooled_records{instance="crawl1"}': "0x10 5+5x40"},
        "At crawl1 records have been waiting on disk for ten minutes, now 100.",
        {"instance": "crawl1"},
    ),
    Case(
        "SpoolGrows",
        "a crawler has just begun, with a spool of yesterday",
        {'groundswell_spooled_records{instance="crawl1"}': "_x28 90x10"},
    ),
    Case("SpoolGrows", "the broker was away for five minutes", {'groundswell_spooled_records{instance="crawl1"}': "0x22 90x5 0x10"}),
    Case(
        "LagGrows",
        "messages of fold become more and more",
        {lag("fold"): "0+100x80", lag("fold", 1): "0x80"},
        "6000 messages wait for stage fold, and it becomes more.",
        {"stage": "fold"},
        at="60m",
    ),
    Case("LagGrows", "a large backlog is worked off", {lag("fold"): "90000-100x80"}, at="60m"),
    Case("LagGrows", "a few messages are always under way", {lag("intake"): "0+10x80"}, at="60m"),
    Case(
        "FeedDropped",
        "two feeds have changed their form",
        {condition("drops"): "0x10 2x40"},
        "Of 2 sources a fifth or more of what came within an hour could not be used.",
    ),
    Case("FeedDropped", "none", {condition("drops"): "0x60", condition("behind"): "1x60"}),
    Case(
        "DeadLetters",
        "half of what comes is no record",
        {dropped("raw record"): "0+1x120", dropped("language"): "0+5x120", TAKEN: "0+2x120"},
        "60 records were dropped within an hour, and that is more than a tenth of all.",
        at="90m",
    ),
    Case("DeadLetters", "texts in other languages", {dropped("language"): "0+50x120", TAKEN: "0+60x120"}, at="90m"),
    Case("DeadLetters", "one in a hundred", {dropped("empty"): "0+1x120", TAKEN: "0+100x120"}, at="90m"),
    Case("DeadLetters", "ten of a quiet hour's twelve", {dropped("raw record"): "0x60 0+1x10 10x60", TAKEN: "0x60 0+1x12 12x60"}, at="90m"),
    Case(
        "SourcesBlind",
        "four of ten have been silent for too long, and five have no rhythm yet",
        {sources("live"): "5x90", sources("late"): "1x90", sources("blind"): "4x90", sources("forming"): "5x90"},
        "40% of the sources with a rhythm are silent for too long: their silence is not calm.",
        {"job": "groundswell"},
        at="60m",
    ),
    Case("SourcesBlind", "one of ten", {sources("live"): "9x90", sources("late"): "0x90", sources("blind"): "1x90"}, at="60m"),
    Case(
        "SourcesBlind", "no source has a rhythm yet", {sources("live"): "0x90", sources("late"): "0x90", sources("blind"): "0x90"}, at="60m"
    ),
    Case(
        "ModelLoadFailed",
        "a promoted bundle is broken",
        {loads("failed"): "0x20 1x40"},
        "A process could not load a model that was promoted; the one before goes on.",
    ),
    Case("ModelLoadFailed", "one was loaded", {loads("loaded"): "0x20 1x40", loads("failed"): "0x60"}),
    Case(
        "ModelDrift",
        "sure of 0.9 for nine days, of 0.6 for one",
        {confidence("sum"): "0+54x432 23364+36x60", confidence("count"): "0+60x500"},
        "In en the mean confidence of a day differs by 30% from that of the week before.",
        {"language": "en"},
        at="240h",
        step="30m",
    ),
    Case(
        "ModelDrift",
        "as sure as ever",
        {confidence("sum"): "0+54x500", confidence("count"): "0+60x500"},
        at="240h",
        step="30m",
    ),
    Case(
        "ModelDrift",
        "a day of a few documents proves nothing",
        {confidence("sum"): "0+5.4x432 2336.4+3.6x60", confidence("count"): "0+6x500"},
        at="240h",
        step="30m",
    ),
    Case(
        "StoreSlow",
        "looks take ten seconds",
        {look("5.0"): "0x60", look("10.0"): "0+2x60", look("+Inf"): "0+2x60"},
        "Of the lookout's looks at the store one in ten takes 9.5s or longer.",
    ),
    Case("StoreSlow", "one look in twenty is slow", {look("0.1"): "0+19x60", look("10.0"): "0+20x60", look("+Inf"): "0+20x60"}),
    Case("StoreSlow", "nobody looks", {look("0.1"): "0x60", look("+Inf"): "0x60"}),
    Case(
        "ClockWrong",
        "the broker is two minutes ahead",
        {"groundswell_known_timestamp_seconds": "120+60x60"},
        "The log stamps records 2m 0s ahead of Prometheus.",
    ),
    Case("ClockWrong", "the log is behind, as always", {"groundswell_known_timestamp_seconds": "0x1 0+60x60"}),
)
