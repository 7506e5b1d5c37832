"""Groups of commands that are imported only when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from penstock.cli.table import GROUPS, Row
from penstock.ground.names import near


class LazyGroup(click.Group):
    """A group whose commands are rows of a table; help is read from the table, so nothing is imported to print it."""

    def __init__(self, name: str | None = None, *, rows: dict[str, Row], **settings: Any) -> None:
        super().__init__(name, **settings)
        self._rows = rows

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._rows)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        row = self._rows.get(cmd_name)
        if row is None:
            return None
        command = getattr(import_module(row.module), row.attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{row.module}.{row.attribute} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._rows and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}.{near(args[0], list(self._rows))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        titles = [title for title in GROUPS if any(row.group == title for row in self._rows.values())]
        for title in titles:
            with formatter.section(title if len(titles) > 1 else "Commands"):
                formatter.write_dl([(name, row.help) for name, row in self._rows.items() if row.group == title])
