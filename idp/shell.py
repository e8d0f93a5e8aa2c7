"""The admin site as an app: Django's own admin with our site in it."""

from django.contrib.admin.apps import AdminConfig


class IdpAdminConfig(AdminConfig):
    default_site = "idp.site.IdpAdminSite"
