"""The base of all our admin pages: Unfold's, without what does not fit a large catalogue."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList as DjangoChangeList
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import urlencode
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator
from unfold.views import ChangeList

from catalog.kernel.errors import IdpError
from catalog.kernel.keyset import AFTER, BEFORE, Keyset


class IdpModelAdmin(ModelAdmin):  # type: ignore[misc] # Unfold has no types
    """Lists start with `visible_to`, never count, and show fifty rows a page.

    `keyset`: for long lists, the order in which they are paged (then columns cannot be sorted).
    Writes go through services, so there are no bulk actions and no log entries of Django's: the
    change feed is the log.
    """

    class Media:
        css = {"all": ["catalog/admin/admin.css"]}

    keyset: ClassVar[Keyset | None] = None
    list_per_page = 50
    list_before_template = "admin/filter_chips.html"
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    paginator = InfinitePaginator
    list_filter_submit = True
    actions = None
    view_on_site = False
    warn_unsaved_form = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset: QuerySet[Any] = self.model._default_manager.all()
        visible_to = getattr(queryset, "visible_to", None)
        if visible_to is not None:
            queryset = visible_to(request.user)
        ordering = () if self.keyset else self.get_ordering(request)
        return queryset.order_by(*ordering) if ordering else queryset

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Lists are narrowed by their filters alone: any other column could be guessed letter by
        letter from the address, digests of secrets too.
        """
        return any(
            lookup == f"{one.parameter_name}{end}"
            for one in self.get_list_filter(request)
            for end in ("", "_from", "_to")
        )

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DjangoChangeList]:
        return KeysetChangeList if self.keyset else IdpChangeList

    def get_keyset(self, request: HttpRequest) -> Keyset:
        """The order of the list; lists with several orders override it."""
        if self.keyset is None:
            raise ImproperlyConfigured(f"{type(self).__name__} has no keyset")
        return self.keyset

    def get_sortable_by(self, request: HttpRequest) -> Any:
        return () if self.keyset else super().get_sortable_by(request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        title = str(self.opts.verbose_name_plural)
        context = {"title": title[:1].upper() + title[1:], **(extra_context or {})}
        # The cursor is no filter: a new search or filter starts at the first page.
        query = request.GET.copy()
        cursor = {name: query.pop(name, [""])[-1] for name in (AFTER, BEFORE)}
        request.list_cursor = cursor  # type: ignore[attr-defined] # as middleware does
        request.GET = query  # type: ignore[assignment]
        try:
            answer: HttpResponse = super().changelist_view(request, context)
        except IdpError as error:  # a cursor of another list
            messages.error(request, error.message)
            return HttpResponseRedirect(request.path)
        return answer

    def load(self, request: HttpRequest, object_id: str) -> Any:
        """The object of a page, or 404."""
        queryset = self.get_queryset(request)
        if self.list_select_related:
            queryset = queryset.select_related(*self.list_select_related)
        try:
            return queryset.get(pk=unquote(object_id))
        except (self.model.DoesNotExist, ValueError, ValidationError, OverflowError):
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}") from None

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The history of everything is in the change log."""
        query = urlencode({"model": self.feed_model, "object": object_id})
        return HttpResponseRedirect(f"{reverse('admin:catalog_change_changelist')}?{query}")

    @property
    def feed_model(self) -> str:
        """The name of this model in the change feed."""
        return str(self.opts.model_name)

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """The service has recorded it in the change feed."""

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:
        """The service has recorded it in the change feed."""

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """The service has recorded it in the change feed."""

    def page(
        self,
        request: HttpRequest,
        template: str,
        context: dict[str, Any],
        *,
        original: Model | None = None,
        status: int = 200,
    ) -> TemplateResponse:
        """One of our own pages in the frame of the admin."""
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request,
            template,
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "original": original,
                "model_admin": self,
                "media": self.media,
                **context,
            },
            status=status,
        )


class ReadOnlyAdmin(IdpModelAdmin):
    """For what people may look at and nobody edits by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class _KeysetPaginator:
    """What the list's footer needs to know."""

    template_name = "admin/keyset_pagination.html"

    def __init__(self, changelist: KeysetChangeList, after: str | None, before: str | None) -> None:
        query = changelist.get_query_string
        self.next = query({AFTER: after}) if after else None
        self.previous = query({BEFORE: before}) if before else None
        self.first = query() if before else None


class IdpChangeList(ChangeList):  # type: ignore[misc]
    """A change list that tells which filters are on, and how to take each off."""

    @property
    def chips(self) -> list[tuple[str, str, str]]:
        """(title, value, address without it) of each filter that is on."""
        found = []
        for spec in self.filter_specs:
            labels = {
                str(value): str(label) for value, label in getattr(spec, "lookup_choices", ())
            }
            for name, value in spec.used_parameters.items():
                if value:
                    shown = labels.get(str(value), str(value))
                    found.append((str(spec.title), shown, self.get_query_string({name: None})))
        return found


class KeysetChangeList(IdpChangeList):
    """A change list that is paged by `IdpModelAdmin.get_keyset`."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return []  # `get_results` orders

    def get_results(self, request: HttpRequest) -> None:
        page = self.model_admin.get_keyset(request).page(
            self.queryset, getattr(request, "list_cursor", {}), size=self.list_per_page
        )
        self.result_list = page.rows
        self.result_count = self.full_result_count = len(page.rows)  # equal: no count is told
        self.show_full_result_count = False
        self.show_admin_actions = False
        self.can_show_all = self.multi_page = False
        self.paginator = _KeysetPaginator(self, page.after, page.before)
