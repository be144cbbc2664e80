"""Commands by which people say how good an alert or a reading was, and what they missed."""

from typing import TYPE_CHECKING

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.errors import NotFoundError, UsageError
from groundswell.exports import iso

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from groundswell.records import Corrected, Correction, VerdictWord


@click.command(epilog=example("groundswell verdict 4d9c4db3 true --note 'confirmed by phone'"))
@click.argument("alert", metavar="ID")
@click.argument("word", metavar="WORD")
@click.option("--note", default="", metavar="TEXT", help="Why; at most 2,000 characters.")
@o.who_option
@o.run_option
@o.store_option
def verdict(alert: str, word: str, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Say what an alert was: true, false, old_news, wrong_company, wrong_topic or duplicate.

    ID is an alert's, or an incident's for its newest alert. What you said of it before stays stored, and counts no more.
    """
    from typing import cast

    from groundswell.clock import SystemClock
    from groundswell.judged import words_of
    from groundswell.records import Verdict
    from groundswell.store.actions import incident_named, record_verdict, verdicts_of

    with o.open_store(store_url).write() as connection:
        named = incident_named(connection, alert, run=run)
        if named.alert is None:
            reason = (
                f"incident {named.incident}: nobody was told of it, so there is nothing to judge; `groundswell missed` says it was expected"
            )
            raise NotFoundError(reason)
        said = Verdict(
            alert=named.alert, at_ms=SystemClock().now_ms(), who=who, word=cast("VerdictWord", word.replace("-", "_")), note=note
        )
        record_verdict(connection, named.run, said)
        verdicts = verdicts_of(connection, named.run, alerts=[named.alert])
    people = len({one.who for one in verdicts})
    click.echo(f"alert {named.alert}: {said.word} by {who}; it counts as {words_of(verdicts)[named.alert]}, {people} judged it")


@click.command(epilog=example("groundswell correct 2aea429a54d0e1a3 --sentiment neutral --not-company SVB"))
@click.argument("document_id", metavar="DOCUMENT_ID")
@click.option("--sentiment", metavar="WORD", help="The right one: negative, neutral or positive.")
@click.option("--topic", metavar="TOPIC", help="The right one, such as debt_credit.")
@click.option("--not-company", metavar="NAME", help="A company that the text is not about.")
@click.option("--note", default="", metavar="TEXT", help="Why; at most 2,000 characters.")
@o.who_option
@o.store_option
def correct(
    document_id: str, sentiment: str | None, topic: str | None, not_company: str | None, note: str, who: str, store_url: str | None
) -> None:
    """Say what is wrong with the reading of a document; `groundswell labels export` hands it to the next training.

    Nothing that was counted changes: a score is what a model said. DOCUMENT_ID stands in an alert's evidence
    (`groundswell alerts --format jsonl`).
    """
    from groundswell.clock import SystemClock
    from groundswell.records import Correction
    from groundswell.store.actions import record_correction

    given: list[tuple[Corrected, str | None]] = [
        ("sentiment", sentiment), ("topic", topic), ("company", _company(not_company) if not_company else None),
    ]  # fmt: skip
    at_ms = SystemClock().now_ms()
    found = [
        Correction(document_id=document_id, at_ms=at_ms, who=who, what=what, value=value, note=note)
        for what, value in given
        if value is not None
    ]
    if not found:
        reason = f"document {document_id}: nothing is corrected; give --sentiment, --topic or --not-company"
        raise UsageError(reason)
    with o.open_store(store_url).write() as connection:
        for one in found:
            record_correction(connection, one)
    click.echo(f"document {document_id}: " + ", ".join(map(_told, found)) + f", says {who}")


def _company(name: str) -> str:
    catalogue = o.catalogue()
    found = [name] if name in catalogue.entities else list(dict.fromkeys(mention.entity_id for mention in catalogue.find(name)))
    if len(found) != 1:
        what = "no company is called so" if not found else f"that may be {', '.join(found)}"
        reason = f"--not-company {name!r}: {what}; look it up: groundswell entities list --search {name.split()[0]!r}"
        raise NotFoundError(reason)
    return found[0]


def _told(correction: "Correction") -> str:
    return f"not about {correction.value}" if correction.what == "company" else f"{correction.what} is {correction.value}"


@click.command(epilog=example("groundswell missed 'Linlan Bank' --at 'today 10:05' --note 'all over the wires'"))
@click.argument("name")
@click.option("--at", metavar="TIME", help="When it was expected, in known time: ISO 8601, today 10:05, -2h; now by default.")
@click.option("--note", default="", metavar="TEXT", help="What you know of it; at most 2,000 characters.")
@o.who_option
@o.run_option
@o.store_option
def missed(name: str, at: str | None, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Record that you expected an alert of NAME and got none, and say what stood between.

    NAME is a company, a topic or a series, as for `groundswell why-not`, whose answer is printed. A name that the catalogue lacks is
    recorded too: that is why it was missed.
    """
    from groundswell.clock import SystemClock
    from groundswell.records import Miss
    from groundswell.store.actions import record_miss
    from groundswell.store.query import run_named

    now_ms = SystemClock().now_ms()
    moment_ms = o.moment_ms(at, name="--at", now_ms=now_ms) if at else now_ms
    store = o.open_store(store_url)
    with store.read() as connection:  # making the gates again takes a while, and a writer would keep the pipeline waiting
        chosen = run_named(connection, run)
        gate, lines = _why(connection, chosen, name, moment_ms)
    with store.write() as connection:
        record_miss(connection, chosen, Miss(name=name, moment_ms=moment_ms, at_ms=now_ms, who=who, note=note, gate=gate))
    click.echo("\n".join(lines))
    click.echo(f"\nrecorded as missed by {who}: {name} at {iso(moment_ms)}; {gate}")


def _why(connection: "Connection", run: str, name: str, moment_ms: int) -> tuple[str, list[str]]:
    """What stopped an alert in a few words, and the whole answer."""
    from groundswell.cli.why import told
    from stream.shells.why_not import series_named, why_not

    try:
        series = series_named(name, o.catalogue())
        found = why_not(connection, run, series, at_ms=moment_ms, rules=o.instruments(of_run=run).rules)
    except NotFoundError as error:
        return f"not followed: {error}", [str(error)]
    if found.alerts:
        gate = f"it did tell: alert {found.alerts[-1].id}"
    elif found.held:
        last = found.held[-1].decision
        gate = f"held by the desk: {last.reason if last else 'not decided yet'}"
    else:
        stopped = [reading.stopped_by.name for reading in found.readings if reading.stopped_by is not None]
        gate = f"stopped at {', '.join(dict.fromkeys(stopped))}" if stopped else "nothing fresh spoke against it"
    return gate, list(told(found, name))
