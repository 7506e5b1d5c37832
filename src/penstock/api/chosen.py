"""What set_tracking_uri, set_registry_uri and set_experiment chose for the whole process."""

from __future__ import annotations


class Chosen:
    """None means: as the settings say."""

    def __init__(self) -> None:
        self.tracking_uri: str | None = None
        self.registry_uri: str | None = None
        self.experiment_id: str | None = None

    def reset(self) -> None:
        """Forgets every choice."""
        self.tracking_uri = self.registry_uri = self.experiment_id = None


chosen = Chosen()
