"""Scorecards from the shell."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from catalog.kernel.actors import Actor
from scorecards.models import Scorecard
from scorecards.services import definitions
from tests.factories import make_blueprint, make_entity

pytestmark = pytest.mark.django_db

RULE = {"identifier": "described", "title": "Described", "weight": 2, "expression": "git != null"}
YAML = """tag: ready
name: Ready
rules:
- title: Has a repository
  expression: git != null
  weight: 1
"""


@pytest.fixture
def scorecards():
    make_blueprint("service")
    make_entity("service", "a")
    body = {"title": "Basics", "rules": [RULE]}
    actor = Actor.system("tests")
    definitions.save("basics", body, dialect="native", blueprint="service", actor=actor)
    body["state"] = "draft"
    definitions.save("wide/er", body, dialect="native", blueprint=None, actor=actor)
    definitions.save_cortex(YAML, actor=actor)


def said(command, *arguments):
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


def test_what_is_exported_is_imported_to_the_same(scorecards, tmp_path):
    folder = tmp_path / "scorecards"
    assert said("export_scorecards", str(folder)) == f"3 scorecards in {folder}\n"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["ready.yaml", "service--basics.json", "wide%2Fer.json"]
    kept = list(Scorecard.objects.values_list("identifier", "document", "state", "dialect"))
    assert said("import_catalog", str(folder)).splitlines()[1].split() == [
        *("scorecards", "0", "0", "3", "0"),
    ]
    Scorecard.objects.all().delete()
    said("import_catalog", str(folder))
    again = Scorecard.objects.values_list("identifier", "document", "state", "dialect")
    assert sorted(again, key=lambda row: row[0]) == sorted(kept, key=lambda row: row[0])
    with pytest.raises(CommandError, match="not an empty folder"):
        said("export_scorecards", str(folder))


def test_they_are_evaluated_now(scorecards):
    assert said("evaluate", "service:basics") == (
        "service:basics: 1 entities, 0 changed (0 up, 0 down), 1 new, 0 gone\n"
    )
    assert len(said("evaluate").splitlines()) == 3
    with pytest.raises(CommandError, match="there are: service:basics, ready, wide/er"):
        said("evaluate", "nothing")
