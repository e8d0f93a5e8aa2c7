"""Write scorecards to files."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.core.management.base import BaseCommand, CommandError

from catalog.kernel.json_text import write_json
from scorecards.formats import descriptor_of
from scorecards.models import Scorecard


class Command(BaseCommand):
    help = (
        "Write each scorecard to a file of its own, as it was written: JSON, or YAML of Cortex. "
        "import_catalog reads them back to the same scorecards."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="FOLDER", help="new, or empty")

    def handle(self, *, folder: str, **_: Any) -> None:
        place = Path(folder)
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise CommandError(f"{place} is not an empty folder; name a new one.")
        place.mkdir(parents=True, exist_ok=True)
        scorecards = list(Scorecard.objects.select_related("blueprint").order_by("pk"))
        for scorecard in scorecards:
            name, text = _file_of(scorecard)
            (place / name).write_text(text, encoding="utf-8")
        self.stdout.write(f"{len(scorecards)} scorecards in {place}")


def _file_of(scorecard: Scorecard) -> tuple[str, str]:
    name = quote(scorecard.identifier, safe="@+=")
    if scorecard.dialect == Scorecard.Dialect.CORTEX:
        return f"{name}.yaml", descriptor_of(scorecard)
    blueprint = scorecard.blueprint.identifier if scorecard.blueprint else None
    stated = {"identifier": scorecard.identifier, "blueprint": blueprint, **scorecard.document}
    if scorecard.state != Scorecard.State.ACTIVE:
        stated["state"] = scorecard.state
    of_blueprint = f"{quote(blueprint, safe='@+=')}--" if blueprint else ""
    return f"{of_blueprint}{name}.json", write_json(stated) + "\n"
