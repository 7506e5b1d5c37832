#!/usr/bin/env python3
"""Writes docs/reference.md from the code: commands, settings, errors. A test checks that the page is the code's."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from penstock.cli.main import penstock
from penstock.cli.table import COMMANDS, GROUPS
from penstock.ground import errors
from penstock.ground.settings import SETTINGS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
SHARED = {"--output", "--json", "--quiet", "--debug", "--help"}


def page() -> str:
    """The whole page."""
    return "\n".join([*_head(), *_commands(), *_settings(), *_errors()]) + "\n"


def _head() -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "Written by `scripts/reference.py` from the code; a test keeps it true."
    yield ""
    yield "Every command takes `--output text|json` (`--json` for short), `-q/--quiet` and `--debug`. Results go to"
    yield "stdout, everything else to stderr; with JSON, stdout is exactly one document, errors included."
    yield ""


def _commands() -> Iterator[str]:
    yield "## Commands"
    context = click.Context(penstock, info_name="penstock")
    for group in GROUPS:
        names = [name for name, row in COMMANDS.items() if row.group == group]
        if not names:
            continue
        yield f"\n### {group}"
        for name in names:
            command = penstock.get_command(context, name)
            assert command is not None
            yield from _command(command, click.Context(command, info_name=name, parent=context))


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n#### `{context.command_path} {usage}`\n"
    yield inspect.cleandoc(command.help or "").replace("\b\n", "")
    rows = [parameter.get_help_record(context) for parameter in command.params if isinstance(parameter, click.Option)]
    options = [row for row in rows if row and not SHARED.intersection(row[0].replace(",", " ").split())]
    if options:
        yield "\n| option | meaning |\n|---|---|"
        yield from (f"| `{_cell(flags)}` | {_cell(meaning)} |" for flags, meaning in options)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _command(inner, click.Context(inner, info_name=name, parent=context))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _settings() -> Iterator[str]:
    yield "\n## Settings\n"
    yield "A flag beats the environment, the environment beats the nearest `penstock.toml` (or `[tool.penstock]` in"
    yield "`pyproject.toml`), and that beats the default. `penstock config` shows each value and where it came from.\n"
    yield "| setting | environment | expected | meaning |\n|---|---|---|---|"
    for each in SETTINGS:
        names = ", ".join(f"`{name}`" for name in each.environment)
        yield f"| `{each.name}` | {names} | {_cell(each.expected)} | {_cell(each.help)} |"


def _errors() -> Iterator[str]:
    yield "\n## Errors and exit codes\n"
    yield "0 done, 2 wrong usage, 130 interrupted; otherwise the error's own.\n"
    yield "| code | error | exit | HTTP | again? | what it says |\n|---|---|---|---|---|---|"
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.PenstockError)]
    for each in sorted(found, key=lambda each: each.code):
        again = "yes" if each.retryable else ""
        said = (each.__doc__ or "").strip().splitlines()[0]
        yield f"| `{each.code}` | {each.__name__} | {each.exit_code} | {each.http_status} | {again} | {said} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
