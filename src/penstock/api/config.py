"""The settings, as a person would list them."""

from __future__ import annotations

from msgspec import Struct

from penstock.ground.settings import SETTINGS, load_settings


class ShownSetting(Struct, frozen=True):
    """One setting with its value as text, its origin and the environment variables that give it."""

    name: str
    value: str | None
    origin: str
    environment: tuple[str, ...]
    help: str


def config_values() -> list[ShownSetting]:
    """Every setting in force, in the order of the reference."""
    settings = load_settings()
    return [
        ShownSetting(
            name=each.name,
            value=None if (value := getattr(settings, each.name)) is None else str(value),
            origin=settings.origins[each.name],
            environment=each.environment,
            help=each.help,
        )
        for each in SETTINGS
    ]
