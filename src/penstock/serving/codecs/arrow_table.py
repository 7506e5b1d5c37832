"""Parquet and Arrow tables in and out, through pyarrow."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.ground.errors import InvalidInput, TooLarge
from penstock.models.inference import is_frame, is_series
from penstock.models.load import LoadedModel
from penstock.serving.codecs.media import Media
from penstock.serving.http.types import Response
from penstock.serving.payload import Payload

CELL_BYTES = 8


def decode_parquet(body: bytes, model: LoadedModel, max_bytes: int) -> Payload:
    """The payload of a Parquet file. Raises TooLarge before unpacking what would be over the limit."""
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        _check_size(file.metadata.num_rows, file.metadata.num_columns, max_bytes)
        table = file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidInput(f"The body is no Parquet file: {_first_line(error)}.", fix="Send all of it.") from None
    return _payload(table, model)


def decode_stream(body: bytes, model: LoadedModel, max_bytes: int) -> Payload:
    """The payload of an Arrow IPC stream."""
    return _payload(_ipc_table(body, pa.ipc.open_stream, max_bytes), model)


def decode_file(body: bytes, model: LoadedModel, max_bytes: int) -> Payload:
    """The payload of an Arrow IPC file (Feather 2)."""
    return _payload(_ipc_table(body, pa.ipc.open_file, max_bytes), model)


def _ipc_table(body: bytes, opened: Any, max_bytes: int) -> Any:
    try:
        reader = opened(pa.BufferReader(body))
        count = getattr(reader, "num_record_batches", None)
        batches = reader if count is None else (reader.get_batch(at) for at in range(count))
        kept, rows = [], 0
        for batch in batches:
            rows += batch.num_rows
            _check_size(rows, batch.num_columns, max_bytes)
            batch.validate(full=True)
            kept.append(batch)
        return pa.Table.from_batches(kept, reader.schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidInput(f"The body is no Arrow table: {_first_line(error)}.", fix="Send all of it.") from None


def _check_size(rows: int, columns: int, max_bytes: int) -> None:
    if rows * max(columns, 1) * CELL_BYTES > 4 * max_bytes:
        raise TooLarge(f"A table of {rows} rows and {columns} columns is over the limit.", fix="Send less at a time.")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].rstrip(".")


def _payload(table: Any, model: LoadedModel) -> Payload:
    """An array where the model takes one and all columns are numbers, else a frame."""
    names = tuple(table.column_names)
    if len(set(names)) != len(names):
        raise InvalidInput("Two columns of the table have the same name.", fix="Give every column a name of its own.")
    if model.array_dtype is not None and all(_is_number(field.type) for field in table.schema):
        columns = [_numbers(column) for column in table.columns]
        return Payload(np.column_stack(columns) if columns else np.empty((table.num_rows, 0)), names)
    if model.array_dtype is not None:
        return Payload(
            [list(row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)], names
        )
    return Payload(value=table.to_pandas(use_threads=False))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _numbers(column: Any) -> Any:
    if column.null_count:
        column = column.cast(pa.float64())
    return column.to_numpy()


def parquet_answer(predictions: Any) -> Response:
    """The predictions as a Parquet file."""
    file = io.BytesIO()
    pq.write_table(_table(predictions), file)
    return Response(200, file.getvalue(), [("content-type", str(Media.PARQUET))])


def stream_answer(predictions: Any) -> Response:
    """The predictions as an Arrow IPC stream."""
    return _ipc_answer(predictions, pa.ipc.new_stream, Media.ARROW_STREAM)


def file_answer(predictions: Any) -> Response:
    """The predictions as an Arrow IPC file."""
    return _ipc_answer(predictions, pa.ipc.new_file, Media.ARROW_FILE)


def _ipc_answer(predictions: Any, opened: Any, media: Media) -> Response:
    table, file = _table(predictions), io.BytesIO()
    with opened(file, table.schema) as writer:
        writer.write_table(table)
    return Response(200, file.getvalue(), [("content-type", str(media))])


def _table(predictions: Any) -> Any:
    """Predictions as a table; a bare array's columns are called predictions, or 0, 1, ..."""
    try:
        if is_frame(predictions):
            return pa.Table.from_pandas(predictions, preserve_index=False, nthreads=1)
        if is_series(predictions):
            return pa.table({str(predictions.name or "predictions"): predictions.to_numpy()})
        if isinstance(predictions, dict):
            return pa.table({str(name): np.asarray(values) for name, values in predictions.items()})
        array = np.asarray(predictions)
        if array.ndim == 2:
            return pa.table({str(at): array[:, at] for at in range(array.shape[1])})
        return pa.table({"predictions": array.reshape(-1) if array.ndim < 2 else array.tolist()})
    except (pa.ArrowException, ValueError) as error:
        raise InvalidInput(f"The predictions are no table: {error}.", fix="Accept application/json.") from None
