"""What a user's own model derives from. It travels inside the model's pickle, so it leans on nothing but Python."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints


class Hints:
    """The declared types of a model's input and answer; None where nothing is declared."""

    def __init__(self, input: Any, output: Any) -> None:
        self.input = input
        self.output = output


class PythonModelContext:
    """What the folder holds for the model: its artifacts' paths by name, and its configuration."""

    def __init__(self, artifacts: Mapping[str, str], model_config: Mapping[str, Any] | None = None) -> None:
        self.artifacts = dict(artifacts)
        self.model_config = None if model_config is None else dict(model_config)


class PythonModel:
    """A model of one's own: derive from it and define ``predict(self, context, model_input, params=None)``.

    ``context`` and ``params`` may be left out of the signature. ``load_context`` runs once, when the model is loaded:
    the place for opening artifacts and connections.
    """

    def load_context(self, context: Any) -> None:
        """Makes ready what ``predict`` needs; by default nothing."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """The answer to ``model_input``."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict.")

    @property
    def predict_type_hints(self) -> Any:
        """The declared types of ``predict``'s input and answer, None where undeclared. MLflow's loader reads it."""
        return type_hints(self.predict)


class FunctionModel(PythonModel):
    """A plain function as a model."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def predict(self, model_input: Any, params: Any = None) -> Any:  # type: ignore[override]
        with_params = "params" in inspect.signature(self.function).parameters
        return self.function(model_input, params=params) if with_params else self.function(model_input)

    @property
    def predict_type_hints(self) -> Any:
        return type_hints(self.function)


def type_hints(function: Callable[..., Any]) -> Any:
    """The declared types of the function's data argument and of its answer."""
    names = [name for name in inspect.signature(function).parameters if name not in ("self", "context", "params")]
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    return Hints(hints.get(names[0]) if names else None, hints.get("return"))


_SET: list[Any] = []


def set_model(model: Any) -> None:
    """Says which object of a code file is the model. MLflow is told as well, where it is doing the loading."""
    _SET.append(model)
    theirs = sys.modules.get("mlflow.models.model")
    if theirs is not None:
        setattr(theirs, "__mlflow_model__", model)  # noqa: B010 - a name of MLflow's, not of this module


def take_set_model() -> Any:
    """The model that ``set_model`` was last given since the last call, ours or MLflow's; None if there was none."""
    theirs = sys.modules.get("mlflow.models.model")
    model = _SET.pop() if _SET else getattr(theirs, "__mlflow_model__", None)
    _SET.clear()
    return model
