"""What an image is built on, as a value."""

from __future__ import annotations

import msgspec

from penstock.images.bases.apt_packages import Package
from penstock.images.bytecode import Interpreter
from penstock.images.target import Target
from penstock.oci.image import Image


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """An image with a Python of the target's minor version in it.

    ``name`` is what a person would call it, ``digest`` what it really is. ``interpreter`` compiles for it; None where
    nothing here can. ``packages`` are its Debian packages where they are known; ``remarks`` is what the builder should
    know, such as a signature that could not be checked.
    """

    image: Image
    target: Target
    python_path: str
    name: str
    digest: str
    interpreter: Interpreter | None = None
    packages: tuple[Package, ...] = ()
    remarks: tuple[str, ...] = ()
