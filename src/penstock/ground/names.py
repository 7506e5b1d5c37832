"""What names may look like, and the names Penstock makes itself."""

from __future__ import annotations

import re
import secrets
import uuid
from difflib import get_close_matches

from penstock.ground.errors import InvalidInput

# CreateEndpoint, CreateEndpointConfig, CreateModel: the shapes' own pattern (botocore's sagemaker service model).
ENDPOINT_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


def new_run_id() -> str:
    """A fresh run id: 32 hex digits."""
    return uuid.uuid4().hex


def new_model_id() -> str:
    """A fresh logged model id: 'm-' and 32 hex digits."""
    return f"m-{uuid.uuid4().hex}"


def short_id(digits: int = 8) -> str:
    """A fresh random id of ``digits`` hex digits."""
    return secrets.token_hex((digits + 1) // 2)[:digits]


def check_endpoint_name(name: str) -> str:
    """``name``, if SageMaker takes it as an endpoint's name. Raises InvalidInput."""
    if not ENDPOINT_NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot name an endpoint.",
            fix="Use up to 63 letters, digits and single '-' inside; no '_' and no '.'.",
        )
    return name


def near(name: str, known: list[str]) -> str:
    """A half sentence that names the known names closest to ``name``, or an empty text."""
    matches = get_close_matches(name, known, n=3, cutoff=0.5)
    return f" Near matches: {', '.join(matches)}." if matches else ""
