"""The portal: home, search, teams, people, and the own profile."""

from django.urls import path

from idp.portal import views

app_name = "portal"

urlpatterns = [
    path("", views.home, name="home"),
    path("search", views.search, name="search"),
    path("search/palette", views.palette, name="palette"),
    path("teams", views.teams, name="teams"),
    path("people", views.people, name="people"),
    path("me", views.me, name="me"),
]
