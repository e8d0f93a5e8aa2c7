"""What machines ask a running server: is it alive, can it work, how is it doing. No log-in."""

import hmac
import ipaddress
import os
from collections.abc import Callable

import psycopg
import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

log = structlog.get_logger(__name__)

_HEARTBEAT = "worker-heartbeat"


def beat() -> None:
    """Say that a worker is alive; forgotten after three beats that did not come."""
    cache.set(_HEARTBEAT, "alive", settings.IDP_HEARTBEAT_S * 3)


def probe_database() -> None:
    """Ask PostgreSQL for a sign of life. Raises psycopg.OperationalError.

    Over a connection of its own: the pool waits ten seconds for a server that is down, and does
    not say why it is.
    """
    params = connection.get_connection_params()
    params.pop("pool", None)
    params.pop("cursor_factory", None)
    with psycopg.connect(**{**params, "connect_timeout": 2}) as probe:
        probe.execute("SELECT 1")


def probe_redis() -> None:
    """Ask Redis for a sign of life. Raises redis.RedisError."""
    cache.get(_HEARTBEAT)


def _check_database() -> str:
    probe_database()
    return ""


def _check_redis() -> str:
    probe_redis()
    return ""


def _check_worker() -> str:
    if cache.get(_HEARTBEAT):
        return ""
    return f"no heartbeat for {settings.IDP_HEARTBEAT_S * 3} seconds"


_CHECKS: dict[str, Callable[[], str]] = {
    "database": _check_database,
    "redis": _check_redis,
    "worker": _check_worker,
}


@login_not_required
@never_cache
@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """200 while this process answers at all."""
    return HttpResponse("ok", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """200 when database, Redis and a worker answer; 503 says which does not."""
    checks = {}
    for name, check in _CHECKS.items():
        try:
            problem = check()
        except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "not ready"
            # Addresses and drivers' words are for the log, not for whoever asks.
            log.warning("readiness_check_failed", check=name, error=str(error))
            problem = "does not answer"
        checks[name] = problem or "ok"
    ready = all(state == "ok" for state in checks.values())
    answer = {"status": "ready" if ready else "not ready", "checks": checks}
    return JsonResponse(answer, status=200 if ready else 503)


def _may_read_metrics(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if settings.IDP_METRICS_TOKEN and scheme.lower() == "bearer":
        return hmac.compare_digest(token.encode(), settings.IDP_METRICS_TOKEN.encode())
    # A proxy on this machine also comes from loopback, but says for whom.
    if {"X-Forwarded-For", "Forwarded", "X-Real-IP"} & set(request.headers):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text of all web processes; for this machine, or with IDP_METRICS_TOKEN."""
    if not _may_read_metrics(request):
        answer = HttpResponse(
            "Metrics need `Authorization: Bearer` with the value of IDP_METRICS_TOKEN.\n",
            content_type="text/plain",
            status=401,
        )
        answer["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return answer
    registry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
    path("metrics", metrics, name="metrics"),
    # where Backstage answers the same, for the probes of those who come from there
    path(".backstage/health/v1/liveness", healthz),
    path(".backstage/health/v1/readiness", readyz),
]
