"""Addresses that pages of actions lead to."""

from __future__ import annotations

from django.contrib import admin
from django.urls import reverse

from actions.models import Action
from catalog.kernel.actors import Principal
from catalog.services.permissions import can_administer


def builder_url(principal: Principal, action: Action | None = None) -> str:
    """Where admins change this action, or all; "" for everybody else."""
    if not can_administer(principal) or not admin.site.is_registered(Action):
        return ""
    if action is None:
        return reverse("admin:actions_action_changelist")
    return reverse("admin:actions_action_change", args=[action.pk])
