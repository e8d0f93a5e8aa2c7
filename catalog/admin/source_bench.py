"""The playground of a mapping: the text in the editor, an object beside it, what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.http import QueryDict

from catalog.admin.sources_base import can_sync
from catalog.forms.mapping_text import as_text, read_text
from catalog.ingest import integrations, playground
from catalog.ingest.mapping import Finding, ResourceMapping
from catalog.ingest.mapping import Mapping as SourceMapping
from catalog.kernel.errors import IdpError, InvalidInput
from catalog.kernel.json_text import read_json, write_json
from catalog.models import Integration
from catalog.services import secrets

OWN: Final = "own"  # the sample that somebody typed


class Bench:
    """What the page of a mapping shows, from what it sent.

    The page says what it shows (`shown_…`), so that only what changed is drawn anew, and that it
    goes without scripts as well. A source is asked only when `_fetch` was pressed; nothing is
    stored but the samples that it gives.
    """

    def __init__(self, source: Integration, post: QueryDict) -> None:
        self.source = source
        self.is_foreign = not source.runs_here
        self.is_try = "_try" in post or "_fetch" in post
        self.text = post.get("mapping", as_text(source.mapping)).replace("\r\n", "\n")
        self.errors: list[tuple[str, str]] = []  # (path, message)
        self.findings: list[Finding] = []
        self.mapping: SourceMapping | None = None
        self.blueprints: list[integrations.PlannedBlueprint] = []
        self.trial: playground.Trial | None = None
        self.problem: IdpError | None = None  # of the sample
        self.fetched: int | None = None
        self._read()
        self._pick(post)
        self.at = self._place(post.get("resource", "0"))
        if "_fetch" in post:
            self._fetch()
        self._sample(post)
        self._try()

    def refuse(self, error: IdpError) -> None:
        """Show why the mapping was not taken."""
        listed = error.details.get("errors") or [{"path": "", "message": str(error)}]
        self.errors = [(one["path"], one["message"]) for one in listed]

    @property
    def resources(self) -> Sequence[ResourceMapping]:
        return self.mapping.resources if self.mapping else ()

    @property
    def resource(self) -> ResourceMapping | None:
        """The one that is tried."""
        return self.resources[self.at] if self.resources else None

    @property
    def can_fetch(self) -> bool:
        return can_sync(self.source)

    @property
    def labels(self) -> str:
        """Which resources the page offers."""
        return " ".join(f"{one.kind}>{one.blueprint or '?'}" for one in self.resources)

    @property
    def plan(self) -> str:
        """Which blueprints the page names."""
        return " ".join(f"{one.identifier}={one.exists:d}" for one in self.blueprints)

    def _read(self) -> None:
        try:
            document = read_text(self.text)
            if not document:
                return
            self.mapping = playground.read_mapping(self.source, document)
            # Exporters name types of their own, which may sound like our kinds.
            kind = "" if self.is_foreign else self.source.kind
            self.blueprints = integrations.plan_blueprints(kind, document)
            self.findings = playground.remarks(self.mapping)
        except IdpError as error:
            self.mapping = None
            self.refuse(error)

    def _pick(self, post: QueryDict) -> None:
        """Which of the missing blueprints to create: all, but for those that were unticked."""
        shown, chosen = post.get("shown_plan", ""), post.getlist("blueprint")
        seen = {one.partition("=")[0] for one in shown.split(" ")}
        self.picked = [
            one.identifier
            for one in self.blueprints
            if not one.exists
            and one.document is not None
            and (one.identifier in chosen or one.identifier not in seen)
        ]
        self.swaps_plan = not self.errors and shown != self.plan
        self.swaps_resources = not self.errors and post.get("shown_resources", "") != self.labels
        # What is about to be made is not missing for long.
        soon = {f'There is no blueprint "{name}"' for name in self.picked}
        self.findings = [one for one in self.findings if one.message not in soon]

    def _place(self, text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
        return number if number < len(self.resources) else 0

    def _fetch(self) -> None:
        """Ask the source for the first objects, and keep them as samples."""
        resource = self.resource
        if resource is None or not self.can_fetch:
            return
        try:
            items = integrations.sample_items(
                self.source.kind,
                secrets.masked_settings(self.source.settings, self.source.sealed),
                resource.kind,
                selector=resource.selector,
                integration=self.source,
            )
        except IdpError as error:
            self.problem = error
            return
        self.fetched = len(items)
        if items:
            playground.keep_samples(self.source, resource.kind, items)

    def _sample(self, post: QueryDict) -> None:
        """The object that is tried: what is in the page, or another that was chosen."""
        resource = self.resource
        self.samples = playground.samples_of(self.source, resource.kind) if resource else []
        known = {one.ref: one for one in self.samples}
        self.ref, self.payload = post.get("sample", ""), post.get("payload", "")
        kind = resource.kind if resource else ""
        is_other_kind = bool(resource) and post.get("shown_kind", "") != kind
        self.shown_kind = kind or post.get("shown_kind", "")
        is_other = is_other_kind or bool(self.fetched)
        self.swaps_payload = is_other or (
            not self.errors and self.ref != post.get("shown_sample", "")
        )
        if not self.swaps_payload or (self.ref == OWN and not is_other):
            return
        if is_other or self.ref not in known:
            self.ref = self.samples[0].ref if self.samples else OWN
        self.payload = write_json(known[self.ref].data) if self.ref in known else ""

    def _try(self) -> None:
        if self.resource is None or self.mapping is None or not self.payload.strip():
            return
        try:
            item = read_json(self.payload)
            self.trial = playground.try_resource(self.source, self.mapping, self.resource, item)
        except InvalidInput as error:
            self.problem = self.problem or error
