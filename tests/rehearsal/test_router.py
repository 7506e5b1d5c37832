"""Weights that are kept exactly, and instances chosen by what they still have to do."""

from __future__ import annotations

from collections import Counter

from penstock.rehearsal.traffic.router import Route, Router, Routers
from penstock.rehearsal.traffic.upstream import Upstream
from rehearsal.test_states import plan


class Still:
    """An instance that nothing is sent to."""

    def __init__(self, name: str, outstanding: int = 0) -> None:
        self.id = name
        self.upstream = Upstream(1)
        self.outstanding = outstanding


def route(name: str, weight: float, instances: int = 1) -> Route:
    fleet = plan("c", VariantName=name)
    return Route(fleet.variants[0], fleet, weight=weight, instances=[Still(f"{name}{n}") for n in range(instances)])


def router(*routes: Route) -> Router:
    made = Router("us-east-1", "e")
    made.routes = list(routes)
    return made


def test_ten_requests_are_shared_as_the_weights_say() -> None:
    chosen = router(route("a", 0.7), route("b", 0.3))
    picks = Counter(found.plan.name for _ in range(10) if (found := chosen.choose()))
    assert picks == {"a": 7, "b": 3}


def test_the_named_variant_beats_the_weights() -> None:
    chosen = router(route("a", 1.0), route("b", 0.0))
    assert {found.plan.name for _ in range(5) if (found := chosen.choose("b"))} == {"b"}
    assert {found.plan.name for _ in range(5) if (found := chosen.choose())} == {"a"}
    assert chosen.choose("c") is None
    assert not chosen.knows("c")


def test_a_variant_without_instances_gets_nothing() -> None:
    chosen = router(route("a", 1.0, instances=0), route("b", 0.1))
    assert {found.plan.name for _ in range(5) if (found := chosen.choose())} == {"b"}


def test_all_weights_zero_serve_only_who_is_named() -> None:
    chosen = router(route("a", 0.0), route("b", 0.0))
    assert chosen.choose() is None
    named = chosen.choose("a")
    assert named is not None
    assert named.plan.name == "a"


def test_the_least_loaded_instance_is_next() -> None:
    busy = route("a", 1.0, instances=0)
    busy.instances = [Still("x", outstanding=2), Still("y", outstanding=1), Still("z", outstanding=3)]
    target = busy.choose()
    assert target is not None
    assert target.id == "y"


def test_an_endpoint_is_found_in_its_region_and_by_anyone_unsigned() -> None:
    routers = Routers()
    made = routers.ensure("eu-west-1", "e")
    assert routers.find("eu-west-1", "e") is made
    assert routers.find(None, "e") is made
    assert routers.find("us-east-1", "e") is None
    routers.remove("eu-west-1", "e")
    assert routers.find(None, "e") is None
