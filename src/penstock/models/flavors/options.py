"""The options of a flavor: known names with defaults, everything else refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.ground.errors import InvalidInput
from penstock.ground.names import near


def chosen(given: Mapping[str, Any], flavor: str, **defaults: Any) -> dict[str, Any]:
    """The defaults with what was given in their place. Raises InvalidInput for an option the flavor does not have."""
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        known = f"It has {', '.join(sorted(defaults))}." if defaults else "It has none."
        raise InvalidInput(
            f"The {flavor} flavor has no option {unknown[0]!r}.{near(unknown[0], list(defaults))}", fix=known
        )
    return {**defaults, **given}


def one_of(value: Any, allowed: Mapping[str, Any] | tuple[str, ...], what: str) -> str:
    """``value``, if it is one of the allowed words. Raises InvalidInput."""
    if value not in allowed:
        raise InvalidInput(f"There is no {what} {value!r}.", fix=f"Use one of {', '.join(allowed)}.")
    return str(value)
