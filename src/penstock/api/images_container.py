"""mlflow's ``sagemaker build-and-push-container``, for scripts that call it: no engine, and an image per model."""

from __future__ import annotations

import msgspec

from penstock.api.deployments_image import ensure_repository, push_model_image
from penstock.api.images import push as push_image
from penstock.api.images_build import build as build_image
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.ground.version import __version__


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """What was made: ``image`` is a local image's digest, ``reference`` the URL to deploy with."""

    image: str | None = None
    reference: str | None = None


def build_and_push_container(
    container: str,
    *,
    model_uri: str | None = None,
    build: bool = True,
    push: bool = True,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> Container:
    """The image of ``model_uri``, called ``container`` here and in the account's ECR registry.

    MLflow's one image for all models installs packages whenever it starts; ours are made of a model's own. Without
    ``model_uri`` the repository alone is made, and a deploy with its URL fills it. Without ``build``, the image that
    is kept here under that name is pushed. Raises NotFound when there is none.
    """
    known = settings or load_settings()
    if build and model_uri is None:
        return Container(reference=ensure_repository(container, settings=known) if push else None)
    if build and push:
        return Container(
            reference=push_model_image(str(model_uri), repository=container, settings=known, progress=progress)
        )
    if build:
        built = build_image(str(model_uri), names=(container,), settings=known, progress=progress)
        return Container(image=built.image.digest())
    if not push:
        return Container()
    uri = ensure_repository(container, settings=known)
    digest = push_image(container, f"{uri}:{__version__}", settings=known, progress=progress)
    return Container(image=digest, reference=f"{uri}@{digest}")
