"""The loop that scales: once a period it measures every policy's metric, decides, and asks hosting for the capacity."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable

from msgspec.structs import replace

from penstock.ground.clock import Clock
from penstock.rehearsal.journal import Journal
from penstock.rehearsal.scaling.alarms import ScalingAlarms
from penstock.rehearsal.scaling.capacities import Capacities, Capacity
from penstock.rehearsal.scaling.decision import COOLDOWN_SECONDS, Cooldown, agreed, is_high, is_low, stepped, tracked
from penstock.rehearsal.scaling.operations import forget_target
from penstock.rehearsal.scaling.records import ACTIVITY, POLICY, TARGET, Activity, ScalableTarget, ScalingPolicy
from penstock.rehearsal.scaling.tracking import PERIOD_SECONDS, Tracker, alarm_names

LOG = logging.getLogger("penstock.rehearsal")
_LEAST_PERIOD_S = 0.25
_SAMPLES = 6
_MOST_ACTIVITIES = 200


class Scaler:
    """Scales what is registered. ``step`` is one period; ``start`` runs them one after the other."""

    def __init__(
        self, *, journal: Journal, capacities: Capacities, tracker: Tracker, alarms: ScalingAlarms, clock: Clock,
        time_scale: float,
    ) -> None:  # fmt: skip
        self._journal = journal
        self._capacities = capacities
        self._tracker = tracker
        self._alarms = alarms
        self._clock = clock
        self._time_scale = time_scale
        self._cooldowns: dict[str, Cooldown] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        period = max(PERIOD_SECONDS * self._time_scale, _LEAST_PERIOD_S)
        while True:
            for _ in range(_SAMPLES):
                await asyncio.sleep(period / _SAMPLES)
                for policy in self._policies:
                    self._tracker.sample(policy)
            try:
                await asyncio.to_thread(self.step)
            except Exception:  # a defect of one period must not end scaling
                LOG.exception("scaling: a period failed")

    _policies: tuple[ScalingPolicy, ...] = ()

    def step(self) -> None:
        """Closes a period: every target is measured, and changed if it must be."""
        targets = self._journal.all(TARGET, ScalableTarget)
        self._policies = tuple(self._journal.all(POLICY, ScalingPolicy)) if targets else ()
        self._tracker.forget({(policy.region, policy.name) for policy in self._policies})
        self._alarms.keep(self._policies)
        for target in targets:
            capacity = self._capacities.read(target.region, target.resource, target.dimension)
            if capacity is None:
                self._forget(target)
                continue
            self._settle(target, capacity)
            self._follow(target, capacity)

    def _forget(self, target: ScalableTarget) -> None:
        """The resource is gone, and with it what scaled it, as on AWS."""
        with self._journal.transaction():
            forget_target(self._journal, target)

    def _follow(self, target: ScalableTarget, capacity: Capacity) -> None:
        now_ms = self._clock.now_ms()
        wishes = {
            policy.name: (self._wish(policy, capacity, now_ms), policy) for policy in self._policies
            if (policy.region, policy.resource, policy.dimension) == (
                target.region, target.resource, target.dimension,
            )
        }  # fmt: skip
        if capacity.busy:
            return
        bounded = min(max(capacity.desired, target.minimum), target.maximum)
        if bounded != capacity.desired:
            end = "minimum" if bounded == target.minimum else "maximum"
            self._change(target, bounded, f"{end} capacity was set to {bounded}", now_ms=now_ms)
            return
        wanted = agreed(capacity.desired, (wish for wish, _ in wishes.values()))
        wanted = min(max(wanted, target.minimum), target.maximum)
        self._scale(target, capacity, wanted, [policy for wish, policy in wishes.values()], now_ms)

    def _scale(
        self, target: ScalableTarget, capacity: Capacity, wanted: int, policies: list[ScalingPolicy], now_ms: int
    ) -> None:
        cooldown = self._cooldowns.get(target.arn, Cooldown())
        direction = "Out" if wanted > capacity.desired else "In"
        if wanted == capacity.desired or target.suspended.get(f"DynamicScaling{direction}Suspended"):
            return
        if not cooldown.allows(wanted, capacity.desired, now_ms=now_ms):
            return
        out_ms, in_ms = self._pause_ms(policies, "ScaleOutCooldown"), self._pause_ms(policies, "ScaleInCooldown")
        if self._change(target, wanted, _cause(policies, direction), now_ms=now_ms):
            self._cooldowns[target.arn] = cooldown.after(
                wanted, capacity.desired, now_ms=now_ms, out_ms=out_ms, in_ms=in_ms
            )

    def _wish(self, policy: ScalingPolicy, capacity: Capacity, now_ms: int) -> int:
        """The capacity that the policy asks for now."""
        if policy.kind == "StepScaling":
            breach = self._alarms.breach(policy)
            return capacity.desired if breach is None else stepped(policy.configuration, capacity.desired, breach)
        history = self._tracker.close_period(policy, capacity.current, now_ms=now_ms)
        target = float(policy.configuration["TargetValue"])
        self._alarms.show(policy, high=is_high(history, target), low=is_low(history, target))
        wish = tracked(history, capacity.desired, target)
        return max(wish, capacity.desired) if policy.configuration.get("DisableScaleIn") else wish

    def _change(self, target: ScalableTarget, wanted: int, cause: str, *, now_ms: int) -> bool:
        """Asks for the capacity and records that; whether it was taken."""
        refused = self._capacities.write(target.region, target.resource, target.dimension, wanted, now_ms=now_ms)
        LOG.info("scaling %s to %s: %s", target.resource, wanted, refused or cause)
        what = _WORDS.get(target.dimension, "capacity")
        activity = Activity(
            name=str(uuid.uuid4()), region=target.region, arn=target.arn, created_ms=now_ms, resource=target.resource,
            dimension=target.dimension, wanted=wanted, description=f"Setting {what} to {wanted}.", cause=cause,
            message=f"Successfully set {what} to {wanted}. Waiting for change to be fulfilled by sagemaker.",
        )  # fmt: skip
        if refused is not None:
            activity = replace(activity, status="Failed", ended_ms=now_ms, message=refused)
        self._journal.put(ACTIVITY, activity)
        self._drop_old(target)
        return refused is None

    def _settle(self, target: ScalableTarget, capacity: Capacity) -> None:
        """Ends the activities whose capacity has been reached, or will not be."""
        if capacity.busy:
            return
        for activity in self._activities(target):
            if activity.status != "InProgress":
                continue
            what = _WORDS.get(target.dimension, "capacity")
            done = capacity.current == activity.wanted
            said = f"Successfully set {what} to {activity.wanted}. Change successfully fulfilled by sagemaker."
            lost = f"Failed to set {what} to {activity.wanted}; it is {capacity.current}."
            self._journal.put(ACTIVITY, replace(
                activity, status="Successful" if done else "Failed", ended_ms=self._clock.now_ms(),
                message=said if done else lost,
            ))  # fmt: skip

    def _activities(self, target: ScalableTarget) -> list[Activity]:
        found = self._journal.all(ACTIVITY, Activity, region=target.region)
        return [item for item in found if (item.resource, item.dimension) == (target.resource, target.dimension)]

    def _drop_old(self, target: ScalableTarget) -> None:
        kept = sorted(self._activities(target), key=lambda item: item.created_ms)
        for activity in kept[:-_MOST_ACTIVITIES]:
            self._journal.remove(ACTIVITY, activity.region, activity.name)

    def _pause_ms(self, policies: Iterable[ScalingPolicy], name: str) -> int:
        """The longest cooldown that any policy asks for, in the plane's scaled time."""
        seconds = [item.configuration.get(name, item.configuration.get("Cooldown", COOLDOWN_SECONDS))
                   for item in policies]  # fmt: skip
        return int(max(seconds, default=COOLDOWN_SECONDS) * 1000 * self._time_scale)


def _cause(policies: list[ScalingPolicy], direction: str) -> str:
    for policy in policies:
        if policy.kind == "TargetTrackingScaling":
            alarm = alarm_names(policy)[0 if direction == "Out" else 1]
            return f"monitor alarm {alarm} in state ALARM triggered policy {policy.policy}"
    return f"monitor alarm in state ALARM triggered policy {policies[0].policy}" if policies else "bounds"


_WORDS = {
    "sagemaker:variant:DesiredInstanceCount": "desired instance count",
    "sagemaker:variant:DesiredProvisionedConcurrency": "desired provisioned concurrency",
    "sagemaker:inference-component:DesiredCopyCount": "desired copy count",
}
