"""``penstock config``: the settings in force."""

from __future__ import annotations

from rich.table import Table

from penstock.api.config import ShownSetting, config_values
from penstock.cli.command import command
from penstock.cli.terminal import Terminal


@command("config")
def config(terminal: Terminal) -> None:
    """Show every setting, its value and where it came from."""
    terminal.emit(config_values(), text=_table)


def _table(settings: list[ShownSetting]) -> Table:
    table = Table("setting", "value", "from", "set it by", box=None, header_style="bold")
    for setting in settings:
        table.add_row(setting.name, setting.value or "[dim]not set[/]", setting.origin, ", ".join(setting.environment))
    return table
