#!/usr/bin/env python3
"""Check the OpenAPI file of the direct-access protocol: valid by OpenAPI 3.1, and its examples by it.

    openapi.py FILE
"""

import sys

import yaml
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

with open(sys.argv[1], encoding="utf-8") as file:
    SPEC = yaml.safe_load(file)
REGISTRY = Registry().with_resource("urn:spec", Resource.from_contents(SPEC, DRAFT202012))


def validator(reference):
    """For what a reference within the file says."""
    return OAS31Validator({"$ref": f"urn:spec{reference}"}, registry=REGISTRY)


def resolved(node):
    """What a reference within the file leads to."""
    while isinstance(node, dict) and "$ref" in node:
        target = SPEC
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def examples(node, path=""):
    """Every example: its path, the reference to its schema, its value."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from examples(item, f"{path}/{index}")
    elif isinstance(node, dict):
        if "schema" in node and "example" in node:
            yield path, node["schema"]["$ref"], node["example"]
        if "schema" in node and "examples" in node:
            for name, example in node["examples"].items():
                yield f"{path}/{name}", node["schema"]["$ref"], resolved(example)["value"]
        for name, item in node.items():
            yield from examples(item, f"{path}/{name}")


OpenAPIV31SpecValidator(SPEC).validate()
count = 0
failed = 0
for path, reference, value in examples(SPEC):
    count += 1
    for error in validator(reference).iter_errors(value):
        failed += 1
        print(f"{path}: {error.message}")
# Grants and batches are strict: what is not specified must not pass.
batch = dict(SPEC["components"]["examples"]["ReadBatch"]["value"])
strict = validator("#/components/schemas/Batch")
for change in [{"more": 1}, {"version": 2}, {"method": "PUT"}, {"seal": "checksum"}, {"base": "ftp://h/"}]:
    if strict.is_valid({**batch, **change}):
        failed += 1
        print(f"a batch with {change} passes")
if count < 15:
    failed += 1
    print(f"only {count} examples were found")
print(f"openapi: {count} examples, {failed} failed")
sys.exit(failed > 0)
