"""The one admin site."""

from unfold.sites import UnfoldAdminSite


class IdpAdminSite(UnfoldAdminSite):
    """Unfold's site under our name; every app registers with it through `admin.register`."""
