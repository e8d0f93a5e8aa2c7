"""The pages of scorecards and what they read: why, what next, how many, and for whom."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from catalog.kernel.actors import Insider, Role
from catalog.models import Entity
from scorecards.models import Exemption, Rule, Score, Scorecard, ScoreChange
from scorecards.portal.words import joint_words
from scorecards.selectors.results import (
    Narrowing,
    counts_by_level,
    distribution,
    explain,
    explain_all,
    gaps_of,
    narrowed,
    next_steps,
    scores_of,
    tallies_of,
    visible_scores,
)
from scorecards.services.definitions import save, save_cortex, set_state
from tests.factories import ACTOR, make_api, make_blueprint, make_browser, make_entity
from tests.scorecards.goals import card, changed, condition, evaluated

pytestmark = pytest.mark.django_db

INSIDER = Insider()
PAGES = ["", "/-/entities", "/-/heat-map", "/-/heat-map?by=team", "/-/heat-map?by=domain"]
PAGES += ["/-/heat-map?by=blueprint", "/-/teams", "/-/history"]
URL = "/scorecards/service/ready"


def rule(identifier, level, query, **parts):
    return {"identifier": identifier, "title": identifier, "level": level, "query": query, **parts}


@pytest.fixture
def ready():
    make_blueprint("service", properties={"stars": {"type": "number"}, "docs": {"type": "string"}})
    make_entity("_team", "core", title="Core")
    make_entity("service", "pay", title="Payments", team=["core"], properties={"stars": 1})
    make_entity("service", "shop", team=["core", "web"], properties={"stars": 5, "docs": "x"})
    make_entity("service", "lab", properties={"stars": 4})
    make_entity("service", "new")
    return evaluated(card())


def score(identifier):
    return Score.objects.select_related("scorecard__blueprint", "entity__blueprint").get(
        entity__identifier=identifier
    )


def text(answer):
    assert answer.status_code == 200, answer
    return answer.content.decode()


# explained


def test_each_rule_says_what_was_found_and_what_to_do(ready):
    document = card()
    document["rules"][0] |= {
        "failureMessage": "{{context.entity.name}} ({{ context.entity.tag }}): {{context.other}}",
        "fixUrl": "https://help.example/{{context.entity.tag}}",
    }
    later = (timezone.now() + timedelta(days=3)).date()
    document["rules"].append(
        rule("soon", "Gold", condition("stars", ">", value=9), effectiveFrom=later.isoformat())
    )
    evaluated(document)
    found = explain(score("pay"))
    stars, docs, soon = found.rules
    assert (found.level.title, found.next_level.title) == ("Start", "Silver")
    assert [(p.text, p.actual, p.verdict) for p in stars.parts] == [("stars >= 3", 1, False)]
    assert stars.message == "Payments (pay): {{context.other}}"
    assert stars.fix_url == "https://help.example/pay"
    assert (docs.status.name, docs.message) == ("fail", "")
    assert (soon.status.name, soon.announced_from) == ("announced_fail", later)
    assert [one.spec.identifier for one in found.missing] == ["stars"]
    assert (found.points, found.total, found.percentage) == (0, 2, 0.0)
    assert not found.is_stale


def test_a_rule_without_data_is_not_one_that_fails(ready):
    stars, _docs = explain(score("new")).rules
    assert (stars.status.name, stars.lacks_data, stars.parts[0].actual) == ("no_data", True, None)


def test_since_when_exempt_and_stale(ready):
    long_ago, lately = timezone.now() - timedelta(days=9), timezone.now() - timedelta(days=2)
    one = score("pay")
    ScoreChange.objects.filter(entity_id=one.entity_id).update(at=long_ago)
    ScoreChange.objects.create(
        scorecard=ready, entity_id=one.entity_id, blueprint="service", identifier="pay",
        at=lately, version=1, cause="data", was_statuses="PF", statuses="FF", was_rank=1, rank=0,
        was_level="Silver", level="Start",
    )  # fmt: skip
    ends = datetime(2100, 1, 1, tzinfo=UTC)
    Exemption.objects.create(
        scorecard=ready, rule=Rule.objects.get(identifier="docs"), entity_id=one.entity_id,
        blueprint="service", identifier="pay", reason="x", status="APPROVED", ends_at=ends,
        requested_at=long_ago, requested_by="ann", requested_by_kind="user",
    )  # fmt: skip
    Score.objects.update(statuses="FX", evaluated_at=long_ago)
    Scorecard.objects.update(evaluated_at=timezone.now() - timedelta(hours=9))
    found = explain(score("pay"))
    assert [one.since for one in found.rules] == [lately, long_ago]
    assert (found.rules[1].exempt_until, found.exemptions) == (ends, 1)
    assert found.is_stale  # its window is four hours
    assert [rank for _, rank in found.ranks] == [0, 0]


def test_next_steps_are_the_nearest_and_the_easiest(ready):
    many = [
        rule("a", "Gold", condition("docs", "isNotEmpty"), effort=8),
        rule("b", "Gold", condition("stars", ">", value=9), effort=1, weight=2),
        rule("c", "Gold", condition("stars", ">", value=7), effort=4),
        rule("for-information", "Gold", condition("stars", ">", value=8), weight=0),
    ]
    levels = [{"title": "Start", "color": "red"}, {"title": "Gold", "color": "gold"}]
    other = {"title": "Other", "levels": levels, "rules": many}
    evaluated(save("other", other, dialect="native", blueprint="service", actor=ACTOR))
    explained = explain_all(scores_of(Entity.objects.get(identifier="pay"), INSIDER))
    steps = next_steps(explained)
    assert [(s.rule.spec.identifier, s.missing) for s in steps] == [
        ("stars", 1),
        ("b", 3),
        ("c", 3),
    ]


def test_gaps_are_of_my_teams_over_all_scorecards(ready, django_assert_num_queries):
    make_entity("_user", "ann@example.com", relations={"team": ["core"]})
    information = rule("for-information", "Silver", condition("stars", ">", value=8), weight=0)
    evaluated(card(rules=[*card()["rules"], information]))
    browser = make_browser("ann")
    gaps = gaps_of(browser.user, limit=5)
    assert [(g.score.entity.identifier, g.level.title) for g in gaps] == [("pay", "Silver")]
    changed("pay", stars=3)
    with django_assert_num_queries(5):
        [gap] = gaps_of(browser.user, limit=5)
    assert (gap.level.title, [one.spec.identifier for one in gap.missing]) == ("Gold", ["docs"])
    html = text(browser.get("/"))
    assert "Next on our scorecards" in html
    assert "Has docs" in html


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        (None, ""),
        (0, ""),
        (("and", (0,)), ""),
        (("or", (0, 1)), "One of these is enough."),
        (("and", (0, 1, 2)), "All of these are wanted."),
        (("and", (0, ("or", (1, ("not", (2,)))))), "Wanted: 1 and (2 or not 3)."),
        (("not", (("and", (0, 1)),)), "Wanted: not (1 and 2)."),
        (("not", (0,)), "Wanted: not 1."),
    ],
)
def test_how_the_parts_of_a_rule_hang_together(tree, words):
    assert joint_words(tree) == words


# counted


def test_entities_are_counted_by_level_rule_and_group(ready):
    tally = distribution(ready, INSIDER)
    assert (tally.entities, dict(tally.ranks)) == (4, {0: 2, 1: 1, 2: 1})
    stars = tally.of_rule(Rule.objects.get(identifier="stars").slot)
    assert (stars.passed, stars.counted, stars.named("no_data")) == (2, 4, 1)
    assert counts_by_level([ready], INSIDER)[ready.pk].ranks == {0: 2, 1: 1, 2: 1}
    teams = tallies_of(ready, INSIDER, "team")
    assert {name: dict(one.ranks) for name, one in teams.items()} == {
        "core": {0: 1, 2: 1},
        "web": {2: 1},
        "": {0: 1, 1: 1},
    }
    assert set(tallies_of(ready, INSIDER, "team", only=["web"])) == {"web"}


@pytest.mark.parametrize(
    ("by", "found"),
    [
        ({"rank": 2}, {"shop"}),
        ({"slot": 0}, {"pay", "new"}),
        ({"slot": 0, "status": "no_data"}, {"new"}),
        ({"slot": 99}, set()),
        ({"status": "no_data"}, {"new"}),
        ({"status": "nonsense"}, set()),
        ({"team": "web"}, {"shop"}),
        ({"text": "PAYM"}, {"pay"}),
        ({"text": "%"}, set()),
    ],
)
def test_entities_are_narrowed(ready, by, found):
    scores = narrowed(visible_scores(ready, INSIDER), Narrowing(**by))
    assert set(scores.values_list("entity__identifier", flat=True)) == found


# pages


def test_pages_take_as_many_statements_for_many_as_for_few(ready, django_assert_max_num_queries):
    browser = make_browser(role=Role.VIEWER)
    few = {}
    for page in PAGES:
        with django_assert_max_num_queries(25) as few[page]:
            text(browser.get(URL + page))
    for number in range(6):
        make_entity("_team", f"t{number}")
        make_entity("service", team=[f"t{number}"], properties={"stars": number})
    evaluated(ready)
    for page in PAGES:
        with django_assert_max_num_queries(len(few[page]), info=page):
            text(browser.get(URL + page))


def test_the_list_and_the_overview(ready):
    browser = make_browser()
    html = text(browser.get("/scorecards"))
    assert URL in html
    assert "4 entities" in html
    assert browser.get("/scorecards/ready").url == URL
    html = text(browser.get(URL))
    assert "2 of 4 pass" in html
    assert "1 without data" in html
    assert "<svg" in html
    assert "Evaluate now" not in html
    assert browser.get("/scorecards/service/none").status_code == 404


def test_an_announced_rule_leads_to_those_who_would_not_pass(ready):
    document = card()
    document["rules"][0] |= {"effectiveFrom": "2999-01-01"}
    evaluated(document)
    browser = make_browser()
    assert "from 1 January 2999" in text(browser.get(URL))
    html = text(browser.get(f"{URL}/-/entities?rule=stars&status=announced_fail"))
    assert "Payments" in html
    assert "/catalog/service/shop" not in html


def test_a_scorecard_without_levels_is_about_points(ready):
    tags = [{"title": "Stars", "expression": 'entity.property("stars") != null', "weight": 3}]
    text_of_it = {"tag": "points", "name": "Points", "rules": tags}
    scorecard, _ = save_cortex(text_of_it, actor=ACTOR)
    evaluated(scorecard)
    browser = make_browser(role=Role.ADMIN)
    html = text(browser.get("/scorecards/points"))
    assert "points only" not in html
    assert "Open points" in html
    assert "Stars" in text(browser.get("/catalog/service/pay?tab=scorecards"))
    assert "Points" in text(browser.get("/scorecards/points/badge/service/pay.svg"))


def test_words_of_people_stay_words(ready):
    evil = "<img src=x onerror=alert(1)>"
    document = card(title=evil, description=evil, owner=evil)
    document["levels"][1] |= {"title": evil}
    document["rules"][0] |= {"title": evil, "level": evil, "description": evil}
    document["rules"][0] |= {"failureMessage": evil, "fixUrl": "https://x.example/a"}
    evaluated(document)
    browser = make_browser(role=Role.ADMIN)
    for page in ["/scorecards", *(URL + page for page in PAGES), "/catalog/service/pay"]:
        assert "<img src=x" not in text(browser.get(page)), page
    html = text(browser.get("/catalog/service/pay?tab=scorecards"))
    assert "<img src=x" not in html
    assert "https://x.example/a" in html
    svg = text(browser.get("/scorecards/ready/badge/service/lab.svg"))
    assert "<img" not in svg


def test_an_entity_s_page_says_why_and_what_next(ready):
    browser = make_browser()
    card_html = text(browser.get("/catalog/service/pay"))
    assert "next: Silver, 1 to go" in card_html
    html = text(browser.get("/catalog/service/pay?tab=scorecards"))
    for words in ("the last one to Silver", "stars &gt;= 3", "Ask for an exemption"):
        assert words in html
    html = text(browser.get("/catalog/_team/core"))
    assert "of what the team owns" in html
    assert 'href="?tab=scorecards"' not in html


def test_csv_has_every_entity_that_is_asked_for(ready):
    answer = make_browser().get(f"{URL}/-/entities.csv?rule=stars")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert lines[0].endswith("Has three stars,Has docs")
    assert sorted(line.split(",")[0] for line in lines[1:]) == ["new", "pay"]
    assert next(line for line in lines if line.startswith("pay,")).endswith("fail,fail")


def test_the_badge_is_for_those_who_are_in_and_answers_304(ready):
    url = "/scorecards/ready/badge/service/shop.svg"
    browser = make_browser()
    answer = browser.get(url)
    assert (answer["Content-Type"], "Gold" in text(answer)) == (
        "image/svg+xml; charset=utf-8",
        True,
    )
    assert browser.get(url, headers={"If-None-Match": answer["ETag"]}).status_code == 304
    assert "no result" not in text(browser.get("/scorecards/ready/badge/service/new.svg"))
    assert browser.get("/scorecards/ready/badge/service/gone.svg").status_code == 404
    browser.logout()
    assert browser.get(url).status_code == 302


def test_drafts_are_for_admins_and_their_owner(ready):
    evaluated(card(owner="ann@example.com"))
    set_state(ready, "draft", ACTOR)
    for browser, status in [
        (make_browser(role=Role.ADMIN), 200),
        (make_browser("ann"), 200),
        (make_browser("bo"), 404),
    ]:
        assert browser.get(URL).status_code == status
        listed = URL in text(browser.get("/scorecards"))
        tab = "Has three stars" in text(browser.get("/catalog/service/pay?tab=scorecards"))
        assert (listed, tab) == (status == 200, status == 200)


@pytest.mark.parametrize("is_off", [False, True])
def test_without_a_ranking_people_see_their_own_teams(ready, settings, is_off):
    make_entity("_user", "ann@example.com", relations={"team": ["core"]})
    settings.IDP_SCORECARD_RANKING = not is_off
    html = text(make_browser("ann").get(f"{URL}/-/teams"))
    assert "Core" in html
    assert ("web" in html) is not is_off
    assert "web" in text(make_browser(role=Role.ADMIN).get(f"{URL}/-/teams"))


def test_teams_may_count_with_those_below_them(ready, settings):
    make_entity("_team", "web")
    make_entity("_team", "all", title="Everybody", relations={"children": ["core", "web"]})
    make_entity("_user", "ann@example.com", relations={"team": ["core"]})
    url = f"{URL}/-/teams?subteams=1"
    browser = make_browser("ann")
    assert "Everybody" not in text(browser.get(f"{URL}/-/teams"))
    rows = {one.identifier: one.tally for one in browser.get(url).context["groups"]}
    assert {name: (one.entities, dict(one.ranks)) for name, one in rows.items()} == {
        "all": (2, {0: 1, 2: 1}),
        "core": (2, {0: 1, 2: 1}),
        "web": (1, {2: 1}),
        "": (2, {0: 1, 1: 1}),
    }
    assert rows["all"].percentage == 50
    settings.IDP_SCORECARD_RANKING = False
    assert [one.identifier for one in browser.get(url).context["groups"]] == ["core"]


def test_owners_who_may_only_read_see_all_teams_but_do_not_evaluate(ready, settings):
    evaluated(card(owner="ann@example.com"))
    settings.IDP_SCORECARD_RANKING = False
    browser = make_browser("ann")
    for role, status in ((Role.VIEWER, 403), (Role.MEMBER, 302)):
        browser.user.role = role
        browser.user.save()
        assert browser.post(f"{URL}/-/evaluate").status_code == status
        assert ("Evaluate now" in text(browser.get(URL))) is (status == 302)
        assert "web" in text(browser.get(f"{URL}/-/teams"))


def test_evaluate_now_is_for_admins_and_the_owner(ready):
    Score.objects.all().delete()
    assert make_browser().post(f"{URL}/-/evaluate").status_code == 403
    assert not Score.objects.exists()
    assert make_browser(role=Role.ADMIN).get(f"{URL}/-/evaluate").status_code == 405
    answer = make_browser("root", role=Role.ADMIN).post(f"{URL}/-/evaluate", follow=True)
    assert "Evaluated 4 entities" in text(answer)
    assert Score.objects.count() == 4


# API


def test_results_are_listed_page_by_page(ready):
    api = make_api(Role.VIEWER)
    first = api.get("/v1/scorecards/ready/results?limit=3").json()
    rest = api.get(f"/v1/scorecards/ready/results?limit=3&from={first['next']}").json()
    rows = {one["entity"]["identifier"]: one for one in first["results"] + rest["results"]}
    assert (set(rows), rest["next"]) == ({"pay", "shop", "lab", "new"}, None)
    assert rows["pay"]["rules"] == {"stars": "fail", "docs": "fail"}
    assert (rows["shop"]["level"], rows["shop"]["percentage"]) == ("Gold", 100.0)
    for asked, expected in [("level=Gold", ["shop"]), ("rule=stars&status=no_data", ["new"])]:
        found = api.get(f"/v1/scorecards/ready/results?{asked}").json()["results"]
        assert [one["entity"]["identifier"] for one in found] == expected
    answer = api.get("/v1/scorecards/ready/results?level=Platinum")
    assert (answer.status_code, answer.json()["details"]["field"]) == (400, "level")


def test_an_entity_s_scorecards_are_explained(ready):
    api = make_api(Role.VIEWER)
    [found] = api.get("/v1/blueprints/service/entities/pay/scorecards").json()["scorecards"]
    assert (found["level"], found["nextLevel"], found["missing"]) == ("Start", "Silver", ["stars"])
    assert found["rules"][0]["parts"] == [{"text": "stars >= 3", "actual": 1, "verdict": False}]


def test_evaluating_over_the_api(ready):
    assert make_api(Role.MEMBER).post("/v1/scorecards/ready/evaluate").status_code == 403
    answer = make_api().post("/v1/scorecards/ready/evaluate")
    assert answer.json()["evaluation"]["entities"] == 4
