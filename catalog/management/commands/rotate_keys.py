"""Seal all secrets with the first of the encryption keys."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from catalog.kernel import crypto
from catalog.registry import resealers
from catalog.services import secrets


class Command(BaseCommand):
    help = (
        "Seal all secrets with the first key of IDP_ENCRYPTION_KEYS (or of encryption.key in the "
        "home folder). Afterwards the other keys can be taken out. Harmless to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--new-key", action="store_true", help="only print a fresh key; nothing is changed"
        )

    def handle(self, *, new_key: bool, **_: Any) -> None:
        if new_key:
            self.stdout.write(crypto.new_key())
            return
        try:
            resealed, integrations = secrets.reseal_all()
            others = {what: reseal() for what, reseal in resealers.items()}
        except crypto.SealingFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            self.style.SUCCESS(
                f"Sealed with the first key: {resealed} secrets, "
                f"the settings of {integrations} integrations"
                + "".join(f", {count} {what}" for what, count in others.items())
                + "."
            )
        )
