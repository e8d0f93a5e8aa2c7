"""Which actions and channels use which secrets of the organisation."""

from __future__ import annotations

from collections.abc import Iterator

from actions.models import Action, Channel
from actions.services.templating import secret_names
from catalog.kernel.errors import InvalidInput
from catalog.kernel.placeholders import names_in


def secret_users() -> Iterator[tuple[str, Action | Channel]]:
    """(name of a secret, who names it)."""
    for action in Action.objects.only("identifier", "document"):
        try:
            names = secret_names(action.invocation)
        except InvalidInput:  # its runs say what is wrong with its templates
            continue
        for name in names:
            yield name, action
    for channel in Channel.objects.only("title", "url"):
        for name in names_in(channel.url):
            yield name, channel
