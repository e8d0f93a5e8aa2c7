"""cortexapps-cli, unmodified: its commands against a running server, with fixed tokens as keys.

The client comes from `make clients`; its own files (IDP_TEST_DATA) are sent as they are.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.kernel.actors import Role
from catalog.kernel.yaml_reader import load_document
from scorecards.models import Score, Scorecard
from tests.contract.conftest import ROOT
from tests.factories import make_blueprint, make_client, make_entity

HERE = Path(__file__).parent
BIN = ROOT / ".venv-cortex" / "bin"
READY = """
# comments of the file are its author's
tag: ready
name: Ready
description: What a service needs.
draft: false
ladder:
  name: Default
  levels:
    - {name: Bronze, rank: 1, color: "#CD7F32"}
    - {name: Gold, rank: 3, color: D7AC58}
filter:
  kind: GENERIC
  types: {include: [service]}
rules:
  - {title: Is tested, expression: custom("testField") != null, level: Bronze, weight: 2}
  - {title: Is described, expression: entity.description() != null, level: Gold, weight: 1}
"""


class Cortex:
    """The client in a process of its own. keys: of the test that is run."""

    keys: dict[Role, str]

    def __init__(self, server: str) -> None:
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "CORTEX_BASE_URL": server}
        self.process = subprocess.Popen(
            [str(BIN / "python"), str(HERE / "cortex_session.py")],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: str, *args: str, key: str, body: str = "") -> tuple[int, str]:
        """Its exit code, and what it printed."""
        assert self.process.stdin
        assert self.process.stdout
        line = json.dumps({"args": [*command.split(), *args], "key": key, "input": body})
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        return told["code"], told["text"]

    def text(self, command: str, *args: str, role: Role = Role.ADMIN, body: Any = "") -> str:
        sent = body if isinstance(body, str) else json.dumps(body)
        code, text = self.ask(command, *args, key=self.keys[role], body=sent)
        assert code == 0, (command, args, text)
        return text

    def __call__(self, command: str, *args: str, **more: Any) -> Any:
        return json.loads(self.text(command, *args, **more))

    def refused(
        self, command: str, *args: str, role: Role = Role.ADMIN, key: str = "", body: str = ""
    ) -> str:
        code, text = self.ask(command, *args, key=key or self.keys[role], body=body)
        assert code == 1, text
        return " ".join(text.split())


@pytest.fixture(scope="module")
def client(gunicorn: str) -> Iterator[Cortex]:
    if not (BIN / "cortex").is_file():
        pytest.skip("cortexapps-cli is not installed (make clients)")
    one = Cortex(gunicorn)
    yield one
    one.process.kill()
    one.process.wait()


@pytest.fixture
def cortex(client: Cortex, server: str) -> Cortex:
    client.keys = {role: make_client(role=role, has_fixed_token=True)[1] for role in Role}
    make_blueprint("service", properties={"description": {"type": "string"}})
    for tag in ("cli-test-service", "pay"):
        make_entity("service", tag, title=tag.title())
    return client


def test_a_scorecard_from_file_to_shield(cortex: Cortex) -> None:
    cortex.text("scorecards create -d -f -", body=READY)
    assert not Scorecard.objects.exists()
    cortex.text("scorecards create -f -", body=READY)
    custom_data(cortex)
    scores(cortex)
    exemptions(cortex)
    initiatives(cortex)
    queries(cortex)
    refusals(cortex)
    cortex.text("scorecards delete -s ready")
    assert "404" in cortex.refused("scorecards get -s ready")


def custom_data(cortex: Cortex) -> None:
    made = cortex("custom-data add -t pay -k testField -v true")
    assert (made["key"], made["value"], made["source"]) == ("testField", True, "API")
    nested = {"key": "spend", "value": {"a": [1]}, "description": "by month"}
    assert cortex("custom-data add -t service:pay -f -", body=nested)["value"] == {"a": [1]}
    assert cortex("custom-data get -t pay -k spend")["description"] == "by month"
    assert [one["key"] for one in cortex("custom-data list -t pay")] == ["spend", "testField"]
    many = {"values": {"pay": [{"key": "k", "value": 1}], "gone": [{"key": "k", "value": 1}]}}
    told = cortex("custom-data bulk -f -", body=many)
    assert [one["key"] for one in told["values"]] == ["k"]
    assert told["errors"] == {"gone": "NOT_FOUND"}
    cortex.text("custom-data delete -t pay -k k")
    assert "404" in cortex.refused("custom-data get -t pay -k k")
    cortex.text("custom-metrics add -t pay -k spend -v 2.5")
    assert [one["value"] for one in cortex("custom-metrics get -t pay -k spend")["data"]] == [2.5]
    cortex.text("custom-metrics delete -t pay -k spend")


def scores(cortex: Cortex) -> None:
    cortex.text("scorecards trigger-evaluation -s ready -e pay")
    told = cortex("scorecards scores -s ready")
    assert (told["scorecardTag"], told["total"]) == ("ready", 2)
    [pay] = cortex("scorecards scores -s ready -t pay")["serviceScores"]
    assert (pay["service"]["tag"], pay["service"]["name"]) == ("pay", "Pay")
    assert pay["score"]["ladderLevels"] == [{"level": {"name": "Bronze", "number": 1}}]
    assert [one["score"] for one in pay["score"]["rules"]] == [2, 0]
    summary = {"score": 2, "totalPossibleScore": 3, "percentage": 0.6667}
    assert pay["score"]["summary"] == summary
    by_id = cortex("scorecards scores -s ready", "-t", pay["service"]["id"])
    assert by_id["serviceScores"] == [pay]

    [step] = cortex("scorecards next-steps -s ready -t pay")["nextSteps"]
    assert step["nextLevel"] == {"level": {"name": "Gold", "number": 3}}
    assert [one["title"] for one in step["rulesToComplete"]] == ["Is described"]
    assert cortex("scorecards shield -s ready -t pay")["value"] == (
        "![Ready](https://img.shields.io/static/v1?label=Ready&message=Bronze&color=cd7f32)"
    )
    [listed] = cortex("catalog scorecard-scores -t pay")
    assert (listed["scorecardName"], listed["scorePercentage"]) == ("Ready", 0.6667)

    shown = cortex("scorecards get -s ready")["scorecard"]
    assert [one["levelName"] for one in shown["rules"]] == ["Bronze", "Gold"]
    assert shown["filter"] == {"types": {"include": ["service"]}}
    # what came out goes in again, and nothing has changed
    cortex.text("scorecards create -f -", body=cortex.text("scorecards descriptor -s ready"))
    assert Scorecard.objects.get().version == 1


def exemptions(cortex: Cortex) -> None:
    rule = cortex("scorecards get -s ready")["scorecard"]["rules"][1]["identifier"]
    about = ("-s", "ready", "-t", "pay", "-ri", rule)

    def status(word: str, *more: str, role: Role = Role.ADMIN) -> str:
        told = cortex(f"scorecards exemptions {word}", *about, *more, role=role)
        [one] = told.get("exemptions", [told])
        return str(one["exemptionStatus"]["status"])

    asked = ("-r", "soon gone", "-d", "100")
    assert status("request", *asked, role=Role.MEMBER) == "PENDING"
    assert "409" in cortex.refused("scorecards exemptions request", *about, *asked)
    assert "403" in cortex.refused("scorecards exemptions approve", *about, role=Role.MEMBER)
    assert status("approve") == "APPROVED"
    [pay] = cortex("scorecards scores -s ready -t pay")["serviceScores"]
    assert pay["score"]["summary"]["percentage"] == 1
    assert pay["score"]["ladderLevels"] == [{"level": {"name": "Gold", "number": 3}}]
    assert [one["ruleIdentifier"] for one in pay["ruleExemptions"]] == [rule]
    assert status("revoke", "-r", "not any more") == "REJECTED"
    assert status("request", *asked, role=Role.MEMBER) == "PENDING"
    assert status("deny", "-r", "no") == "REJECTED"
    assert status("request", *asked) == "APPROVED"
    assert status("revoke", "-r", "done") == "REJECTED"


def initiatives(cortex: Cortex) -> None:
    goal = {
        "name": "All described",
        "description": "By the end of the century",
        "scorecardTag": "ready",
        "targetDate": "2099-12-31",
        "isDraft": False,
        "emphasizedLevels": [{"rank": 1}, {"rank": 3}],
        "emphasizedRules": [{"expression": "entity.description() != null"}],
        "notificationSchedule": {"isDisabled": False, "timeInterval": 2, "timeUnit": "WEEK"},
    }
    cortex.text("initiatives create -f -", body=goal)
    [made] = cortex("initiatives list")["initiatives"]
    assert made["emphasizedLevels"] == [{"rank": 3, "name": "Gold", "color": "#d7ac58"}]
    assert [one["title"] for one in made["emphasizedRules"]] == ["Is described"]
    assert made["notificationSchedule"]["timeUnit"] == "WEEK"
    cortex.text("initiatives update -f -", "-c", made["cid"], body={**goal, "name": "Better"})
    assert cortex("initiatives get", "-c", made["cid"])["name"] == "Better"
    told = cortex.refused(
        "initiatives create -f -", body=json.dumps({**goal, "targetDate": "1999-01-01"})
    )
    assert "targetDate is 1999-01-01; expected" in told
    cortex.text("initiatives delete", "-c", made["cid"])
    assert cortex("initiatives list -e -d")["initiatives"] == []


def queries(cortex: Cortex) -> None:
    job = cortex("queries run -f -", body='custom("testField") != null')["jobId"]
    told = cortex("queries get", "-j", job)
    assert told["status"] == "DONE"
    assert told["result"] == [{"tag": "pay", "name": "Pay", "type": "service"}]
    # as its `-w` waits for it
    waited = cortex("queries run -w -t 4 -f -", body='entity.tag() == "cli-test-service"')
    assert [one["tag"] for one in waited["result"]] == ["cli-test-service"]
    assert "404" in cortex.refused("queries get", "-j", job, role=Role.MEMBER)


def refusals(cortex: Cortex) -> None:
    assert "HTTP Error 401: Unauthorized - " in cortex.refused("scorecards list", key="a wrong key")
    for command in (
        "scorecards create -f -",
        "scorecards delete -s ready",
        "custom-data add -t pay -k a -v b",
        "scorecards trigger-evaluation -s ready -e pay",
    ):
        told = cortex.refused(command, role=Role.VIEWER, body=READY)
        assert "HTTP Error 403: Forbidden" in told, command
    assert cortex("scorecards list", role=Role.VIEWER)["total"] == 1
    wrong = READY.replace("level: Gold", "level: Golden")
    told = cortex.refused("scorecards create -f -", body=wrong)
    assert "HTTP Error 400: Validation failed" in told
    assert "/rules/1/level" in told
    broken = READY.replace("!= null, level: Gold", "!= , level: Gold")
    assert "column" in cortex.refused("scorecards create -f -", body=broken)
    told = cortex.refused("scorecards next-steps -s ready -t nobody")
    assert 'Entity with tag "nobody" was not found' in told


def test_its_program_and_its_own_files(cortex: Cortex, test_data: Path) -> None:
    files = sorted((test_data / "cortex" / "scorecards").glob("*.yaml"))
    assert len(files) == 16
    for file in files:
        cortex.text("scorecards create -f", str(file))
    listed = cortex("scorecards list -s")["scorecards"]
    assert len(listed) == len({load_document(one.read_text(), name="x")["tag"] for one in files})
    assert len(cortex("scorecards list")["scorecards"]) == len(listed) - 1
    last = {load_document(one.read_text(), name="x")["tag"]: one for one in files}
    for tag, file in last.items():
        cortex.text("scorecards trigger-evaluation -e cli-test-service", "-s", tag)
        told = load_document(cortex.text("scorecards descriptor", "-s", tag), name="y")
        sent = load_document(file.read_text(), name="x")
        for rule, ours in zip(sent["rules"], told["rules"], strict=True):
            rule.setdefault("identifier", ours["identifier"])
        assert told == sent, tag
    assert not Scorecard.objects.filter(evaluated_at=None).exists()

    cortex.text("custom-data add -t cli-test-service -k testField -v x")
    about = ["-s", "cli-test-evaluation-scorecard", "-e", "cli-test-service"]
    done = subprocess.run(
        [str(BIN / "cortex"), "scorecards", "trigger-evaluation", *about],
        env={**cortex.environment, "CORTEX_API_KEY": cortex.keys[Role.ADMIN]},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "triggered successfully" in done.stdout
    score = Score.objects.get(scorecard__identifier="cli-test-evaluation-scorecard")
    assert score.level == "You Made It"
