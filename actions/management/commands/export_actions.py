"""Write actions to files."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.core.management.base import BaseCommand, CommandError

from actions.models import Action
from actions.services.importing import exported
from catalog.kernel.yaml_writer import write_yaml, write_yaml_documents


class Command(BaseCommand):
    help = (
        "Write each action, with its permissions, to a YAML file of its own, or all of them to the "
        "standard output (-): import_actions reads them back to the same actions."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", metavar="FOLDER", help="new, or empty; - for the output")

    def handle(self, *, folder: str, **_: Any) -> None:
        actions = Action.objects.select_related("blueprint").order_by("identifier")
        if folder == "-":
            self.stdout.write(write_yaml_documents(exported(actions)), ending="")
            return
        place = Path(folder)
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise CommandError(f"{place} is not an empty folder; name a new one.")
        place.mkdir(parents=True, exist_ok=True)
        count = 0
        for document in exported(actions):
            name = quote(document["identifier"], safe="@+=")
            (place / f"{name}.yaml").write_text(write_yaml(document), encoding="utf-8")
            count += 1
        self.stdout.write(f"{count} actions in {place}")
