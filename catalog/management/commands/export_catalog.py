"""Write the catalogue as `catalog-info.yaml` files of Backstage."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.dialects.backstage.exports import Layout, export
from catalog.models import Entity


class Command(BaseCommand):
    help = (
        "Write the catalogue as catalog-info.yaml files, with a Location that names them all: "
        "import_catalog reads them back to the same catalogue."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="new, or empty")
        parser.add_argument(
            "--layout",
            choices=[layout.value for layout in Layout],
            default=Layout.ENTITY.value,
            help="a file for each entity, for each system (the rest by kind), or one for all",
        )
        parser.add_argument(
            "--kind",
            action="append",
            default=[],
            metavar="KIND",
            help="only this kind or blueprint; may be given several times",
        )

    def handle(self, *, folder: Path, layout: str, kind: list[str], **_: Any) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CommandError(f"{folder} is not an empty folder; name a new one.")
        paths: set[str] = set()
        documents = 0
        for part in export(Entity.objects.all(), layout=Layout(layout), kinds=kind):
            path = folder / part.path
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(part.text)
            paths.add(part.path)
            documents += part.documents
        self.stdout.write(f"{documents} documents in {len(paths)} files of {folder}")
