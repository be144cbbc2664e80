"""The front door: what the commands are called and which file has each. A command's file is imported when it is called."""

from importlib import import_module

import click

from groundswell.cli.groups import Group

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("groundswell.cli.show", "replay the demo archive: board, alert, mail and Slack message"),
    "run": ("groundswell.cli.service", "the whole pipeline in one process, on live sources"),
    "crawl": ("groundswell.cli.service", "poll the sources and publish to Kafka"),
    "worker": ("groundswell.cli.service", "a Kafka worker: the score or the fold agent"),
    "desk": ("groundswell.cli.service", "the desk of a Kafka installation: incidents, alerts, messages"),
    "board": ("groundswell.cli.show", "the web page over a store"),
    "people": ("groundswell.cli.people", "who may use the board: accounts, roles, passwords, and what they did"),
    "tokens": ("groundswell.cli.tokens", "what programs show instead of a password, for the API"),
    "backfill": ("groundswell.cli.archive", "archives through the pipeline into a run of their own; never pings"),
    "score": ("groundswell.cli.archive", "JSON lines in, topic, sentiment and companies out"),
    "detect": ("groundswell.cli.detect", "a series of counts in, scores and alerts of the volume detector out"),
    "data": ("groundswell.cli.data", "check training data: leaks, conflicting labels, classes, lengths"),
    "train": ("groundswell.cli.train", "fine-tune an encoder by a recipe and make a bundle of it"),
    "evaluate": ("groundswell.cli.evaluate", "figures of a model on labelled texts, with intervals, beside the control model"),
    "models": ("groundswell.cli.models", "which models there are and which is in force; promote, roll back, compare two"),
    "sources": ("groundswell.cli.sources", "the sources that are read: list them, and how they do"),
    "entities": ("groundswell.cli.entities", "the company catalogue: list it, and test what it finds in a text and why"),
    "series": ("groundswell.cli.read", "windows of series, as of any moment"),
    "search": ("groundswell.cli.search", "documents by their words, companies, topics, sources and times"),
    "watch": ("groundswell.cli.watch", "what is watched: saved searches as series, companies with their exposure"),
    "alerts": ("groundswell.cli.read", "alerts sent or due to be sent"),
    "explain": ("groundswell.cli.read", "make an alert again from the store and compare every byte"),
    "why-not": ("groundswell.cli.why", "which gates stood between a name and an alert, with their numbers"),
    "inbox": ("groundswell.cli.inbox", "incidents that people were told of: what is open, who has it, what is new"),
    "ack": ("groundswell.cli.inbox", "acknowledge an incident"),
    "assign": ("groundswell.cli.inbox", "give an incident to somebody"),
    "snooze": ("groundswell.cli.inbox", "hear nothing of an incident for a while"),
    "mute": ("groundswell.cli.inbox", "hear nothing more of an incident, or of one story of it"),
    "comment": ("groundswell.cli.inbox", "say something of an incident"),
    "resolve": ("groundswell.cli.inbox", "say that an incident is over"),
    "reopen": ("groundswell.cli.inbox", "say that it is not, and end every snooze and mute"),
    "verdict": ("groundswell.cli.judge", "say what an alert was: true, false, old news, ..."),
    "correct": ("groundswell.cli.judge", "say what is wrong with the reading of a document"),
    "missed": ("groundswell.cli.judge", "say that an alert was expected, and see what stopped it"),
    "quality": ("groundswell.cli.quality", "how good a month's alerts were, by what people did and said"),
    "labels": ("groundswell.cli.quality", "what people said, as labelled texts for the next model"),
    "rehearse": ("groundswell.cli.rehearse", "what other rules would have sent over a stored run, with the documents"),
    "drops": ("groundswell.cli.drops", "records that could not be used: list them, show one, put them back"),
    "routes": ("groundswell.cli.routes", "who is told of what and where; stop a target, let it go on"),
    "outbox": ("groundswell.cli.outbox", "messages: to whom, in which state and why; put a dead letter back"),
    "runs": ("groundswell.cli.runs", "the runs of a store: list, show, verify, attach one as live's history, drop"),
    "months": ("groundswell.cli.months", "the live run's months: list them, make their partitions, drop old ones"),
    "versions": ("groundswell.cli.versions", "what a run is made with, since when: list, and put rules in force"),
    "rescore": ("groundswell.cli.versions", "what the live run has counted, read by another model into a run of its own"),
    "forget": ("groundswell.cli.forget", "remove the text of a document, a source, an author, or what is kept too long"),
    "dashboards": ("groundswell.cli.dashboards", "Grafana's dashboards: write their files, check them, publish them"),
    "config": ("groundswell.cli.read", "every setting, and where its value came from"),
    "doctor": ("groundswell.cli.service", "check every part and say what to do"),
}


class _Lazy(Group):
    """A group that lists commands from the table above and imports a command's file only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name.replace("-", "_"))
        if not isinstance(command, click.Command):
            message = f"{COMMANDS[cmd_name][0]}.{cmd_name} is no command"
            raise TypeError(message)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="groundswell", message="groundswell %(version)s")
def root() -> None:
    """Follow opinion in financial news and comments, per topic and company, and tell when it turns.

    First run: groundswell demo. Every setting: groundswell config. Something is wrong: groundswell doctor.
    """
