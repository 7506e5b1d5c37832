"""Names for runs that nobody named: two words and a number, from water and the works that carry it."""

from __future__ import annotations

import random

_HOW = """
amber bold brisk calm clear cool deep eager early fair fleet fresh gentle glad grand green hidden keen kind late
light lively loud lucid mellow merry mild misty nimble noble open patient plain proud quick quiet rapid ready rising
salty serene silent silver slow smooth steady still subtle sunny swift tidal tranquil upper vast vivid warm wide
wild winding
"""
_WHAT = """
bay beck bend bridge brook canal cascade channel cove creek current dam delta eddy estuary falls ferry fjord flow
flume ford fountain gate glacier gorge harbor inlet island jetty lagoon lake leat lock marsh meander mill mouth pond
pool quay race rapids reef river sluice spillway spring stream strait surge tide torrent turbine valley wave weir
well wharf
"""


def new_run_name() -> str:
    """Such as 'quiet-weir-318'."""
    source = random.SystemRandom()
    return f"{source.choice(_HOW.split())}-{source.choice(_WHAT.split())}-{source.randrange(1000)}"
