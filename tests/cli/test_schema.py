"""The published JSON Schema describes exactly what a replay prints."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_shapes import LOGS

TYPES = {"integer": int, "number": (int, float), "string": str, "boolean": bool, "null": type(None)}


def check(value, schema, whole):
    """Validate a value by the parts of JSON Schema that our schema uses."""
    if "$ref" in schema:
        check(value, whole["$defs"][schema["$ref"].rpartition("/")[2]], whole)
    elif "anyOf" in schema:
        assert any(fits(value, each, whole) for each in schema["anyOf"]), (value, schema)
    elif schema["type"] == "array":
        assert isinstance(value, list)
        for each in value:
            check(each, schema["items"], whole)
    elif schema["type"] == "object":
        check_object(value, schema, whole)
    else:
        assert isinstance(value, TYPES[schema["type"]]), (value, schema)
        assert schema["type"] == "boolean" or not isinstance(value, bool)


def check_object(value, schema, whole):
    assert isinstance(value, dict)
    if "properties" not in schema:
        for each in value.values():
            check(each, schema["additionalProperties"], whole)
        return
    assert {*value} == {*schema["required"]} == {*schema["properties"]}
    for name, each in schema["properties"].items():
        assert each["description"]
        check(value[name], each, whole)


def fits(value, schema, whole):
    try:
        check(value, schema, whole)
    except AssertionError:
        return False
    return True


CALLS = {
    "a rate": ("clf.log", "--rate", "10/min", "--compare", "100/min"),
    "a policy and a warning": ("absolute-url.json", "--policy", LOGS / "pol-order.toml"),
    "a suggestion": ("clf.log", "--target-refused", "5%"),
    "two logs": ("clf.log", "--rate", "10/min", "--before", LOGS / "tz.log"),
    "malformed lines": ("nginx-error-mixed.log", "--rate", "1/min"),
    "nothing": ("dashes.log", "--rate", "1/min"),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_output_matches_the_schema(name, traffik):
    schema = json.loads(traffik("schema", "replay").out)
    log, *call = CALLS[name]
    check(json.loads(traffik("replay", LOGS / log, *call, "--json").out), schema, schema)


def test_the_schema_of_limits_is_another_one(traffik):
    assert json.loads(traffik("schema").out)["title"] == "A file of limits (limits.toml)"
