"""The ``penstock`` program: a table of commands, each imported only when it is called."""

from __future__ import annotations

import sys

import click

from penstock.cli.lazy import LazyGroup
from penstock.cli.table import COMMANDS
from penstock.ground.version import __version__


@click.group(
    cls=LazyGroup,
    rows=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with 'penstock quickstart'. 'penstock COMMAND --help' explains a command.",
)
@click.version_option(__version__, prog_name="penstock")
def penstock() -> None:
    """Take a machine-learning model from a notebook to a live, watched, removable endpoint."""


def main() -> None:
    """Runs the program; the exit code is the command's."""
    sys.exit(penstock(prog_name="penstock", standalone_mode=True))
