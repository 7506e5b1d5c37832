"""The tracking store and model registry that a URI names: a database in this process, or a server over HTTP."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from penstock.ground.errors import EnvironmentMismatch, InvalidInput
from penstock.store.open import Store


class Opener(NamedTuple):
    """Who opens a scheme's URIs: a function ``(uri, *, artifact_root) -> Store``, and the extra it needs."""

    module: str
    function: str
    extra: str = ""


# Imported when a URI of the scheme is opened, so that a local database costs no HTTP library.
OPENERS: dict[str, Opener] = {
    "sqlite": Opener("penstock.store.open", "open_store"),
    "postgresql": Opener("penstock.store.open", "open_store", "postgres"),
    "http": Opener("penstock.api.rest.store", "open_rest_store"),
    "https": Opener("penstock.api.rest.store", "open_rest_store"),
}


def open_backend(uri: str, *, artifact_root: str) -> Store:
    """The store at ``uri``; a database of our own keeps new experiments' artifacts under ``artifact_root``.

    Raises InvalidInput for a scheme that is not known, EnvironmentMismatch when its extra is not installed.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    opener = OPENERS.get(scheme)
    if opener is None:
        raise InvalidInput(
            f"{uri!r} is not a tracking URI.",
            fix="Use sqlite:///path.db, postgresql://..., or http(s)://host:port; "
            "`penstock import` takes an mlruns folder in.",
        )
    try:
        function = getattr(import_module(opener.module), opener.function)
    except ModuleNotFoundError as error:
        raise EnvironmentMismatch(
            f"{scheme} needs {error.name}, which is not installed.", fix=f"pip install 'penstock[{opener.extra}]'"
        ) from error
    return cast("Store", function(uri, artifact_root=artifact_root))
