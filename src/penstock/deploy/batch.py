"""A transform job as a value: what is asked for, what SageMaker would refuse of it, and CreateTransformJob's body."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from penstock.deploy.request import DEFAULT_INSTANCE_TYPE
from penstock.ground.errors import InvalidInput
from penstock.ground.names import near

_MOST_TOGETHER_MB = 100
_MOST_FILTER = 63
_MOST_ENVIRONMENT = 16
_LINES = {"text/csv", "application/jsonlines"}
_TYPES = {
    ".csv": "text/csv", ".jsonl": "application/jsonlines", ".ndjson": "application/jsonlines",
    ".json": "application/json", ".parquet": "application/vnd.apache.parquet",
}  # fmt: skip

Split = Literal["None", "Line", "RecordIO", "TFRecord"]


class BatchOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a job works its input off. None leaves it to the file's kind, then to the container, then to SageMaker.

    ``join`` puts each input beside its prediction. Filters are JSONPath, e.g. ``$[1:]``: what of the input is sent,
    and what of the (joined) answer is kept. Source: CreateTransformJob; facts on batch rules.
    """

    instance_type: str = DEFAULT_INSTANCE_TYPE
    instance_count: int = 1
    content_type: str | None = None
    accept: str | None = None
    split: Split | None = None
    strategy: Literal["MultiRecord", "SingleRecord"] | None = None
    assemble: Literal["None", "Line"] | None = None
    compression: Literal["None", "Gzip"] | None = None
    max_payload_mb: int | None = None
    max_concurrent: int | None = None
    timeout_s: int | None = None
    retries: int | None = None
    input_filter: str | None = None
    output_filter: str | None = None
    join: bool = False
    env: dict[str, str] = {}
    kms_key: str | None = None


def read_batch_options(table: dict[str, Any]) -> BatchOptions:
    """The options written in ``table``. Raises InvalidInput naming the key, with near misses."""
    try:
        return msgspec.convert(table, BatchOptions, strict=False)
    except msgspec.ValidationError as error:
        unknown = re.search(r"unknown field `(.+?)`", str(error))
        hint = near(unknown[1], list(BatchOptions.__struct_fields__)) if unknown else ""
        raise InvalidInput(f"A batch setting is wrong: {error}.{hint}", fix="Correct it.") from error


def job_body(options: BatchOptions, *, model: str, source: str, target: str) -> dict[str, Any]:
    """CreateTransformJob's body without name and tags, for the objects under ``source``. Raises InvalidInput. Pure."""
    kind = _content_type(options, source)
    split = options.split or ("Line" if kind in _LINES else "None")
    body: dict[str, Any] = {
        "ModelName": model,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": kind,
            "SplitType": split,
            "CompressionType": options.compression or ("Gzip" if source.endswith(".gz") else "None"),
        },
        "TransformOutput": {
            "S3OutputPath": target,
            "AssembleWith": options.assemble or ("Line" if split == "Line" else "None"),
            "Accept": options.accept or kind,
        },
        "TransformResources": {"InstanceType": options.instance_type, "InstanceCount": options.instance_count},
        **_manner(options),
    }
    if options.kms_key:
        body["TransformOutput"]["KmsKeyId"] = options.kms_key
        body["TransformResources"]["VolumeKmsKeyId"] = options.kms_key
    _check(options)
    return body


def _manner(options: BatchOptions) -> dict[str, Any]:
    """The optional parts of the body, present only where something was said."""
    processing = {
        "InputFilter": options.input_filter,
        "OutputFilter": options.output_filter,
        "JoinSource": "Input" if options.join else None,
    }
    client = {"InvocationsTimeoutInSeconds": options.timeout_s, "InvocationsMaxRetries": options.retries}
    parts: dict[str, Any] = {
        "BatchStrategy": options.strategy,
        "MaxPayloadInMB": options.max_payload_mb,
        "MaxConcurrentTransforms": options.max_concurrent,
        "Environment": options.env or None,
        "DataProcessing": _given(processing) or None,
        "ModelClientConfig": _given(client) or None,
    }
    return _given(parts)


def _given(parts: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parts.items() if value is not None}


def _content_type(options: BatchOptions, source: str) -> str:
    suffix = Path(source.removesuffix(".gz")).suffix.lower()
    kind = options.content_type or _TYPES.get(suffix)
    if kind is None:
        fix = "Give --content-type, e.g. text/csv."
        raise InvalidInput(f"What {source.rpartition('/')[2] or source!r} holds cannot be told by its name.", fix=fix)
    return kind


def _check(options: BatchOptions) -> None:
    """Raises InvalidInput for what CreateTransformJob would refuse, before anything is made."""
    together = (options.max_concurrent or 1) * (options.max_payload_mb if options.max_payload_mb is not None else 6)
    if together > _MOST_TOGETHER_MB:
        fix = f"Keep max_concurrent times max_payload_mb at {_MOST_TOGETHER_MB} or less."
        raise InvalidInput(f"{together} MB would be under way at once.", fix=fix)
    for name in ("input_filter", "output_filter"):
        text = getattr(options, name) or "$"
        if len(text) > _MOST_FILTER or not text.startswith("$"):
            fix = f"Write a JSONPath that begins with $ and has at most {_MOST_FILTER} characters, e.g. $[1:]."
            raise InvalidInput(f"{name} {text!r} is no filter.", fix=fix)
    if len(options.env) > _MOST_ENVIRONMENT:
        raise InvalidInput(
            f"There are {len(options.env)} environment variables.", fix=f"A job takes at most {_MOST_ENVIRONMENT}."
        )


def without_header(content: bytes, columns: list[str]) -> bytes:
    """CSV without its first line if that names the model's columns: a job cuts the file anywhere, so headers mislead.

    Raises InvalidInput when it names them in another order, for the values would go to the wrong columns.
    """
    first, newline, rest = content.partition(b"\n")
    names = next(csv.reader([first.decode("utf-8-sig", "replace").rstrip("\r")]), [])
    if not columns or sorted(names) != sorted(columns):
        return content
    if names != columns:
        raise InvalidInput(
            f"The file's columns are {', '.join(names)}; the model's are {', '.join(columns)}.",
            fix="Write the columns in the model's order.",
        )
    return rest if newline else b""
