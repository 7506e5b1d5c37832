"""The table of public names and the room that defines each: the lazy front door reads it and nothing else."""

from __future__ import annotations

_TRACKING = "penstock.api.tracking"
_MODELS = "penstock.api.models"

DOORS: dict[str, str] = {
    "PenstockError": "penstock.ground.errors",
}
