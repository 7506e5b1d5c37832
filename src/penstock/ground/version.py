"""The version of this package: the one that pyproject.toml reads."""

__version__ = "0.1.0"
