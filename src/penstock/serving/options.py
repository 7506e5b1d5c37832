"""What the model server is told: flags before environment before defaults, in the names every platform uses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from penstock.ground.errors import InvalidInput, NotFound
from penstock.models.document import FILE_NAME

PORT_VARIABLES = ("SAGEMAKER_BIND_TO_PORT", "AIP_HTTP_PORT", "PORT")
MODEL_DIRECTORIES = (Path("/opt/ml/model"), Path("/mnt/models"))
MEBIBYTE = 1 << 20


class ServeOptions(Struct, frozen=True, kw_only=True):
    """How to serve. ``model`` is None on a multi-model endpoint; ``max_body_bytes`` also bounds unpacked bodies.

    ``log_sample`` is the share of requests that are logged with their predictions. ``health_route`` and
    ``predict_route`` are further routes of Vertex AI's choice.
    """

    model: Path | None
    model_name: str | None = None
    multi_model: bool = False
    host: str = "0.0.0.0"
    port: int = 8080
    workers: int = 1
    max_body_bytes: int = 25 * MEBIBYTE
    request_timeout_s: float = 60.0
    drain_s: float = 25.0
    batching: bool = True
    batch_rows: int = 512
    batch_wait_ms: float = 0.0
    queue_requests: int = 1024
    log_sample: float = 0.0
    health_route: str | None = None
    predict_route: str | None = None
    debug: bool = False


def serve_options(
    flags: Mapping[str, str | None] | None = None, *, environment: Mapping[str, str] | None = None
) -> ServeOptions:
    """The options in force. ``flags`` are texts by option name; None means not given.

    Raises InvalidInput naming the variable and the value, NotFound when no model is where one may be.
    """
    env = os.environ if environment is None else environment
    given = {name: text for name, text in (flags or {}).items() if text is not None}

    def text(name: str, *variables: str) -> tuple[str, str] | None:
        if name in given:
            return given[name], f"--{name.replace('_', '-')}"
        return next(((env[variable], variable) for variable in variables if env.get(variable)), None)

    payload_mb = _number(text("", "SAGEMAKER_MAX_PAYLOAD_IN_MB"), 25)
    multi_model = _is_true(env.get("SAGEMAKER_MULTI_MODEL"))
    return ServeOptions(
        model=None if multi_model else _model_directory(given.get("model"), env),
        model_name=given.get("model_name") or env.get("PENSTOCK_MODEL_NAME") or None,
        multi_model=multi_model,
        host=given.get("host") or env.get("PENSTOCK_HOST") or "0.0.0.0",
        port=int(_number(text("port", *PORT_VARIABLES), 8080, most=65535)),
        workers=_workers(
            text("workers", "PENSTOCK_WORKERS", "SAGEMAKER_MODEL_SERVER_WORKERS"), multi_model=multi_model
        ),
        max_body_bytes=int(_number(text("max_body_bytes", "PENSTOCK_MAX_BODY_BYTES"), max(payload_mb, 25) * MEBIBYTE)),
        request_timeout_s=_number(
            text(
                "request_timeout",
                "PENSTOCK_REQUEST_TIMEOUT",
                "SAGEMAKER_MODEL_SERVER_TIMEOUT",
                "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS",
                "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT",
            ),
            60.0,
        ),
        batching=_is_true((text("batching", "PENSTOCK_BATCHING") or ("yes", ""))[0]),
        batch_rows=int(_number(text("batch_rows", "PENSTOCK_BATCH_ROWS"), 512, least=1)),
        batch_wait_ms=_number(text("batch_wait_ms", "PENSTOCK_BATCH_WAIT_MS"), 0.0, most=1000),
        queue_requests=int(_number(text("queue_requests", "PENSTOCK_QUEUE_REQUESTS"), 1024, least=1)),
        log_sample=_number(text("log_sample", "PENSTOCK_LOG_SAMPLE"), 0.0, most=1),
        health_route=env.get("AIP_HEALTH_ROUTE") or None,
        predict_route=env.get("AIP_PREDICT_ROUTE") or None,
        debug=_is_true((text("debug", "PENSTOCK_DEBUG") or ("", ""))[0]),
    )


def _is_true(text: str | None) -> bool:
    return (text or "").lower() in ("1", "true", "yes", "on")


def _number(found: tuple[str, str] | None, default: float, *, least: float = 0, most: float = 2**53) -> float:
    if found is None:
        return default
    text, origin = found
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not least <= number <= most:
        raise InvalidInput(f"{origin} is {text!r}.", fix=f"Give a number from {least:g} to {most:g}.")
    return number


def _workers(found: tuple[str, str] | None, *, multi_model: bool) -> int:
    """How many processes serve: one on a multi-model endpoint, as each would know only the models loaded in it."""
    workers = int(_number(found, 1, least=1))
    if multi_model and workers > 1 and found is not None:
        raise InvalidInput(
            f"{found[1]} is {found[0]!r} on a multi-model endpoint (SAGEMAKER_MULTI_MODEL): a model loaded in one "
            "worker is unknown to the others.",
            fix=f"Leave {found[1]} out or make it 1, or unset SAGEMAKER_MULTI_MODEL.",
        )
    return workers


def _model_directory(argument: str | None, environment: Mapping[str, str]) -> Path:
    """The model's folder: the argument, PENSTOCK_MODEL_PATH, or the first place of the platforms that holds one."""
    stated = argument or environment.get("PENSTOCK_MODEL_PATH")
    if stated:
        return _with_document(Path(stated)) or Path(stated)
    azure = environment.get("AZUREML_MODEL_DIR")
    places = (*MODEL_DIRECTORIES, *((Path(azure),) if azure else ()))
    for place in places:
        found = _with_document(place)
        if found is not None:
            return found
    raise NotFound(
        f"There is no model: none of {', '.join(map(str, places))} holds an MLmodel file.",
        fix="Give the model's folder as an argument, or in PENSTOCK_MODEL_PATH.",
    )


def _with_document(place: Path) -> Path | None:
    """``place`` or the one folder up to two levels below it that holds MLmodel (Azure ML nests models so)."""
    for pattern in (FILE_NAME, f"*/{FILE_NAME}", f"*/*/{FILE_NAME}"):
        found = sorted(place.glob(pattern))
        if len(found) > 1:
            raise InvalidInput(f"{place} holds several models: {', '.join(str(each.parent) for each in found)}.")
        if found:
            return found[0].parent
    return None
