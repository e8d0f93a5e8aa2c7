"""What is wrong with objects of a cluster, how bad it is, and what helps.

The detectors are those that users of Backstage know; severity goes from 1 to 10.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from catalog.kernel.errors import shorten
from catalog.selectors.kubernetes import Found

_POD = re.compile(r"\s*\bpod=\S+")
_PULL: Final = (
    "The image cannot be fetched: is its name and tag right, does it exist, and may the cluster "
    "read that registry (imagePullSecrets)?"
)
_MAKE: Final = "The container cannot be made: is its command or a mounted path wrong?"
_WAITING: Final = {
    "CrashLoopBackOff": "It starts and ends again and again: look at the logs of its last run, "
    "and at what changed in the release before.",
    "ImagePullBackOff": _PULL,
    "ErrImagePull": _PULL,
    "InvalidImageName": "The name of the image is malformed: correct it in the manifest.",
    "CreateContainerConfigError": "A config map or a secret that it names, or a key in one, is "
    "not there in this namespace.",
    "CreateContainerError": _MAKE,
    "RunContainerError": _MAKE,
}
_ENDED: Final = {
    "OOMKilled": "It used more memory than its limit allows: raise the limit, or find what takes "
    "the memory.",
    "Error": "Its process ended with an error: look at the logs of its last run.",
    "Unknown": "Nobody knows how it ended: look at the events of the pod and of its node.",
    "DeadlineExceeded": "It ran longer than it may (activeDeadlineSeconds).",
}


@dataclass(slots=True)
class Problem:
    """detector: its name. container: of the pod, where it is one container's. fix: what helps.
    found: the objects that have it, in the same words."""

    detector: str
    severity: int
    message: str
    fix: str
    container: str = ""
    found: list[Found] = field(default_factory=list)


def problems_of(objects: Sequence[Found], *, now: datetime | None = None) -> list[Problem]:
    """All that is wrong, worst first; what several objects of a kind have in the same words is
    one problem with all of them."""
    moment = now or timezone.now()
    merged: dict[tuple[str, ...], Problem] = {}
    for one in objects:
        for problem in _of(one, moment):
            key = (one.cluster, one.kind, problem.detector, problem.container, problem.message)
            merged.setdefault(key, problem).found.append(one)
    return sorted(merged.values(), key=lambda one: (-one.severity, -len(one.found)))


def _of(one: Found, now: datetime) -> Iterator[Problem]:
    properties = one.entity.properties
    match one.kind:
        case "Pod":
            for container in _dicts(properties.get("containers")):
                yield from _of_container(container, now)
        case "HorizontalPodAutoscaler":
            most, current = properties.get("maxReplicas"), properties.get("readyReplicas")
            if isinstance(most, int | float) and most == current:
                yield Problem(
                    "hpa-max-current-replicas",
                    8,
                    f"It runs the most replicas that it may ({most:g}).",
                    "More load finds no more replicas: raise maxReplicas, or give each more room.",
                )
        case "Job":
            for condition in _dicts(properties.get("conditions")):
                if condition.get("type") == "Failed" and condition.get("status") == "True":
                    yield Problem(
                        "job-failed",
                        5,
                        _said(condition, "It failed."),
                        "Look at the logs of its pods; delete the job to have it run anew.",
                    )
        case _:
            yield from _of_conditions(properties)


def _of_conditions(properties: dict[str, Any]) -> Iterator[Problem]:
    for condition in _dicts(properties.get("conditions")):
        if condition.get("status") == "False" and condition.get("type") not in (None, ""):
            yield Problem(
                "condition-message-present",
                6,
                f"{condition['type']}: {_said(condition, 'it does not hold.')}",
                "The replica sets and pods below say why; a release that cannot come up may be "
                "rolled back.",
            )


def _of_container(container: dict[str, Any], now: datetime) -> Iterator[Problem]:
    name = str(container.get("name") or "")
    restarts = container.get("restarts")
    if container.get("state") == "waiting" and container.get("message"):
        reason = str(container.get("reason") or "")
        # Without the pod's name, so that ten pods with one fault are one problem.
        message = _words(_POD.sub("", str(container["message"])))
        yield Problem(
            "container-waiting",
            4,
            f"{reason}: {message}" if reason else message,
            _WAITING.get(reason, "Look at the events of the pod."),
            name,
        )
    if isinstance(restarts, int | float) and restarts > 0:
        last = str(container.get("lastReason") or "Unknown")
        yield Problem(
            "containers-restarting",
            4,
            f"It was restarted; it ended last with {last}.",
            _ENDED.get(last, "Look at the logs of its last run."),
            name,
        )
    if _is_late(container, now):
        yield Problem(
            "readiness-probe-taking-too-long",
            4,
            "It runs, but is not ready in the time that its readiness probe allows.",
            "Look at its logs; is the probe's path and port right, and does it need longer to "
            "start (initialDelaySeconds)?",
            name,
        )


def _is_late(container: dict[str, Any], now: datetime) -> bool:
    probe, started = container.get("readiness"), container.get("startedAt")
    if container.get("state") != "running" or container.get("isReady") or container.get("isInit"):
        return False
    if not isinstance(probe, dict) or not isinstance(started, str):
        return False
    try:
        began = parse_datetime(started)
        allowed_s = _number(probe, "delay") + _number(probe, "period") * _number(probe, "failures")
        return bool(began and began.tzinfo and began + timedelta(seconds=allowed_s) < now)
    except (ValueError, OverflowError):
        return False


def _number(holder: dict[str, Any], name: str) -> float:
    value = holder.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _said(condition: dict[str, Any], otherwise: str) -> str:
    told = condition.get("message") or condition.get("reason")
    return _words(told) if told else otherwise


def _words(text: Any) -> str:
    return shorten(str(text), 500)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
