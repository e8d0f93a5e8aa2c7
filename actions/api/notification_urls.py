"""Addresses under /api/notifications."""

from django.urls import path

import catalog.kernel.segments  # noqa: F401 - registers <segment:…>
from actions.api import notifications

urlpatterns = [
    path("notifications", notifications.NotificationList.as_view()),
    path("notifications/update", notifications.NotificationUpdate.as_view()),
    path("notifications/<segment:notification>", notifications.NotificationDetail.as_view()),
    path("status", notifications.NotificationStatus.as_view()),
    path("topics", notifications.NotificationTopics.as_view()),
]
