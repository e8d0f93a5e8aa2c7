"""Addresses under /api/scaffolder."""

from django.urls import path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from actions.api.scaffolder import tasks, templates

_TEMPLATE = "v2/templates/<segment:namespace>/<segment:kind>/<segment:name>"
_TASK = "v2/tasks/<segment:task>"

urlpatterns = [
    path(f"{_TEMPLATE}/parameter-schema", templates.ParameterSchema.as_view()),
    path("v2/actions", templates.ActionList.as_view()),
    path("v2/templating-extensions", templates.TemplatingExtensions.as_view()),
    path("v2/autocomplete/<segment:provider>/<segment:resource>", templates.Autocomplete.as_view()),
    path("v2/dry-run", templates.DryRun.as_view()),
    path("v2/tasks", tasks.TaskList.as_view()),
    path(_TASK, tasks.TaskDetail.as_view()),
    path(f"{_TASK}/cancel", tasks.TaskCancel.as_view()),
    path(f"{_TASK}/retry", tasks.TaskRetry.as_view()),
    path(f"{_TASK}/events", tasks.TaskEvents.as_view()),
    path(f"{_TASK}/eventstream", tasks.TaskEventStream.as_view()),
]
