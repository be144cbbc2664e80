"""The volume detector over a file: detect."""

import sys
from pathlib import Path
from typing import IO

import click

from groundswell.cli.groups import example
from groundswell.errors import UsageError


@click.command(epilog=example("groundswell detect counts.csv --profile nab -o scored.csv"))
@click.argument("file", type=click.File("r", encoding="utf-8-sig"), metavar="FILE.csv")
@click.option(
    "-o", "--output", default="-", type=click.File("w", encoding="utf-8"), metavar="OUT", help="Where to write.  [default: the terminal]"
)
@click.option("--profile", default="nab", show_default=True, metavar="NAME", help="Settings of the rules file: its tables [volume.NAME].")
@click.option("--rules", type=click.Path(path_type=Path), metavar="FILE", help="Another rules file than the shipped one.")
@click.option("--step", type=click.IntRange(1, 86_400), metavar="SECONDS", help="Distance of rows.  [default: the shortest of the first]")
def detect(file: IO[str], output: IO[str], profile: str, rules: Path | None, step: int | None) -> None:
    """Judge a series of counts: timestamp,value in, timestamp,value,score,alert out, row by row.

    Only the volume detector, without documents. A score depends on the rows before it alone. Missing rows are gaps, not zeros.
    A line that cannot be used is reported on standard error with its number and left out. FILE.csv may be - for standard input.
    """
    from alerts.rules import load_rules
    from alerts.volume_file import detect_lines

    profiles = load_rules(rules).volume
    if profile not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        reason = f"--profile {profile}: {rules or 'alerts/rules.toml'} has no table [volume.{profile}]; it has: {known}"
        raise UsageError(reason)
    for line in detect_lines(
        file,
        profiles[profile],
        name=getattr(file, "name", "standard input"),
        step_s=step,
        report=lambda reason: click.echo(f"bad line: {reason}", err=True),
    ):
        output.write(line)
        if output is sys.stdout:
            output.flush()
