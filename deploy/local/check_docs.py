#!/usr/bin/env python3
"""Fails when a public item of the crates has no documentation, wherever its module is.

The compiler's own lint looks at what other crates can reach, and most modules are private.
"""

import re
import sys
from pathlib import Path

ITEM = re.compile(r"\s*pub (?:async |const )*(?:fn|struct|enum|trait|type|const|static) (\w+)")


def is_documented(before: list[str]) -> bool:
    """Whether the lines before an item end with its documentation, apart from attributes of any length."""
    depth = 0
    for line in map(str.lstrip, reversed(before)):
        if depth == 0 and line.startswith("///"):
            return True
        depth += line.count("]") - line.count("[")
        if depth == 0 and not line.startswith("#["):
            return False
    return False


def undocumented(file: Path) -> list[str]:
    lines = file.read_text().splitlines()
    tests = next((number for number, line in enumerate(lines) if line.startswith("#[cfg(test)]")), len(lines))
    items = [(number, ITEM.match(line)) for number, line in enumerate(lines[:tests])]
    return [f"{file}:{number + 1}: {item[1]}" for number, item in items if item and not is_documented(lines[:number])]


root = Path(__file__).parents[2]
files = [file for top in ("src", "crates") for file in sorted((root / top).rglob("*.rs")) if "tests" not in file.parts]
missing = [line for file in files if file.name != "tests.rs" for line in undocumented(file)]
print(*missing, sep="\n", end="\n" if missing else "")
sys.exit(f"{len(missing)} public items have no documentation" if missing else 0)
