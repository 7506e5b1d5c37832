"""Compiled forms of models: made, proven equal, measured, and kept beside the original."""
