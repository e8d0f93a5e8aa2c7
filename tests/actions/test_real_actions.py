"""Real actions of Port's: which load as they are, and why others do not."""

import pytest

from actions import dispatching
from actions.models import Action, Run
from actions.services.importing import import_actions, read_text
from tests.factories import ACTOR, make_api, make_blueprint

pytestmark = pytest.mark.django_db

# What of the files does not load, with the field that is to blame.
REFUSED: dict[str, str] = {}


def test_every_action_loads_or_is_refused_with_a_reason(test_data):
    make_blueprint("service")
    files = [
        path
        for path in sorted((test_data / "port").rglob("*"))
        if path.suffix in (".json", ".yaml", ".yml") and path.name.startswith("actions")
    ]
    found = [one for path in files for one in read_text(path.read_bytes(), name=path.name)]
    report = import_actions(found, actor=ACTOR)
    assert [one.identifier for one in report.items if one.status == "created"] == [
        "gitlab_scaffold_service",
        "gitlab_send_scorecard_reminder",
        "gitlab_enrich_service",
        "gitlab_create_s3_bucket",
    ]
    assert {one.identifier: one.reason for one in report.refused} == REFUSED
    again = import_actions(found, actor=ACTOR)
    assert again.counts == {"created": 0, "updated": 0, "unchanged": 4, "refused": 0}
    for given in found:  # kept word for word
        stored = Action.objects.get(identifier=given.value["identifier"])
        expected = {key: value for key, value in given.value.items() if key != "identifier"}
        assert list(stored.document.items()) == list(expected.items())


def test_the_action_of_the_guide_works_as_written(test_data, vendor):
    """Its address is somebody else's, so the call goes to a receiver of ours."""
    make_blueprint("service")
    text = (test_data.parent / "seed" / "create-service.action.yaml").read_text()
    assert "https://api.getport.io/v1/webhooks/service-create" in text
    text = text.replace("https://api.getport.io/v1/webhooks/service-create", f"{vendor.url}/hook")
    [item] = import_actions(read_text(text, name="seed"), actor=ACTOR).items
    assert (item.status, item.identifier) == ("created", "create-service")
    vendor.json("/hook", {}, method="POST", status=202)
    api = make_api()
    inputs = {"serviceName": "pay", "team": "team-backend", "repositoryUrl": "https://x.io/pay"}
    wrong = api.post("/v1/actions/create-service/runs", {"properties": {**inputs, "team": "x"}})
    assert (wrong.status_code, wrong.json()["details"]["field"]) == (422, "properties.team")
    started = api.post("/v1/actions/create-service/runs", {"properties": inputs})
    assert started.status_code == 202
    dispatching.dispatch(Run.objects.get().pk)
    [call] = vendor.calls
    sent = call.json()
    assert sent["payload"]["properties"] == inputs
    assert sent["context"]["runId"] == started.json()["run"]["id"]
