"""`manage.py sync`."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Entity, SyncRun
from catalog.services.integrations import set_enabled
from tests.catalog.ingest.toy import make_source, named, now_has
from tests.factories import ACTOR, make_blueprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]


def run(*arguments):
    out = StringIO()
    call_command("sync", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_sync_is_queued_for_a_worker():
    source = make_source(repo=named("a"))
    set_enabled(make_source("off", repo=named("a")), False, actor=ACTOR)
    text = run()
    [asked] = SyncRun.objects.all()
    assert text == f"toys: run {asked.pk} is queued\n"
    assert (asked.integration, asked.state, asked.requested_by) == (
        source,
        "queued",
        "manage.py sync",
    )


def test_a_sync_is_done_and_told():
    make_blueprint("repo")
    make_blueprint("team")
    make_source(repo=named("a", "b"), team=named("t"))
    assert "Succeeded (dry run: nothing was stored)" in run("toys", "--wait", "--dry-run")
    assert not Entity.objects.filter(blueprint__identifier="repo").exists()
    text = run("toys", "--wait", "--kind=repo")
    assert [line.split() for line in text.splitlines()[1:4]] == [
        ["fetched", "filtered", "failed", "created", "updated", "unchanged", "rejected"],
        ["repo", "2", "0", "0", "2", "0", "0", "0"],
        ["team", *"0000000"],
    ]


@pytest.mark.parametrize(
    ("world", "code", "said"),
    [
        (named("a", fail_page=1), 1, "failed: 503 from toy.example: try later"),
        ({"items": [{"name": "a"}, {"name": "no good"}]}, 2, "error: repo no good identifier: "),
    ],
)
def test_what_went_wrong_is_the_exit_code(world, code, said):
    make_blueprint("repo")
    now_has(make_source(repo=named("a")), repo=world)
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("sync", "toys", "--wait", stdout=out, stderr=StringIO())
    assert caught.value.returncode == code
    assert said in out.getvalue()


def test_what_cannot_be_synced_is_said():
    make_source(repo=named("a"))
    with pytest.raises(CommandError, match=r'There is no source "x"; there are: toys\.'):
        run("x")
    with pytest.raises(CommandError, match='has no kind "team"; expected one of: repo'):
        run("toys", "--kind=team")
