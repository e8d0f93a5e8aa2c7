"""`manage.py up`. `manage.py` itself goes to the supervisor without loading Django."""

import argparse
import os
import sys

from django.core.management.base import BaseCommand, CommandError

from idp import supervisor


class Command(BaseCommand):
    help = "Start the engines, the portal and its background work on this machine."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        supervisor.add_arguments(parser)

    def handle(self, **given: object) -> None:
        try:
            options = supervisor.read_options(given, os.environ)
        except supervisor.StartError as error:
            raise CommandError(str(error)) from error
        sys.exit(supervisor.run(options))
