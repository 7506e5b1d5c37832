"""The ``penstock`` program: a table of commands, each imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from penstock.cli.table import COMMANDS, GROUPS
from penstock.ground.names import near
from penstock.ground.version import __version__


class LazyGroup(click.Group):
    """A group whose commands are rows of a table; help is read from the table, so nothing is imported to print it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        command = getattr(import_module(row.module), row.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{row.module}.{row.attribute} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{near(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title in GROUPS:
            rows = [(name, row.help) for name, row in COMMANDS.items() if row.group == title]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with 'penstock quickstart'. 'penstock COMMAND --help' explains a command.",
)
@click.version_option(__version__, prog_name="penstock")
def penstock() -> None:
    """Take a machine-learning model from a notebook to a live, watched, removable endpoint."""


def main() -> None:
    """Runs the program; the exit code is the command's."""
    sys.exit(penstock(prog_name="penstock", standalone_mode=True))
