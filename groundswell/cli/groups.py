"""What every group of commands does: says each of its commands in a whole sentence, and the nearest name of one that it lacks."""

from difflib import get_close_matches

import click


def example(*lines: str) -> str:
    """What stands at the end of a command's help, each line as it is; a test looks whether it can be typed.

    >>> print(example("groundswell doctor").splitlines()[1:])
    ['Example:', '  groundswell doctor']
    """
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


class Group(click.Group):
    """A group whose list of commands cuts no sentence short."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument; one that there is not is refused with the nearest."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            near = get_close_matches(args[0], self.list_commands(ctx), n=3, cutoff=0.6)
            hint = f"Nearest: {', '.join(near)}." if near else f"'{ctx.command_path} --help' lists them."
            ctx.fail(f"No such command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each command with the first sentence of its help, in the order of their names."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._said(ctx, name)) for name in self.list_commands(ctx)])

    def _said(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        said = (command.help if command else None) or ""
        return said.split("\n\n", 1)[0].replace("\n", " ")
