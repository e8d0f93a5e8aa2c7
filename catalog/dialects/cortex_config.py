"""The configuration of Cortex-like portals: providers, each with its switch and settings.

provider: aws
cluster_name: production
providers:
  github: {enabled: true, token: ${GITHUB_TOKEN}, webhookSecret: ${WEBHOOK_SECRET}}
  prometheus: {enabled: true, address: http://prometheus:9090}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from catalog.dialects.backstage.config import Entry

_OWN: Final = ("provider", "cluster_name", "clusterName", "storage")
_BACKSTAGE: Final = ("app", "backend", "catalog", "integrations", "organization", "techdocs")


@dataclass(frozen=True, slots=True)
class Provider:
    """A system that is read. entry: its settings; for `provider: aws` the word alone."""

    name: str
    entry: Entry
    is_enabled: bool = True


def is_cortex(root: Mapping[str, Any]) -> bool:
    """Whether a file has this shape and not Backstage's."""
    if any(key in root for key in _BACKSTAGE):
        return False
    return isinstance(root.get("providers"), dict) or sum(key in root for key in _OWN) > 1


def providers(root: Entry) -> Iterator[Provider]:
    """Those of the file, and the cloud that `provider` names. Raises InvalidInput."""
    named = set()
    if section := root.get("providers"):
        for name, entry in section.items():
            named.add(name.lower())
            if not entry.is_object:
                yield Provider(name, entry, entry.flag())
                continue
            enabled = entry.get("enabled")
            yield Provider(name, entry, enabled is None or enabled.flag())
    cloud = root.get("provider")
    if cloud and not cloud.missing and cloud.text().lower() not in named:
        yield Provider(cloud.text(), cloud)
