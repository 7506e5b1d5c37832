"""Every command of the program: where it is defined, under which heading the help shows it, and its one sentence."""

from __future__ import annotations

from typing import NamedTuple

GROUPS = ("Start", "Look", "Ship", "Use", "Clean", "Help")


class Row(NamedTuple):
    """A command: the module and attribute that define it, its heading and its help."""

    module: str
    attribute: str
    group: str
    help: str


COMMANDS: dict[str, Row] = {
    "quickstart": Row("penstock.cli.quickstart", "quickstart", "Start", "Run the whole story, notebook to endpoint."),
    "server": Row("penstock.cli.server", "server", "Look", "Run the tracking server and model registry."),
    "build": Row("penstock.cli.images", "build", "Ship", "Build the image that serves a model, with no engine."),
    "push": Row("penstock.cli.images", "push", "Ship", "Push an image to a registry."),
    "pull": Row("penstock.cli.images", "pull", "Ship", "Pull an image and keep it here."),
    "images": Row("penstock.cli.images", "images", "Look", "List, show, compare and prune images."),
    "config": Row("penstock.cli.config", "config", "Help", "Show every setting and where it came from."),
}
