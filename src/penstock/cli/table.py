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
    "build": Row("penstock.cli.images_build", "build", "Ship", "Build the image that serves a model, with no engine."),
    "push": Row("penstock.cli.images", "push", "Ship", "Push an image to a registry."),
    "pull": Row("penstock.cli.images", "pull", "Ship", "Pull an image and keep it here."),
    "images": Row("penstock.cli.images", "images", "Look", "List, show, compare and prune images."),
    "rehearse": Row("penstock.cli.deploy_rehearse", "rehearse", "Ship", "Try a deploy on the embedded plane."),
    "plan": Row("penstock.cli.deploy", "plan", "Ship", "Show what a deploy would do, cost and need."),
    "deploy": Row("penstock.cli.deploy", "deploy", "Ship", "Build, push and serve a model."),
    "traffic": Row("penstock.cli.deploy_steer", "traffic", "Ship", "Share traffic among variants."),
    "promote": Row("penstock.cli.deploy_steer", "promote", "Ship", "Give all traffic to one variant."),
    "rollback": Row("penstock.cli.deploy_steer", "rollback", "Ship", "Go back to what served before."),
    "status": Row("penstock.cli.deploy_look", "status", "Look", "Show deployments as they stand."),
    "logs": Row("penstock.cli.deploy_look", "logs", "Look", "Show what a deployment's containers print."),
    "metrics": Row("penstock.cli.deploy_look", "metrics", "Look", "Show calls, errors and latencies."),
    "cost": Row("penstock.cli.deploy_look", "cost", "Look", "Sum what is running."),
    "history": Row("penstock.cli.deploy_look", "history", "Look", "Show what served when."),
    "invoke": Row("penstock.cli.deploy_steer", "invoke", "Use", "Send a body to a deployment."),
    "batch": Row("penstock.cli.deploy_batch", "batch", "Use", "Run files through a model as a transform job."),
    "delete": Row("penstock.cli.deploy_clean", "delete", "Clean", "Remove a deployment and prove it."),
    "expire": Row("penstock.cli.deploy_clean", "expire", "Clean", "List or delete deployments whose time is over."),
    "orphans": Row("penstock.cli.deploy_clean", "orphans", "Clean", "List or remove strays."),
    "plane": Row("penstock.cli.plane", "plane", "Start", "Run an embedded AWS on this machine."),
    "eject": Row("penstock.cli.deploy_eject", "eject_plan", "Ship", "Print the plan as other tools' code."),
    "doctor": Row("penstock.cli.deploy_help", "doctor", "Help", "Check everything that a deploy depends on."),
    "explain": Row("penstock.cli.deploy_help", "explain", "Help", "Tell what a code means."),
    "runs": Row("penstock.cli.runs", "runs_command", "Look", "List runs with their metrics and params."),
    "sagemaker": Row("penstock.cli.sagemaker", "sagemaker", "Ship", "Take the commands of mlflow sagemaker."),
    "import": Row("penstock.cli.transfer", "import_command", "Start", "Bring in what MLflow kept."),
    "export": Row("penstock.cli.transfer", "export_command", "Use", "Write a folder that stock MLflow opens."),
    "sync": Row("penstock.cli.transfer", "sync_command", "Use", "Send what waited for a server."),
    "gc": Row("penstock.cli.transfer", "gc_command", "Clean", "Remove deleted runs for good, after a look."),
    "serve": Row("penstock.cli.serve", "serve", "Use", "Serve a model over HTTP from here."),
    "config": Row("penstock.cli.config", "config", "Help", "Show every setting and where it came from."),
}
IMAGES: dict[str, Row] = {
    "ls": Row("penstock.cli.images", "ls", "Look", "List the images that are kept here."),
    "show": Row("penstock.cli.images", "show", "Look", "Draw an image's layers, with sizes and why each is there."),
    "diff": Row("penstock.cli.images", "diff", "Look", "Say which packages, files and bytes differ."),
    "outdated": Row("penstock.cli.images_build", "outdated", "Look", "Say what a rebuild would change today."),
    "prune": Row("penstock.cli.images", "prune", "Look", "Remove images, and layers that nothing uses."),
}
