"""Addresses of Backstage's scaffolder, as readmes and chats name them, lead to ours."""

from __future__ import annotations

from django.http import Http404, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from actions.models import Action
from catalog.dialects.backstage.mapping import key_of_ref
from catalog.dialects.backstage.refs import EntityRef
from catalog.models import Entity
from catalog.portal.links import entity_url
from catalog.portal.shell import PortalRequest, portal_view


@portal_view
@require_GET
def templates(request: PortalRequest) -> HttpResponseRedirect:
    """`/create`: what there is to start."""
    return redirect(reverse("actions:index"))


@portal_view
@require_GET
def template(request: PortalRequest, namespace: str, name: str) -> HttpResponseRedirect:
    """`/create/templates/:namespace/:name`: its form; its page, where nothing runs it."""
    ref = EntityRef("template", namespace, name)
    visible = Entity.objects.visible_to(request.user)
    blueprint, identifier = key_of_ref(ref)
    found = (
        visible.filter(blueprint__identifier=blueprint, identifier=identifier).first()
        # one whose identifier is no name of Backstage is known there by another
        or visible.filter(document__ref=str(ref)).select_related("blueprint").first()
    )
    if found is None:
        raise Http404(f"{ref} is not in the catalogue")
    action = Action.objects.filter(template=found).first()
    if action is None:
        return redirect(entity_url(blueprint, found.identifier))
    return redirect(reverse("actions:form", args=[action.identifier]))


@portal_view
@require_GET
def task(request: PortalRequest, identifier: str) -> HttpResponseRedirect:
    """`/create/tasks/:id`: its run."""
    return redirect(reverse("actions:run", args=[identifier]))
