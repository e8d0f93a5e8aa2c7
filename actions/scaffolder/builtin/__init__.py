"""The template actions that come with the platform."""

from __future__ import annotations

from actions.scaffolder.builtin import (
    catalogue,
    debug,
    fetching,
    files,
    github,
    gitlab,
    publishing,
)
from actions.scaffolder.registry import register_template_action


def register() -> None:
    """Called once, as the app starts."""
    for module in (catalogue, debug, fetching, files, github, gitlab, publishing):
        for action in module.ACTIONS:
            register_template_action(action)
