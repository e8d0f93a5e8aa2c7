"""Channels that are told of what happens, and the messages that went out."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.db.models import BigIntegerField, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.decorators import display
from unfold.widgets import UnfoldBooleanSwitchWidget

from actions.models import Channel, Message
from actions.notifications import channels
from actions.notifications.notices import topics
from actions.notifications.sending import payload_of, place_of
from catalog.admin.actors import actor_for
from catalog.admin.filters import ChoiceFilter
from catalog.forms.widgets import CheckboxList, Select, TextInput
from catalog.kernel.admin import IdpModelAdmin, ReadOnlyAdmin
from catalog.kernel.errors import IdpError, NotFound
from catalog.kernel.keyset import Key, Keyset
from catalog.models import Secret

_LIST: Final = "admin:actions_channel_changelist"
_AS_TYPED: Final = {"autocapitalize": "off", "spellcheck": "false", "autocomplete": "off"}
_COLOURS: Final = {
    Message.State.SENT: "success",
    Message.State.FAILED: "danger",
    Message.State.WAITING: "info",
}
_LINES: Final = 8


class ChannelForm(forms.Form):
    use_required_attribute = False

    title = forms.CharField(
        max_length=channels.MAX_TITLE,
        widget=TextInput(placeholder="Platform team in Slack", **_AS_TYPED),
    )
    format = forms.ChoiceField(choices=Channel.Format.choices, widget=Select())
    url = forms.CharField(
        max_length=channels.MAX_URL,
        label="Address",
        widget=TextInput(
            placeholder="https://hooks.slack.com/services/${SLACK_HOOK}",
            list="secret_references",
            **_AS_TYPED,
        ),
        help_text="Write what is secret of it as <code>${NAME}</code>: it is put in when a message "
        "is sent, and shown to nobody.",
    )
    topics = forms.MultipleChoiceField(
        choices=lambda: list(topics().items()),
        required=False,
        widget=CheckboxList(),
        help_text="None chosen: all there are.",
    )
    is_active = forms.BooleanField(
        required=False, label="It is told", initial=True, widget=UnfoldBooleanSwitchWidget
    )

    def __init__(self, data: Any = None, *, channel: Channel | None = None) -> None:
        names = ("title", "format", "url", "topics", "is_active")
        initial = {name: getattr(channel, name) for name in names} if channel else {}
        super().__init__(data, initial=initial)

    def refuse(self, error: IdpError) -> None:
        """Show a service's refusal where it belongs."""
        field = str(error.details.get("field", ""))
        self.add_error(field if field in self.fields else None, str(error))


@admin.register(Channel)
class ChannelAdmin(IdpModelAdmin):
    list_display = ["title", "format_of", "place", "hears", "is_told"]
    search_fields = ["title"]
    ordering = ["title"]
    change_list_template = "admin/actions/channel/list.html"
    feed_model = channels.MODEL

    @display(description="Format", ordering="format")
    def format_of(self, channel: Channel) -> str:
        return str(channel.get_format_display())

    @display(description="Address")
    def place(self, channel: Channel) -> str:
        return format_html('<span class="idp-thing-name">{}</span>', place_of(channel.url))

    @display(description="Is told")
    def hears(self, channel: Channel) -> str:
        known = topics()
        return "; ".join(known.get(one, one) for one in channel.topics) or "everything"

    @display(description="On", boolean=True, ordering="is_active")
    def is_told(self, channel: Channel) -> bool:
        return channel.is_active

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "<path:object_id>/try/",
                view(require_POST(self.try_view)),
                name="actions_channel_try",
            ),
            *super().get_urls(),
        ]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        form = ChannelForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                made = channels.create_channel(actor=actor_for(request), **form.cleaned_data)
            except IdpError as error:
                form.refuse(error)
            else:
                messages.success(request, f"{made.title} is told from now on; try it below.")
                return HttpResponseRedirect(_url("change", made))
        return self._page(request, form, None, "Add a channel")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        channel = self.load(request, object_id)
        form = ChannelForm(request.POST or None, channel=channel)
        if request.method == "POST" and form.is_valid():
            try:
                saved = channels.update_channel(
                    channel, actor=actor_for(request), **form.cleaned_data
                )
            except IdpError as error:
                form.refuse(error)
            else:
                messages.success(request, f"{saved.title} was saved.")
                return HttpResponseRedirect(_url("change", saved))
        return self._page(request, form, channel, channel.title)

    def try_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send a message now."""
        channel = self.load(request, object_id)
        message = channels.try_channel(channel, actor=actor_for(request))
        if message.state == Message.State.SENT:
            messages.success(request, "The message arrived.")
        else:
            messages.error(request, f"The message did not arrive. {message.error}")
        return HttpResponseRedirect(_url("change", channel))

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        channel = self.load(request, object_id)
        if request.method == "POST":
            try:
                channels.delete_channel(channel, actor=actor_for(request))
            except NotFound:
                messages.warning(request, f"{channel.title} was gone already.")
            else:
                messages.success(request, f"{channel.title} is told nothing any more.")
            return HttpResponseRedirect(reverse(_LIST))
        return self.page(
            request,
            "admin/actions/channel/delete.html",
            {"title": f"Delete {channel.title}", "channel": channel},
            original=channel,
        )

    def _page(
        self, request: HttpRequest, form: ChannelForm, channel: Channel | None, title: str
    ) -> HttpResponse:
        return self.page(
            request,
            "admin/actions/channel/form.html",
            {
                "title": title,
                "form": form,
                "channel": channel,
                "secrets": list(Secret.objects.values_list("name", flat=True)),
                "lines": channel.messages.all()[:_LINES] if channel else [],
            },
            original=channel,
        )


class StateFilter(ChoiceFilter):
    title = "state"
    parameter_name = "state"
    options = tuple(Message.State.values)


class KindFilter(ChoiceFilter):
    title = "way"
    parameter_name = "kind"
    options = tuple(Message.Kind.values)


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    keyset = Keyset([Key("pk", "pk", BigIntegerField())], descending=True)
    list_display = ["when", "what", "to", "state_of", "attempts", "error"]
    list_display_links = ["when"]
    list_filter = [StateFilter, KindFilter]
    list_select_related = ["channel", "run"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return Message.objects.order_by()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(
            request, {"title": "Messages that went out", **(extra_context or {})}
        )

    @display(description="When")
    def when(self, message: Message) -> str:
        return render_to_string("admin/cells/moment.html", {"moment": message.created_at})

    @display(description="What")
    def what(self, message: Message) -> str:
        return str(message.body.get("title", ""))

    @display(description="To")
    def to(self, message: Message) -> str:
        return _target(message)

    @display(description="State", label=_COLOURS)
    def state_of(self, message: Message) -> str:
        return message.state

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        message = self.load(request, object_id)
        is_call = message.kind == Message.Kind.WEBHOOK
        return self.page(
            request,
            "admin/actions/message/detail.html",
            {
                "title": message.body.get("title", "Message"),
                "message": message,
                "target": _target(message),
                "sent": payload_of(message.body, message.format) if is_call else message.body,
            },
            original=message,
        )


def _target(message: Message) -> str:
    if message.channel:
        return message.channel.title
    return place_of(message.target) if message.kind == Message.Kind.WEBHOOK else message.target


def _url(page: str, channel: Channel) -> str:
    return reverse(f"admin:actions_channel_{page}", args=[channel.pk])
