"""Sources as people set them up."""

import pytest

from catalog.ingest.connections import connection_for
from catalog.ingest.integrations import (
    create_source,
    sample_items,
    try_connection,
    update_source,
)
from catalog.kernel.errors import AlreadyExists, InvalidInput, InvalidMapping, NotFound
from catalog.models import Blueprint, Change, Integration, SyncRun
from catalog.services.integrations import (
    create_integration,
    delete_integration,
    rename_integration,
    set_enabled,
)
from catalog.services.secrets import MASK, create_secret, open_settings
from tests.catalog.ingest.toy import make_source, named, sync, toy_mapping
from tests.factories import ACTOR, make_blueprint

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("toy")]

SETTINGS = {"kinds": {"repo": named("a", "b")}, "token": "s3cret-token"}


def create(**parts):
    given = {"identifier": "toys", "kind": "toy", "actor": ACTOR, "settings": SETTINGS, **parts}
    return create_source(**given)


def history():
    rows = Change.objects.filter(model=Change.INTEGRATION).order_by("pk")
    return list(rows.values_list("action", "identifier", "before", "after"))


def test_a_source_is_made_with_the_defaults_of_its_kind():
    source = create(schedule="every 1h", with_blueprints=True)
    assert (source.icon, source.runs_here, source.is_enabled) == ("Toy", True, True)
    assert source.mapping == toy_mapping("repo")
    assert Blueprint.objects.filter(identifier="repo").exists()
    assert source.next_run_at is not None
    assert history() == [("create", "toys", None, None)]
    assert sync(source).state == SyncRun.State.SUCCEEDED


def test_secrets_are_kept_apart_and_told_to_nobody():
    source = create()
    assert "token" not in source.settings
    assert b"s3cret" not in bytes(source.sealed)
    source = update_source(
        source, actor=ACTOR, settings={**SETTINGS, "token": MASK, "region": "us"}
    )
    assert open_settings(source.sealed) == {"token": "s3cret-token"}
    source = update_source(source, actor=ACTOR, settings={**SETTINGS, "token": "another one"})
    assert open_settings(source.sealed) == {"token": "another one"}
    source = update_source(source, actor=ACTOR, settings={**SETTINGS, "token": ""})
    assert source.sealed is None
    told = history()[1:]
    assert [sorted(after) for _, _, _, after in told] == [
        ["settings"],
        ["secrets", "settings"],
        ["secrets"],
    ]
    assert (told[1][3]["secrets"], told[2][3]["secrets"]) == ("replaced", [])
    assert "s3cret" not in str(told)


@pytest.mark.parametrize(
    ("settings", "field", "said"),
    [
        ({"token": "x!"}, "settings", 'settings: "kinds" is a required property'),
        ({**SETTINGS, "region": "moon"}, "settings.region", '"eu"'),
        ({**SETTINGS, "token": "x!"}, "settings.token", "it does not fit; expected minLength: 3"),
        ({"kinds": 3, "region": "moon"}, "settings.kinds", "(and 1 more)"),
        ({**SETTINGS, "kinds": {"a": "\x00"}}, "", "cannot be stored"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, field, said):
    with pytest.raises(InvalidInput) as caught:
        create(settings=settings)
    assert said in str(caught.value)
    assert caught.value.details.get("field", "") == field
    assert "x!" not in str(caught.value) + str(caught.value.details)
    assert not Integration.objects.exists()
    assert history() == []


@pytest.mark.parametrize(
    ("parts", "error", "said"),
    [
        ({"kind": "nope"}, NotFound, "Installed are: "),
        ({"identifier": "a/b"}, InvalidInput, "identifier is 'a/b'"),
        ({"identifier": ""}, InvalidInput, "expected 1 to 100 letters"),
        ({"title": "t" * 201}, InvalidInput, "title"),
        ({"schedule": "often"}, InvalidInput, "schedule"),
        ({"mapping": {"resources": {}}}, InvalidMapping, "resources"),
    ],
)
def test_what_else_is_refused(parts, error, said):
    with pytest.raises(error) as caught:
        create(**parts, with_blueprints=True)
    assert said in str(caught.value)
    assert not Integration.objects.exists()
    assert not Blueprint.objects.filter(identifier="repo").exists()


def test_identifiers_are_unique_and_webhooks_have_their_own():
    create()
    with pytest.raises(AlreadyExists, match='Integration "toys" exists already'):
        create()
    hook = create_integration(identifier="toys", kind="webhook", actor=ACTOR)
    assert hook.webhook_key
    other = create(identifier="others")
    with pytest.raises(AlreadyExists):
        rename_integration(other, "toys", actor=ACTOR)
    assert rename_integration(other, "more", actor=ACTOR).identifier == "more"
    assert history()[-1] == ("rename", "more", {"identifier": "others"}, {"identifier": "more"})


def test_a_change_of_nothing_changes_nothing():
    source = create(title="Toys")
    again = update_source(
        source, actor=ACTOR, title="Toys", settings=SETTINGS, mapping=source.mapping
    )
    assert (again.updated_at, len(history())) == (source.updated_at, 1)
    changed = update_source(source, actor=ACTOR, title="More toys")
    assert changed.updated_at > source.updated_at
    assert history()[-1] == ("update", "toys", {"title": "Toys"}, {"title": "More toys"})
    set_enabled(changed, False, actor=ACTOR)
    assert history()[-1][3] == {"isEnabled": False}
    delete_integration(changed, actor=ACTOR)
    assert history()[-1][0] == "delete"
    assert history()[-1][2]["secrets"] == ["token"]
    with pytest.raises(NotFound):
        set_enabled(changed, True, actor=ACTOR)


def test_a_bad_mapping_changes_nothing():
    source = create()
    with pytest.raises(InvalidMapping):
        update_source(source, actor=ACTOR, title="New", mapping={"resources": [{"kind": "x"}]})
    source.refresh_from_db()
    assert (source.title, source.mapping) == ("", toy_mapping("repo"))


def test_connections_have_defaults_and_secrets_in_clear():
    create_secret(name="TOYS", value="of the organisation", actor=ACTOR)
    source = create(settings={**SETTINGS, "token": "${TOYS}"})
    said = []
    connection = connection_for(source, log=lambda level, message: said.append(message))
    assert connection.settings["region"] == "eu"
    assert connection.settings["token"] == "of the organisation"
    source.settings["region"] = "${NOWHERE}"
    with pytest.raises(InvalidInput, match="NOWHERE"):
        connection_for(source, log=lambda level, message: None)


def test_settings_can_be_tried_before_they_are_kept():
    source = create()
    assert try_connection("toy", {**SETTINGS, "region": "us"}) == ["In us"]
    assert try_connection("toy", {**SETTINGS, "token": MASK}, integration=source) == ["In eu"]
    items = [{"name": "a", "password": "x"}, {"name": "s3cret-token"}, {"name": "c"}]
    settings = {**SETTINGS, "kinds": {"repo": {"items": items, "page_size": 1}}}
    assert sample_items("toy", settings, "repo", limit=2) == [
        {"name": "a", "password": "***"},
        {"name": "***"},
    ]
    with pytest.raises(InvalidInput, match="expected one of: repo, team, issue"):
        sample_items("toy", settings, "nope")


def test_the_log_of_a_kind_hides_its_secrets():
    make_blueprint("repo")
    source = make_source(repo=named("a", fail_page=1))
    source.settings["kinds"]["repo"]["error"] = "bug"
    source.save()
    run = sync(source)
    assert "s3cret" not in run.error + str(run.kinds) + str(list(run.messages.values()))
