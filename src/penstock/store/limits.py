"""What names and values may look like: MLflow's limits, with the message stems its users match on.

``path`` in these functions is where the value stands in the request, such as ``metrics[3].name``.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from penstock.ground.entities import DatasetInput, Metric, Param, Tag
from penstock.ground.errors import InvalidInput

MAX_METRICS = 1000
MAX_PARAMS = 100
MAX_TAGS = 100
MAX_ITEMS = 1000
MAX_DATASETS = 1000
MAX_KEY_CHARS = 250
# MLflow cuts params at 6000 and run tags at 8000 characters. Here they are kept whole, up to this limit.
MAX_VALUE_CHARS = 65_536
MAX_EXPERIMENT_TAG_CHARS = 20_000
MAX_REGISTRY_TAG_CHARS = 100_000
MAX_EXPERIMENT_NAME_CHARS = 500
MAX_LOCATION_CHARS = 2048
MAX_ALIAS_CHARS = 255
MAX_MODEL_NAME_CHARS = 256
MAX_DESCRIPTION_CHARS = 100_000
MAX_DATASET_NAME_CHARS = 500
MAX_DIGEST_CHARS = 36
MAX_ID_CHARS = 256
INT64 = 1 << 63

_KEY = re.compile(r"[/\w.\- :]*")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")
_ALIAS = re.compile(r"[A-Za-z0-9_\-]+")
_VERSION_LIKE = re.compile(r"[vV]\d+")
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) "
    "and slashes (/)."
)


def missing_value(path: str) -> InvalidInput:
    """The error for a required value that is absent."""
    return InvalidInput(f"Missing value for required parameter '{path}'.", fix="Send it.")


def invalid_value(path: str, value: object, reason: str) -> InvalidInput:
    """The error for a value that is there and wrong."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return InvalidInput(f"Invalid value {text[:1000]} for parameter '{path}' supplied: {reason}")


def check_length(path: str, value: str, limit: int) -> None:
    """Raises InvalidInput when ``value`` has more than ``limit`` characters, or a zero byte, which no column takes."""
    if len(value) > limit:
        raise InvalidInput(f"'{path}' exceeds the maximum length of {limit} characters.", fix="Shorten it.")
    if "\x00" in value:
        raise invalid_value(path, value[:100], "It holds a zero byte. Remove it.")


def check_key(path: str, key: str) -> None:
    """Raises InvalidInput unless ``key`` can name a metric, a param or a tag."""
    problem = _key_problem(key)
    if problem:
        raise invalid_value(path, key, problem)
    if len(key) > MAX_KEY_CHARS:
        check_length(path, key, MAX_KEY_CHARS)


@lru_cache(maxsize=4096)
def _key_problem(key: str) -> str | None:
    if not _KEY.fullmatch(key) or "\n" in key:
        return _CHARACTERS
    normal = posixpath.normpath(key)
    if normal != key or normal == "." or normal.startswith(("..", "/")):
        return (
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
            f"This name would resolve to {normal!r}"
        )
    return None


def check_metric(metric: Metric, *, path: str = "") -> None:
    """Raises InvalidInput unless the point can be stored."""
    prefix = f"{path}." if path else ""
    check_key(f"{prefix}name", metric.key)
    if not 0 <= metric.timestamp_ms < INT64:
        reason = f"metric '{metric.key}'. Timestamp must be a nonnegative long (64-bit integer)"
        raise invalid_value(f"{prefix}timestamp", metric.timestamp_ms, reason)
    if not -INT64 <= metric.step < INT64:
        raise invalid_value(f"{prefix}step", metric.step, "Step must be a valid long (64-bit integer).")
    check_length(f"{prefix}dataset_name", metric.dataset_name or "", MAX_DATASET_NAME_CHARS)
    check_length(f"{prefix}dataset_digest", metric.dataset_digest or "", MAX_DIGEST_CHARS)


def check_pair(pair: Param | Tag, *, path: str = "", limit: int = MAX_VALUE_CHARS) -> None:
    """Raises InvalidInput unless the param or tag can be stored."""
    prefix = f"{path}." if path else ""
    check_key(f"{prefix}key", pair.key)
    check_length(f"{prefix}value", pair.value, limit)


def check_batch(metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[Tag]) -> None:
    """Raises InvalidInput unless the whole batch can be stored and is within the limits of one batch."""
    _check_count("metrics", len(metrics), MAX_METRICS)
    _check_count("params", len(params), MAX_PARAMS)
    _check_count("tags", len(tags), MAX_TAGS)
    _check_count("metrics, params, and tags", len(metrics) + len(params) + len(tags), MAX_ITEMS)
    if not _are_plain(metrics):
        for index, metric in enumerate(metrics):
            check_metric(metric, path=f"metrics[{index}]")
    for index, param in enumerate(params):
        check_pair(param, path=f"params[{index}]")
    for index, tag in enumerate(tags):
        check_pair(tag, path=f"tags[{index}]")
    if len(params) > 1:
        _check_unique(params)


def _are_plain(metrics: Sequence[Metric]) -> bool:
    """Whether nothing about the points needs a closer look; a batch may hold a thousand, so none is looked at alone."""
    if not metrics:
        return True
    times, steps = [metric.timestamp_ms for metric in metrics], [metric.step for metric in metrics]
    return (
        not any(metric.dataset_name or metric.dataset_digest for metric in metrics)
        and min(times) >= 0
        and max(times) < INT64
        and min(steps) >= -INT64
        and max(steps) < INT64
        and all(len(key) <= MAX_KEY_CHARS and not _key_problem(key) for key in {metric.key for metric in metrics})
    )


def _check_count(what: str, count: int, limit: int) -> None:
    if count > limit:
        raise InvalidInput(
            f"A batch logging request can contain at most {limit} {what}. Got {count} {what}.",
            fix="Please split up " + what + " across multiple requests and try again.",
        )


def _check_unique(params: Sequence[Param]) -> None:
    values: dict[str, str] = {}
    twice = [param.key for param in params if values.setdefault(param.key, param.value) is not param.value]
    if twice or len(values) < len(params):
        raise InvalidInput(
            f"Duplicate parameter keys have been submitted: {twice}.",
            fix="Please ensure the request contains only one param value per param key.",
        )


def check_run_id(run_id: str) -> None:
    """Raises InvalidInput unless ``run_id`` can name a run."""
    if not _RUN_ID.fullmatch(run_id):
        raise InvalidInput(f"Invalid run ID: {run_id!r}.", fix="Use letters, digits, '_' and '-'.")


def experiment_number(experiment_id: str) -> int:
    """The experiment's id as a number. Raises InvalidInput when it is none."""
    if not (experiment_id.isascii() and experiment_id.isdigit() and len(experiment_id) < 19):
        raise InvalidInput(
            f"Invalid experiment ID '{experiment_id[:100]}'. Experiment ID must be a valid integer.",
            fix="Give the number that experiments/create answered.",
        )
    return int(experiment_id)


def check_experiment_name(name: str) -> None:
    """Raises InvalidInput unless ``name`` can name an experiment."""
    if not name.strip():
        raise InvalidInput(f"Invalid experiment name: {name!r}.", fix="Give a name that is not blank.")
    check_length("name", name, MAX_EXPERIMENT_NAME_CHARS)


def check_location(location: str) -> None:
    """Raises InvalidInput unless artifacts can be kept at ``location``: no query, no fragment, no climbing out."""
    if len(location) > MAX_LOCATION_CHARS:
        raise InvalidInput(
            "Invalid artifact path length. The length of the artifact path cannot be greater than "
            f"{MAX_LOCATION_CHARS} characters.",
            fix="Shorten it.",
        )
    check_length("artifact_location", location, MAX_LOCATION_CHARS)
    parts = urlsplit_or_invalid("artifact_location", location)
    if parts.scheme in ("runs", "models"):
        raise InvalidInput(
            f"Artifact location cannot be a {parts.scheme}:/ URI. Given: '{location}'.", fix="Name the place itself."
        )
    if parts.fragment or ";" in parts.path or ".." in parts.query or ".." in parts.path.split("/"):
        raise InvalidInput("'artifact_location' URL can't include fragments or params.", fix="Leave '..' out, too.")


def urlsplit_or_invalid(path: str, text: str) -> SplitResult:
    """``text`` split as a URI. Raises InvalidInput when it cannot be."""
    try:
        return urlsplit(text)
    except ValueError:
        raise invalid_value(path, text, "It is not a valid URI.") from None


def check_dataset_inputs(inputs: Sequence[DatasetInput]) -> None:
    """Raises InvalidInput unless every dataset can be stored."""
    _check_count("datasets", len(inputs), MAX_DATASETS)
    for index, entry in enumerate(inputs):
        path = f"datasets[{index}].dataset"
        for field, limit in (
            ("name", MAX_DATASET_NAME_CHARS),
            ("digest", MAX_DIGEST_CHARS),
            ("source", 65_535),
            ("source_type", 36),
        ):
            text = getattr(entry.dataset, field)
            if not text:
                raise missing_value(f"{path}.{field}")
            check_length(f"{path}.{field}", text, limit)
        check_length(f"{path}.schema", entry.dataset.schema or "", 1_048_575)
        check_length(f"{path}.profile", entry.dataset.profile or "", 16_777_215)
        for position, tag in enumerate(entry.tags):
            check_length(f"datasets[{index}].tags[{position}].key", tag.key, 255)
            check_length(f"datasets[{index}].tags[{position}].value", tag.value, 500)


def check_logged_model_name(name: str) -> None:
    """Raises InvalidInput unless ``name`` can name a logged model."""
    if not name or any(character in name for character in "/:.%\"'"):
        raise InvalidInput(
            f"Invalid model name ({name!r}) provided.",
            fix="Model name must be a non-empty string and cannot contain the characters / : . % \" '.",
        )
    check_length("name", name, 500)


def check_model_name(name: str) -> None:
    """Raises InvalidInput unless ``name`` can name a registered model."""
    if not name:
        raise InvalidInput("Registered model name cannot be empty.", fix="Give a name.")
    if "/" in name or ":" in name or name in (".", ".."):
        raise InvalidInput(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.", fix="Choose another name.")
    check_length("name", name, MAX_MODEL_NAME_CHARS)


def check_alias(alias: str) -> None:
    """Raises InvalidInput unless ``alias`` can be given to a version."""
    if not alias:
        raise InvalidInput("Registered model alias name cannot be empty.", fix="Give an alias.")
    if not _ALIAS.fullmatch(alias):
        raise InvalidInput(
            f"Invalid alias name: '{alias}'.",
            fix="Names may only contain alphanumerics, underscores (_), and dashes (-).",
        )
    check_length("alias", alias, MAX_ALIAS_CHARS)
    if alias.lower() == "latest":
        raise InvalidInput("'latest' alias name (case insensitive) is reserved.", fix="Choose another alias.")
    if _VERSION_LIKE.fullmatch(alias):
        raise InvalidInput(f"Version alias name '{alias}' is reserved.", fix="Choose an alias that is no version.")
