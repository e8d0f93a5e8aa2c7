"""The portal: home, search, teams, people, and the own profile."""

from django.urls import path

from idp.portal import search, views

app_name = "portal"

urlpatterns = [
    path("", views.home, name="home"),
    path("search", search.search, name="search"),
    path("search/palette", search.palette, name="palette"),
    path("teams", views.teams, name="teams"),
    path("people", views.people, name="people"),
    path("me", views.me, name="me"),
]
