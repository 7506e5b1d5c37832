"""Parquet, Arrow and npy in and out of /invocations."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serving.served import NAMES, ROW, Served

DATA = np.array([ROW, [5.1, 3.5, 1.4, 0.2]])
TABLE = pa.table({name: DATA[:, at] for at, name in enumerate(NAMES)})


def parquet(table: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def ipc(table: Any, opened: Callable[..., Any]) -> bytes:
    file = io.BytesIO()
    with opened(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


PARQUET, STREAM, FILE, NPY = (
    "application/vnd.apache.parquet",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
    "application/x-npy",
)
BODIES = {
    "parquet": (PARQUET, parquet(TABLE)),
    "parquet, another order": (PARQUET, parquet(TABLE.select(NAMES[::-1]))),
    "parquet, float32": ("application/x-parquet", parquet(TABLE.cast(pa.schema([(n, pa.float32()) for n in NAMES])))),
    "arrow stream": (STREAM, ipc(TABLE, pa.ipc.new_stream)),
    "arrow file": (FILE, ipc(TABLE, pa.ipc.new_file)),
    "npy": (NPY, npy(DATA)),
    "npy, fortran order": (NPY, npy(np.asfortranarray(DATA))),
    "npy, float32": (NPY, npy(DATA.astype(np.float32))),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_table_in_any_format(iris: Served, name: str) -> None:
    content_type, body = BODIES[name]
    answer = iris.invoke(body, content_type)
    assert (answer.status, answer.json) == (200, {"predictions": [2, 0]}), answer


def test_accept_chooses_the_answers_format(iris: Served) -> None:
    def ask(accept: str) -> bytes:
        answer = iris.invoke({"inputs": DATA.tolist()}, accept=accept)
        assert (answer.status, answer.headers["content-type"]) == (200, accept), answer
        return answer.body

    assert pq.read_table(io.BytesIO(ask(PARQUET))).to_pydict() == {"predictions": [2, 0]}
    assert pa.ipc.open_stream(ask(STREAM)).read_all().to_pydict() == {"predictions": [2, 0]}
    assert pa.ipc.open_file(ask(FILE)).read_all().to_pydict() == {"predictions": [2, 0]}
    assert np.load(io.BytesIO(ask(NPY))).tolist() == [2, 0]


def bomb() -> bytes:
    """A billion equal values in a few kilobytes."""
    column = pa.chunked_array([pa.array(np.zeros(1 << 20))] * 64)
    return parquet(pa.table(dict.fromkeys(NAMES, column)))


def bad_npy(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + b"\x00" * 32


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        (PARQUET, b"", 400),
        (PARQUET, b"PAR1", 400),
        (PARQUET, parquet(TABLE)[:-9] + b"\xff" * 9, 400),
        (PARQUET, parquet(TABLE.rename_columns(["a", "b", "c", "d"])), 400),
        (PARQUET, parquet(pa.table({name: ["x"] for name in NAMES})), 400),
        (PARQUET, bomb(), 413),
        (STREAM, b"\xff" * 64, 400),
        (STREAM, ipc(TABLE, pa.ipc.new_stream)[:200], 400),
        (FILE, b"ARROW1", 400),
        (NPY, b"", 400),
        (NPY, npy(DATA)[:50], 400),
        (NPY, npy(DATA)[:-8], 400),
        (NPY, npy(np.array([{}], dtype=object), allow_pickle=True), 400),
        (NPY, bad_npy("(99999999999, 4)"), 400),
        (NPY, bad_npy("(-1, 4)"), 400),
        (NPY, bad_npy("(" * 200), 400),
        (NPY, npy(DATA[:, :3]), 400),
        (NPY, npy(DATA[0]), 400),
    ],
)
def test_a_broken_table_is_refused(iris: Served, content_type: str, body: bytes, status: int) -> None:
    answer = iris.invoke(body, content_type)
    assert answer.status == status, answer
