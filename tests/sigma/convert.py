#!/usr/bin/env python3
"""Converts Sigma rules into Lucene queries that find, in sagetrail's indices, what the daemon's rules tag.

usage: convert.py VALUES FILE-OR-FOLDER…

VALUES is a JSON file with the values of placeholders. Prints a JSON object: a rule's id, and its queries or why it has
none. The backend is pySigma's for OpenSearch. It knows neither the fields nor two habits of OpenSearch, so a pipeline
before it turns most comparisons into regular expressions:

- Sigma compares without regard to case, a keyword field does not.
- In a query string, wildcards and regular expressions find nothing under an alias, nor below a flat object. They do
  find the terms that a flat object is made of, each of which is a path, `=` and the value.
"""

import json
import pathlib
import re
import sys
from dataclasses import dataclass, replace

import yaml
from sigma.backends.opensearch import OpensearchLuceneBackend
from sigma.collection import SigmaCollection
from sigma.conditions import ConditionOR
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import ValueListPlaceholderTransformation
from sigma.processing.transformations.base import DetectionItemTransformation
from sigma.rule import SigmaDetection, SigmaDetectionItem
from sigma.types import (
    SigmaBool,
    SigmaCompareExpression,
    SigmaExists,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaRegularExpressionFlag,
    SigmaString,
    SigmaType,
    SpecialChars,
)

MAPPING = pathlib.Path(__file__).resolve().parents[2] / "mappings" / "component-events-mappings.json"
FLAT_OBJECTS = {"requestParameters", "responseElements", "additionalEventData", "serviceEventDetails"}
SCRIPT = "sagemaker.lifecycle.script.keyword"
# Where the alias of that name leads to a field of the wrong type for the comparison.
RENAMED = {
    "errorMessage": "error.message.keyword",
    "sagemaker.lifecycle.script": SCRIPT,
    "sourceIPAddress": "source.ip",
}
# Types of fields that are no texts, and an address under a name of its own.
NO_TEXTS = {"boolean", "long"}
ADDRESS = "sourceIPAddress"
# The largest number in Lucene's intervals of numbers.
LARGEST = 2**31 - 1
# What means something in a regular expression of Lucene and nothing in Python's.
LUCENE_ONLY = '"#@&<>~'


def either_case(character: str) -> str:
    return f"[{character.lower()}{character.upper()}]" if character.isalpha() else character


def literal(text: str) -> str:
    """The backend escapes slashes itself."""
    return re.sub(r"([^\w\s/])", r"\\\1", text)


def of_string(text: SigmaString) -> str:
    wildcards = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
    return "".join(
        "".join(map(either_case, re.findall(r"\\?.", literal(part), re.DOTALL)))
        if isinstance(part, str)
        else wildcards[part]
        for part in text.s
    )


def of_regular_expression(expression: SigmaRegularExpression) -> str:
    """Lucene's expressions match the whole value; they know no word boundaries, which are left out, and find nothing
    when a repetition has many steps, which then has no limit."""
    pattern = re.sub(r"\{0,\d{3,}\}", "*", str(expression.regexp))
    before = "" if pattern.startswith("^") else ".*"
    after = "" if pattern.endswith("|$)") else ".*"
    pattern = re.sub(r"\|\$\)$", ".*)?", pattern.removeprefix("^"))
    any_case = SigmaRegularExpressionFlag.IGNORECASE in expression.flags
    translated, in_class = "", False
    for token in re.findall(r"\\.|\(\?:|.", pattern, re.DOTALL):
        if token == "\\b":
            continue
        if token == "\\n":
            translated += "\n"
        elif token == "(?:":
            translated += "("
        elif token in LUCENE_ONLY and not in_class:
            translated += "\\" + token
        elif any_case and token.isalpha():
            translated += token.lower() + token.upper() if in_class else either_case(token)
        else:
            translated += token
        in_class = token == "[" or (in_class and token != "]")
    return f"{before}({translated}){after}"


def of_comparison(comparison: SigmaCompareExpression) -> str:
    number, operators = int(comparison.number.number), SigmaCompareExpression.CompareOperators
    first, last = {
        operators.LT: (0, number - 1),
        operators.LTE: (0, number),
        operators.GT: (number + 1, LARGEST),
        operators.GTE: (number, LARGEST),
    }[comparison.op]
    return f"<{first}-{last}>"


def of_value(value: SigmaType) -> str | None:
    """The regular expression that matches what the value matches, or none for what a term cannot show."""
    match value:
        case SigmaString():
            expression = of_string(value)
        case SigmaRegularExpression():
            expression = of_regular_expression(value)
        case SigmaCompareExpression():
            expression = of_comparison(value)
        case SigmaBool() | SigmaNumber():
            expression = str(value).lower()
        case SigmaExists():
            expression = ".*"
        case _:
            expression = None
    return expression


@dataclass
class ToTerms(DetectionItemTransformation):
    """Rewrites comparisons as regular expressions on the terms of sagetrail's fields."""

    fields: dict[str, str]
    no_texts: set[str]

    def apply_detection_item(self, item: SigmaDetectionItem) -> SigmaDetection | SigmaDetectionItem | None:
        if item.field is None:
            # A word without a field is looked for in what the caller sent.
            request = f"{self.fields['requestParameters']}._valueAndPath"
            parts = [rewritten(item, field, ".*", ".*") for field in (request, SCRIPT)]
            return SigmaDetection(parts, item_linking=ConditionOR)
        first, _, rest = item.field.partition(".")
        if first in FLAT_OBJECTS and rest:
            flat = self.fields[first]
            return of_elements(item, f"{flat}._valueAndPath", f"{flat}.{rest}")
        # Every element is a term of its own here too.
        field = self.fields.get(item.field, item.field).removesuffix("[any]")
        if item.field == ADDRESS or field in self.no_texts:
            item.field = field
            return None
        return rewritten(item, field, "")


def of_elements(item: SigmaDetectionItem, field: str, path: str) -> SigmaDetection | SigmaDetectionItem:
    """Each leaf of an array is a term of its own, so a negation can ask for one leaf that differs."""
    prefix = literal(re.sub(r"\[\w+\]", "", path))
    if any(isinstance(value, SigmaExists) for value in item.value):
        # An object is there when any of its members is.
        return rewritten(item, field, prefix + "[=.]")
    prefix += "="
    if "[all]" not in path:
        return rewritten(item, field, prefix)
    none_differs = rewritten(replace(item, negated=True, auto_modifiers=False), field, prefix)
    none_differs.negated = True
    return SigmaDetection([rewritten(item, field, prefix), none_differs])


def rewritten(item: SigmaDetectionItem, field: str, before: str, after: str = "") -> SigmaDetectionItem:
    expressions = [of_value(value) for value in item.value]
    if None in expressions:
        item.field = field
        return item
    if item.negated:
        expressions = [f"~({'|'.join(expressions)})"]
    values = [SigmaRegularExpression(before + expression + after) for expression in expressions]
    return SigmaDetectionItem(field, [], values, value_linking=item.value_linking, source=item.source)


def converted(file: pathlib.Path, backend: OpensearchLuceneBackend) -> dict:
    documents = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    queries = {}
    # A query is about single documents, a correlation about many, and those of other files.
    rules = [document for document in documents if "correlation" not in document]
    for rule in SigmaCollection.from_dicts(rules).rules:
        try:
            queries[str(rule.id)] = {"queries": backend.convert_rule(rule)}
        except SigmaError as error:
            queries[str(rule.id)] = {"refused": str(error)}
    return queries


def aliases(properties: dict, path: str = "") -> dict[str, str]:
    """Where each of CloudTrail's own names leads to."""
    found = {}
    for name, field in properties.items():
        if field.get("type") == "alias":
            found[path + name] = field["path"]
        found |= aliases(field.get("properties", {}), f"{path}{name}.")
    return found


def typed(properties: dict, types: set[str], path: str = "") -> set[str]:
    """The fields of these types."""
    found = {path + name for name, field in properties.items() if field.get("type") in types}
    for name, field in properties.items():
        found |= typed(field.get("properties", {}), types, f"{path}{name}.")
    return found


def main(values: str, *paths: str) -> None:
    placeholders = json.loads(pathlib.Path(values).read_text(encoding="utf-8"))
    mapping = json.loads(MAPPING.read_text(encoding="utf-8"))
    properties = mapping["template"]["mappings"]["properties"]
    fields = aliases(properties) | RENAMED
    to_terms = ToTerms(fields, typed(properties, NO_TEXTS))
    items = [ProcessingItem(ValueListPlaceholderTransformation()), ProcessingItem(to_terms)]
    backend = OpensearchLuceneBackend(ProcessingPipeline(items=items, vars=placeholders))
    queries = {}
    for path in map(pathlib.Path, paths):
        for file in sorted(path.rglob("*.yml")) if path.is_dir() else [path]:
            queries |= converted(file, backend)
    json.dump(queries, sys.stdout, indent=1)


if __name__ == "__main__":
    main(*sys.argv[1:])
