"""Actions in files, in the admin: choose or paste, see what becomes of each, store; and export.

Between the two steps the text waits in the cache, sealed, for the one who chose it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from django import forms
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET

from actions.services.importing import (
    MAX_BYTES,
    Given,
    Report,
    exported,
    import_actions,
    read_text,
)
from catalog.admin.actors import actor_for
from catalog.forms.configuration import FilesField, FilesInput
from catalog.forms.widgets import CodeInput
from catalog.kernel import crypto
from catalog.kernel.admin import IdpModelAdmin
from catalog.kernel.errors import IdpError
from catalog.kernel.json_text import write_json
from catalog.kernel.yaml_writer import write_yaml_documents

WAITS_S: Final = 30 * 60
PASTED: Final = "pasted"


class ImportForm(forms.Form):
    use_required_attribute = False

    chosen = FilesField(
        label="Files",
        required=False,
        widget=FilesInput(attrs={"accept": ".yaml,.yml,.json", "class": "idp-file"}),
        help_text="YAML or JSON.",
    )
    text = forms.CharField(
        label="Or paste them",
        required=False,
        strip=False,
        max_length=MAX_BYTES,
        widget=CodeInput(rows=12, placeholder="identifier: scaffold_service\ntitle: …"),
        help_text="An action, a list of them, or <code>actions:</code> with a list; YAML may hold "
        "several documents. Those of Port are taken as they are.",
    )

    def clean(self) -> dict[str, Any]:
        """Adds `texts`: {file name: text}."""
        texts: dict[str, str] = {}
        for name, content in (self.cleaned_data.get("chosen") or {}).items():
            try:
                texts[name] = content.decode("utf-8-sig")
            except UnicodeDecodeError:
                self.add_error("chosen", f"{name} is no text in UTF-8.")
        if self.cleaned_data.get("text", "").strip():
            texts[PASTED] = self.cleaned_data["text"]
        if not texts and not self.errors:
            self.add_error("text", "Choose files, or paste some actions.")
        if sum(len(one.encode()) for one in texts.values()) > MAX_BYTES:
            self.add_error(None, f"That is more than {MAX_BYTES // 1024**2} MiB; do it in parts.")
        return {**self.cleaned_data, "texts": texts}


class ImportPages(IdpModelAdmin):
    """What the admin of actions has of this."""

    def import_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("import/", view(self.import_view), name="actions_action_import"),
            path("export/", view(require_GET(self.export_view)), name="actions_action_export"),
        ]

    def import_view(self, request: HttpRequest) -> HttpResponse:
        """POST shows what would become of them, and POST of that stores them."""
        if request.method == "POST" and "_import" in request.POST:
            return self._import(request, request.POST["_import"])
        form = ImportForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
        if request.method == "POST" and form.is_valid():
            texts = form.cleaned_data["texts"]
            try:
                report = import_actions(_given(texts), actor=actor_for(request), is_dry_run=True)
            except IdpError as error:
                form.add_error(None, str(error))
            else:
                token = secrets.token_urlsafe(18)
                cache.set(_key(request, token), crypto.seal(texts), WAITS_S)
                return self._report(request, report, token)
        return self.page(
            request,
            "admin/actions/action/import.html",
            {"title": "Import actions", "form": form},
        )

    def export_view(self, request: HttpRequest) -> HttpResponse:
        """The list, with its filters, as one file; `?as=json`."""
        query = request.GET.copy()
        is_json = query.pop("as", [""])[-1] == "json"
        request.GET = query  # type: ignore[assignment] # as the list takes it
        listed = self.get_changelist_instance(request).queryset.values("pk")
        found = self.model.objects.filter(pk__in=listed).select_related("blueprint")
        documents = list(exported(found.order_by("identifier")))
        text = write_json(documents) if is_json else write_yaml_documents(documents)
        kind, end = ("application/json", "json") if is_json else ("application/yaml", "yaml")
        return HttpResponse(
            text,
            content_type=f"{kind}; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="actions.{end}"'},
        )

    def _import(self, request: HttpRequest, token: str) -> HttpResponse:
        key = _key(request, token)
        sealed = cache.get(key)
        if sealed is None:
            self.message_user(request, "That took too long: choose the files again.", "WARNING")
            return HttpResponseRedirect(reverse("admin:actions_action_import"))
        try:
            report = import_actions(_given(crypto.open_(sealed)), actor=actor_for(request))
        except IdpError as error:
            self.message_user(request, str(error), "ERROR")
            return HttpResponseRedirect(reverse("admin:actions_action_import"))
        cache.delete(key)
        return self._report(request, report, "")

    def _report(self, request: HttpRequest, report: Report, token: str) -> HttpResponse:
        changes = len(report.items) - report.counts["unchanged"] - report.counts["refused"]
        return self.page(
            request,
            "admin/actions/action/import_report.html",
            {
                "title": "What would become of them" if token else "What became of them",
                "report": report,
                "token": token if changes else "",
                "is_stored": not token,
                "changes": changes,
            },
        )


def _given(texts: Mapping[str, str]) -> Iterator[Given]:
    return chain.from_iterable(read_text(text, name=name) for name, text in texts.items())


def _key(request: HttpRequest, token: str) -> str:
    return f"actions:import:{request.user.pk}:{token[:64]}"
