"""When two servers' answers are the same: what of MLflow's has to be in ours, and what is known to differ."""

from __future__ import annotations

from typing import Any

from wire.conversation import Answer, Step

# Fields that only one of the two writes; docs/differences-from-mlflow.md has the reasons.
ONLY_THEIRS = {"workspace", "features_enabled", "detail"}
VARYING = {"start_time", "artifact_uri", "next_page_token", "metrics", "experiment_id", "message", "run_name", "value"}
# (path, what in the fields) -> the statuses (MLflow's, ours) that differ on purpose: docs/differences-from-mlflow.md
DIFFERENT: dict[tuple[str, str], tuple[int, int]] = {
    ("experiments/create", "'name': 7"): (400, 200),
    ("experiments/search", "SOME"): (200, 400),
    ("experiments/update", "'{other}', 'new_name': 'x'"): (500, 400),
    ("runs/create", "'tags': 't'"): (200, 400),
    ("runs/create", "'tags': [{'value': '1'}]"): (200, 400),
    ("runs/update", "DONE"): (200, 400),
    ("runs/log-metric", "True"): (200, 400),
    ("runs/log-batch", "'value': 'x', 'timestamp'"): (200, 400),
    ("runs/search", "WRONG"): (200, 400),
    ("runs/log-inputs", "{'dataset': {'digest'"): (200, 400),
    ("runs/log-inputs", "[{'value': 'x'}]"): (200, 400),
    ("metrics/get-history", "'00000000000000000000000000000000'"): (200, 404),
    ("logged-models/{model}", "'status': 'READY'"): (200, 400),
    ("logged-models/{model}/params", "'params'"): (400, 200),
    ("logged-models/search", "zz"): (500, 400),
    ("model-versions/transition-stage", "'stage': 'None'"): (500, 400),
}
# The error code differs, the status does not.
RECODED = {
    ("experiments/update", "'new_name': 'other'"),
    ("experiments/create", "s3://b/../x"),
    ("runs/create", "'raw': '{'"),
    ("runs/create", "'raw': '[]'"),
    ("/api/2.0/mlflow-artifacts/artifacts/{exp}/{run}/artifacts/a", "{}"),
    ("/get-artifact", "{'run_id': '{run}'}"),
}


def difference(step: Step, theirs: Answer, ours: Answer) -> str | None:
    """What is not as it should be, or None."""
    allowed = _listed(step, DIFFERENT)
    if allowed is not None:
        return None if DIFFERENT[allowed] == (theirs.status, ours.status) else f"{theirs.status}, {ours.status}"
    if theirs.status != ours.status:
        return f"status {theirs.status}, ours {ours.status}: {theirs.body} {ours.body}"
    if theirs.status >= 400:
        if _listed(step, RECODED) is not None:
            return None
        codes = [body.get("error_code") if isinstance(body, dict) else None for body in (theirs.body, ours.body)]
        return None if codes[0] == codes[1] else f"codes {codes}: {theirs.body} {ours.body}"
    return _lacks(theirs.body, ours.body, "")


def _listed(step: Step, table: Any) -> tuple[str, str] | None:
    text = str(step.fields)
    return next((key for key in table if step.path == key[0] and key[1] in text), None)


def _lacks(theirs: Any, ours: Any, place: str) -> str | None:
    """Where ours lacks or changes something of theirs; lists of keyed things may stand in any order."""
    if place.rpartition(".")[2] in VARYING or theirs == "":
        return None
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return f"{place}: {theirs!r}, ours {ours!r}"
        for key, value in theirs.items():
            if key in ONLY_THEIRS:
                continue
            if key not in ours:
                return f"{place}.{key} is absent"
            problem = _lacks(value, ours[key], f"{place}.{key}")
            if problem:
                return problem
        return None
    if isinstance(theirs, list):
        if not isinstance(ours, list) or len(theirs) > len(ours):
            return f"{place}: {theirs!r}, ours {ours!r}"
        pairs = zip(sorted(theirs, key=_key), sorted(ours, key=_key), strict=False)
        return next((found for one, two in pairs if (found := _lacks(one, two, place))), None)
    return None if theirs == ours else f"{place}: {theirs!r}, ours {ours!r}"


def _key(item: Any) -> str:
    return str(item.get("key", "")) if isinstance(item, dict) else ""
