"""Predictions into the caller's format."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.models.inference import is_frame, is_series
from penstock.serving.codecs.csv_table import csv_bytes
from penstock.serving.codecs.formats import encoder_of
from penstock.serving.codecs.media import Media
from penstock.serving.http.types import Response
from penstock.serving.payload import Dialect

_JSON = ("content-type", "application/json")
_CSV = ("content-type", "text/csv; charset=utf-8")


def json_answer(predictions: Any, dialect: Dialect) -> Response:
    """``{"predictions": [...]}``, or the bare list. Frames become records; NaN becomes null, as JSON has no NaN."""
    value = plain(predictions)
    return Response(200, _ENCODER.encode({"predictions": value} if dialect is Dialect.WRAPPED else value), [_JSON])


def answer(predictions: Any, dialect: Dialect, media: Media | None) -> Response:
    """The response in the format that was asked for."""
    if media is Media.CSV:
        return Response(200, csv_bytes(*_table(predictions)), [_CSV])
    if media is not None and media not in (Media.JSON, Media.NUMPY_SPLIT):
        return encoder_of(media)(predictions)
    return json_answer(predictions, dialect)


def plain(value: Any) -> Any:
    """The value in types that JSON knows."""
    if isinstance(value, np.ndarray):
        return np.datetime_as_string(value).tolist() if value.dtype.kind == "M" else value.tolist()
    if is_frame(value):
        names = [str(name) for name in value.columns]
        columns = [_plain_series(value.iloc[:, at]) for at in range(len(names))]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if is_series(value):
        return _plain_series(value)
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value] if any(not _is_scalar(each) for each in value) else value
    return value


def _plain_series(series: Any) -> list[Any]:
    missing = series.isna().to_numpy()
    values = series.tolist()
    return [None if gone else value for gone, value in zip(missing, values, strict=True)] if missing.any() else values


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float)


def _unusual(value: Any) -> Any:
    """JSON for what msgspec does not know."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "toarray"):
        return value.toarray().tolist()
    return plain(value) if is_frame(value) or is_series(value) or isinstance(value, np.ndarray) else str(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_unusual)


def _table(predictions: Any) -> tuple[list[list[Any]], list[str] | None]:
    """Rows and names (None: there are none) for CSV."""
    value = plain(predictions)
    if is_frame(predictions):
        names = [str(name) for name in predictions.columns]
        return [[row[name] for name in names] for row in value], names
    if isinstance(value, dict):
        lists = [each if isinstance(each, list) else [each] for each in value.values()]
        return [list(row) for row in zip(*lists, strict=True)], list(value)
    if not isinstance(value, list | tuple):
        value = [value]
    return [list(row) if isinstance(row, list | tuple) else [row] for row in value], None
