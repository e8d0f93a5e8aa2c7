"""The demo organisation: an invented grocer, so that a newcomer sees a living portal at once.

Its descriptors are Backstage files, its scorecards files of Port and of Cortex, read like anybody's
by the importer; then a few of its people change something, so that there is history to look at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.dialects.imports import ImportOptions, ImportResult, import_files
from catalog.kernel.actors import Actor
from catalog.services.entities import EntityDraft, Mode, apply
from idp.demo import scorecards
from idp.models import User

ORGANISATION = Path(__file__).parent / "organisation"
DOMAIN = "brightwater.example"
ADMIN_IS = f"ada.marsh@{DOMAIN}"

# who, which component, what it says afterwards
_EDITS: list[tuple[str, str, dict[str, Any]]] = [
    ("emil.strand", "feature-store", {"lifecycle": "production"}),
    (
        "grace.mbeki",
        "substitutions",
        {"description": "Offers another yoghurt when yours is out, and asks before it swaps."},
    ),
    ("jonas.weber", "order-archiver", {"tags": ["python", "sunset-2027"]}),
    ("amara.diallo", "fraud-check", {"description": "Says no, politely, in under 40 ms."}),
    ("lena.fischer", "route-planner", {"tags": ["rust", "solver"]}),
    ("ben.carver", "api-gateway", {"tags": ["go", "envoy", "http3"]}),
]


def load() -> ImportResult:
    """Import the demo organisation. Loading it again brings back what was edited meanwhile."""
    options = ImportOptions(takes_others=True)
    result = import_files([str(ORGANISATION)], actor=Actor.system("demo"), options=options)
    scorecards.measure()
    scorecards.evaluate()
    for name, component, properties in _EDITS:
        apply(
            [EntityDraft("component", component, properties=properties)],
            mode=Mode.MERGE,
            actor=Actor("user", f"{name}@{DOMAIN}"),
            must_exist=True,
        )
    scorecards.evaluate()
    scorecards.set_goals()
    return result


def adopt_admin() -> None:
    """Make the user `admin` one of its people, so that there is something under "my work"."""
    if not User.objects.filter(email__iexact=ADMIN_IS).exists():
        User.objects.filter(username="admin", email="").update(email=ADMIN_IS)
