"""`/self-service`, `/runs`, `/approvals`, and where Backstage had them."""

from django.urls import path

from actions.portal.forms.pickers import pick
from actions.portal.views import approvals, classic, notifications, runs, self_service, trials
from catalog.portal import links  # noqa: F401 - registers the converter "identifier"

app_name = "actions"

urlpatterns = [
    path("self-service", self_service.index, name="index"),
    path("self-service/", self_service.index),
    path("self-service/<identifier:identifier>", self_service.form, name="form"),
    path("self-service/<identifier:identifier>/form", self_service.form_part, name="form-part"),
    path("self-service-choices", pick, name="pick"),
    path("self-service/<identifier:identifier>/try", trials.dry_run, name="try"),
    path("runs", runs.index, name="runs"),
    path("runs/", runs.index),
    path("runs/<str:identifier>", runs.run, name="run"),
    path("runs/<str:identifier>/live", runs.live, name="run-live"),
    path("runs/<str:identifier>/log", runs.log, name="run-log"),
    path("runs/<str:identifier>/approve", approvals.approve, name="approve"),
    path("runs/<str:identifier>/decline", approvals.decline, name="decline"),
    path("runs/<str:identifier>/cancel", runs.cancel, name="cancel"),
    path("runs/<str:identifier>/repeat", runs.repeat, name="repeat"),
    path("runs/<str:identifier>/redeliver", runs.redeliver, name="redeliver"),
    path("runs/<str:identifier>/files/<str:name>", runs.file, name="run-file"),
    path("approvals", approvals.index, name="approvals"),
    path("notifications", notifications.index, name="notifications"),
    path("notifications/read", notifications.read, name="notifications-read"),
    path("create", classic.templates),
    path("create/templates/<str:namespace>/<str:name>", classic.template),
    path("create/tasks/<str:identifier>", classic.task),
]
