"""Fails when the imports between the files of src and crates/*/src form a circle, and shows one way around it.

usage: check_imports.py [--graph]

A file imports another when it names something that is defined there, in `use` or in place. A file that only declares
modules and re-exports what they have imports nothing by that; who imports a re-exported name imports the file that
defines it. What only tests see does not count. --graph prints every import instead.
"""

import re
import sys
from collections import deque
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Files that call each other because what they read is nested in itself.
RECURSIONS = [
    {"enrich/redact/text.rs", "enrich/redact/json.rs", "enrich/redact/damaged.rs"},
]

NOISE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|b?r(?P<hashes>\#*)".*?"(?P=hashes)|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])'""", re.DOTALL
)
USE = re.compile(r"(?P<public>pub(?:\([^)]*\))?\s+)?\buse\s+(?P<tree>[^;]+);")
MODULE = re.compile(r"\bmod\s+(\w+)\s*;")
PATH = re.compile(r"(?<![\w:$])[a-z_]\w*(?:::\w+)+")


class Module:
    """A file: its children, the names that it binds with `use`, and the text that remains."""

    def __init__(self, crate, path, file):
        self.crate, self.path, self.file = crate, path, file
        text = without_tests(NOISE.sub(" ", file.read_text()))
        self.children = MODULE.findall(text)
        # Each is a name or `*`, the path that it stands for, and whether others may have it from here.
        self.bindings = [
            (name, target, bool(use["public"])) for use in USE.finditer(text) for name, target in leaves(use["tree"])
        ]
        self.body = USE.sub(" ", text)


def without_tests(text):
    while (start := text.find("#[cfg(test)]")) >= 0:
        end = item_end(text, start + len("#[cfg(test)]"))
        text = text[:start] + text[end:]
    return text


def item_end(text, position):
    """Behind the next semicolon outside of braces, or behind the braces of a block."""
    depth = 0
    for place in range(position, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0 and text[place] == ";":
            return place + 1
        if depth == 0 and text[place] == "}" and not text[place + 1 :].lstrip().startswith(";"):
            return place + 1
    return len(text)


def leaves(tree):
    """The names that a tree of `use` binds, with their paths."""
    tree = tree.strip()
    if "{" not in tree:
        path, _, alias = tree.partition(" as ")
        parts = [part.strip() for part in path.split("::")]
        parts = parts[:-1] if parts[-1] == "self" and len(parts) > 1 else parts
        return [(alias.strip() or parts[-1], parts)]
    head, _, rest = tree.partition("{")
    prefix = [part.strip() for part in head.split("::") if part.strip()]
    return [
        (path[-1] if name == "self" else name, path)
        for branch in branches(rest[: rest.rindex("}")])
        for name, tail in leaves(branch)
        for path in [prefix + [part for part in tail if tail != ["self"]]]
    ]


def branches(text):
    depth, start = 0, 0
    for place, character in enumerate(text + ","):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if character == "," and depth == 0:
            if text[start:place].strip():
                yield text[start:place]
            start = place + 1


def modules():
    """Every file of the sources by its crate and the path of its module."""
    found = {}
    for manifest in [ROOT / "Cargo.toml", *sorted(ROOT.glob("crates/*/Cargo.toml"))]:
        crate = re.search(r'^name = "(.*)"', manifest.read_text(), re.MULTILINE)[1].replace("-", "_")
        roots = [(crate, "lib.rs"), (f"{crate} (binary)", "main.rs")]
        for name, file in roots:
            if (manifest.parent / "src" / file).exists():
                add(found, name, (), manifest.parent / "src" / file)
    return found


def add(found, crate, path, file):
    module = found[crate, path] = Module(crate, path, file)
    folder = file.parent if file.name in {"lib.rs", "main.rs", "mod.rs"} else file.with_suffix("")
    for child in module.children:
        places = [folder / f"{child}.rs", folder / child / "mod.rs"]
        for place in filter(Path.exists, places):
            add(found, crate, (*path, child), place)


def absolute(found, module, parts):
    """The crate and the path that a path means in a module; none where it leads out of the project."""
    head, crates = parts[0], {crate for crate, _ in found}
    if head == "crate":
        return module.crate, parts[1:]
    if head in {"self", "super"}:
        ups = sum(1 for part in parts if part == "super")
        rest = [part for part in parts if part not in {"self", "super"}]
        return module.crate, [*module.path[: len(module.path) - ups], *rest]
    if head in module.children:
        return module.crate, [*module.path, *parts]
    return (head, parts[1:]) if head in crates else None


def definition(found, crate, parts, asked=()):
    """The module that defines what a path names, behind all re-exports."""
    path = ()
    for place, name in enumerate(parts):
        if (crate, (*path, name)) in found:
            path = (*path, name)
            continue
        module, rest = found[crate, path], parts[place + 1 :]
        for bound, target, _ in module.bindings:
            step = (crate, path, name, tuple(target))
            inside = absolute(found, module, target) if bound in {name, "*"} and step not in asked else None
            if inside and bound == name:
                return definition(found, inside[0], [*inside[1], *rest], (*asked, step))
            if inside and (behind := inside_glob(found, inside, name, (*asked, step))):
                return behind
        return crate, path
    return crate, path


def inside_glob(found, inside, name, asked):
    """The module behind `path::*` that has the name itself."""
    key = definition(found, inside[0], [*inside[1]][:-1], asked)
    defines = re.search(rf"\b(?:fn|struct|enum|trait|type|const|static|mod|union)\s+{name}\b", found[key].body)
    return key if defines else None


def imports(found, module):
    """The modules that one imports, each with what it names there."""
    paths = []
    for name, target, is_public in module.bindings:
        if not is_public or re.search(rf"\b{re.escape(name)}\b", module.body):
            paths.append(target)
    paths += [path.split("::") for path in PATH.findall(module.body)]
    for path in paths:
        inside = absolute(found, module, path)
        if inside:
            is_glob = inside[1] and inside[1][-1] == "*"
            key = definition(found, inside[0], inside[1][:-1] if is_glob else inside[1])
            if key != (module.crate, module.path):
                yield key, "::".join(path)


def circle(graph, start):
    """The shortest way from a module back to it."""
    came, queue = {}, deque([start])
    while queue:
        here = queue.popleft()
        for there in graph[here]:
            if there == start:
                way = [here]
                while way[-1] != start:
                    way.append(came[way[-1]])
                return [*reversed(way), start]
            if there not in came:
                came[there] = here
                queue.append(there)
    return None


def short(file):
    """A file by its place below src, which is the same in every crate."""
    return file.relative_to(ROOT).as_posix().partition("src/")[2]


def main():
    found = modules()
    graph = {key: dict(imports(found, module)) for key, module in found.items()}
    if sys.argv[1:] == ["--graph"]:
        for key, targets in graph.items():
            for target in sorted(targets, key=str):
                print(f"{short(found[key].file)} -> {short(found[target].file)}")
        return 0
    problems, told = [], set()
    for start in graph:
        way = circle(graph, start)
        if way is None or told & set(way):
            continue
        if any({short(found[key].file) for key in way} <= allowed for allowed in RECURSIONS):
            continue
        told |= set(way)
        steps = [f"  {short(found[a].file)} imports {short(found[b].file)}: {graph[a][b]}" for a, b in pairwise(way)]
        problems.append("\n".join(["these files import each other in a circle:", *steps]))
    print("\n".join(problems) or f"{len(graph)} files import each other without a circle")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
