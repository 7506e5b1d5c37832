"""Who answers an invocation: the variant, model or container that its headers name, against what the endpoint runs."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.rehearsal.traffic import errors
from penstock.rehearsal.traffic.router import Route, Router, Target
from penstock.serving.http.types import Request

_MOST_SESSIONS = 10_000
MAX_BODY_BYTES = 25 << 20
SERVERLESS_BODY_BYTES = 4 << 20
_PREFIX = "x-amzn-sagemaker-"
TARGET_VARIANT = f"{_PREFIX}target-variant"
TARGET_MODEL = f"{_PREFIX}target-model"
TARGET_CONTAINER = f"{_PREFIX}target-container-hostname"
SESSION = f"{_PREFIX}session-id"
NEW_SESSION = f"{_PREFIX}new-session-id"
CLOSED_SESSION = f"{_PREFIX}closed-session-id"
_RAW_SESSION = SESSION.encode()
COMPONENT = f"{_PREFIX}inference-component"
_RAW_COMPONENT = COMPONENT.encode()
_RAW_MODEL, _RAW_CONTAINER = TARGET_MODEL.encode(), TARGET_CONTAINER.encode()


def choose_route(router: Router, request: Request, request_id: str) -> Route:
    """The route that takes the request. Raises AwsError for what does not fit the endpoint."""
    if router.hosts_components or _RAW_COMPONENT in request.headers.raw:
        return _component(router, request, request_id)
    variant = request.headers.get(TARGET_VARIANT)
    if variant is not None and not router.knows(variant):
        raise errors.variant_missing(variant, router.endpoint)
    route = router.choose(variant)
    if route is None:
        raise errors.not_serving(router.endpoint)
    if router.config.get("AsyncInferenceConfig"):
        raise errors.only_asynchronous(router.endpoint)
    if len(request.body) > (SERVERLESS_BODY_BYTES if route.plan.serverless else MAX_BODY_BYTES):
        raise errors.oversize(request_id)
    _check_model(route, request)
    _check_container(route, request)
    return route


def _component(router: Router, request: Request, request_id: str) -> Route:
    """The route of the inference component that is named. Raises AwsError."""
    name = request.headers.get(COMPONENT)
    if name is None:
        raise errors.component_needed()
    route = router.components.get(name)
    if route is None:
        raise errors.component_missing(name, router.endpoint)
    if not route.instances:
        raise errors.no_copies()
    if len(request.body) > MAX_BODY_BYTES:
        raise errors.oversize(request_id)
    _check_model(route, request)
    _check_container(route, request)
    return route


def choose_instance(router: Router, route: Route, request: Request) -> Target:
    """The instance of the route: the session's own, one that has the model named, or else the least busy."""
    if _RAW_SESSION in request.headers.raw:
        holder = router.sessions.get(request.headers.get(SESSION) or "")
        found = next((each for each in route.instances if each.id == holder), None)
        if found is not None:
            return found
    model = request.headers.get(TARGET_MODEL) if route.plan.container.multi_model else None
    target = route.choose(model)
    if target is None:
        raise errors.not_serving(router.endpoint)
    return target


def _check_model(route: Route, request: Request) -> None:
    named = _RAW_MODEL in request.headers.raw
    if route.plan.container.multi_model and not named:
        raise errors.wrong_request("TargetModel is required to invoke a multi-model endpoint.")
    if named and not route.plan.container.multi_model:
        raise errors.wrong_request("TargetModel was given, but the endpoint is not a multi-model endpoint.")


def _check_container(route: Route, request: Request) -> None:
    if not route.plan.direct and _RAW_CONTAINER not in request.headers.raw:
        return
    hostname = request.headers.get(TARGET_CONTAINER)
    names = [route.plan.hostname_of(number) for number in range(len(route.plan.containers))]
    if not route.plan.direct:
        raise errors.wrong_request("TargetContainerHostname was given, but the containers are not invoked directly.")
    if hostname not in names:
        raise errors.wrong_request(
            f"TargetContainerHostname must be one of {', '.join(names)} for a model of several containers."
        )


def follow_session(router: Router, target: Target, headers: Mapping[str, str]) -> None:
    """Remembers which instance opened a session, by the container's own headers, and forgets it when it closes it."""
    opened, closed = headers.get(NEW_SESSION), headers.get(CLOSED_SESSION)
    if opened is not None:
        router.sessions[opened.partition(";")[0].strip()] = target.id
        if len(router.sessions) > _MOST_SESSIONS:
            router.sessions.pop(next(iter(router.sessions)))
    if closed is not None:
        router.sessions.pop(closed.strip(), None)
