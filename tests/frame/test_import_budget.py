"""Import is a promise of speed, kept by counting modules: counts do not waver on a busy machine."""

from __future__ import annotations

import json
import subprocess
import sys

import penstock
from penstock.doors import DOORS

COUNT = (
    "import sys; before = set(sys.modules); {work}; import json; print(json.dumps(sorted(set(sys.modules) - before)))"
)


def imported(work: str) -> list[str]:
    """The modules that ``work`` imports in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", COUNT.format(work=work)], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout.splitlines()[-1])
    return names


def test_import_penstock_brings_the_front_door_only() -> None:
    names = imported("import penstock")
    ours = {name for name in names if name.startswith("penstock")}
    assert ours == {"penstock", "penstock.doors", "penstock.ground", "penstock.ground.version"}
    foreign = {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"penstock"}
    assert not foreign
    assert len(names) <= 50, names


def test_help_brings_click_and_no_room() -> None:
    names = imported(
        "from click.testing import CliRunner; before = set(sys.modules); "
        "from penstock.cli.main import penstock; CliRunner().invoke(penstock, ['--help'])"
    )
    ours = {name for name in names if name.startswith("penstock.")}
    assert ours <= {
        "penstock.cli", "penstock.cli.lazy", "penstock.cli.main", "penstock.cli.table", "penstock.doors",
        "penstock.ground", "penstock.ground.errors", "penstock.ground.names", "penstock.ground.version",
    }, ours  # fmt: skip
    assert not {"rich", "boto3", "numpy", "httpx", "yaml"} & set(names)


def test_every_door_opens() -> None:
    missing = []
    for name in DOORS:
        try:
            getattr(penstock, name)
        except (ImportError, AttributeError) as error:
            missing.append(f"{name}: {error}")
    assert not missing, "\n".join(missing)
