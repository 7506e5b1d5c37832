"""A running tracking server, shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.running import Client, options_in, running


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running(options_in(tmp_path_factory.mktemp("server"))) as number:
        yield number


@pytest.fixture
def client(port: int) -> Iterator[Client]:
    made = Client(port)
    yield made
    made.close()
