"""Problems in the names and words of Backstage's errors."""

from typing import Any

import pytest

from catalog.dialects.backstage.wording import refusal_of, status_item, told_as

GOOD: dict[str, Any] = {
    "apiVersion": "backstage.io/v1alpha1",
    "kind": "Component",
    "metadata": {"name": "x"},
    "spec": {"type": "a", "lifecycle": "b", "owner": "c"},
}
POLICY = "Policy check failed for component:default/x; caused by Error: "
KIND = (
    "Processor BuiltinKindsEntityProcessor threw an error while validating the entity "
    "component:default/x; caused by TypeError: "
)


def with_spec(**spec: Any) -> dict[str, Any]:
    return {**GOOD, "spec": {**GOOD["spec"], **spec}}


@pytest.mark.parametrize(
    ("document", "name", "message"),
    [
        ([], "TypeError", "<root> must be object - type: object"),
        (
            {**GOOD, "metadata": {}},
            "TypeError",
            "/metadata must have required property 'name' - missingProperty: name",
        ),
        (
            {**GOOD, "kind": ""},
            "TypeError",
            "/kind must NOT have fewer than 1 characters - limit: 1",
        ),
        (
            {**GOOD, "metadata": {"name": "x", "tags": "a"}},
            "InputError",
            f"{POLICY}Malformed envelope, /metadata/tags must be array",
        ),
        ({**GOOD, "extra": 1}, "InputError", f"{POLICY}Unknown field extra"),
        (
            {**GOOD, "extra": 1, "spec": []},
            "InputError",
            f"{POLICY}Malformed envelope, /spec must be object",
        ),
        (
            {**GOOD, "metadata": {"name": "x", "labels": {"a": "b c"}}},
            "InputError",
            f'{POLICY}"labels.a" is not valid; expected empty or 1 to 63 letters, digits and - _ . '
            'with a letter or digit at both ends but found "b c"',
        ),
        (with_spec(owner=1), "InputError", f"{KIND}/spec/owner must be string - type: string"),
        (
            with_spec(providesApis=["a", ""]),
            "InputError",
            f"{KIND}/spec/providesApis/1 must NOT have fewer than 1 characters - limit: 1",
        ),
        (
            {**GOOD, "apiVersion": "backstage.io/v9"},
            "InputError",
            "No processor recognized the entity component:default/x as valid, possibly caused by a "
            "foreign kind or apiVersion",
        ),
    ],
)
def test_the_first_problem_is_told(document: Any, name: str, message: str) -> None:
    refusal = refusal_of(document)
    assert refusal is not None
    assert (refusal["name"], refusal["message"]) == (name, message)


def test_a_good_document_is_not_refused() -> None:
    assert refusal_of(GOOD) is None


def test_references_and_causes() -> None:
    refusal = refusal_of(with_spec(owner="group:"))
    assert refusal is not None
    assert refusal["cause"]["name"] == "TypeError"
    assert refusal["message"].endswith(f"; caused by TypeError: {refusal['cause']['message']}")
    assert status_item(refusal) == {
        "type": "backstage.io/catalog-processing",
        "level": "error",
        "message": f"InputError: {refusal['message']}",
        "error": refusal,
    }


def test_a_finding_that_the_checks_do_not_make_keeps_its_own_words() -> None:
    reason = "spec.definition: there is no file ./a.yaml"
    document = {
        **GOOD,
        "kind": "API",
        "spec": {**GOOD["spec"], "definition": {"$text": "./a.yaml"}},
    }
    told = told_as(document, field="spec.definition.$text", message=reason)
    assert told == {"name": "InputError", "message": reason}
    told = told_as({**GOOD, "spec": {}}, field="spec.type", message="spec.type is missing")
    assert told["cause"]["message"] == (
        "/spec must have required property 'type' - missingProperty: type"
    )
