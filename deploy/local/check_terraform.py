"""Reads the Terraform modules and their examples, and finds names that lead nowhere.

usage: check_terraform.py

`terraform validate` says more, but needs the provider of AWS, which is not to be had everywhere. This finds variables,
locals, resources and outputs that are used and not declared, or declared and not used, and calls of a module with
arguments that it does not have or without those that it needs.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import hcl2

DEPLOY = Path(__file__).resolve().parents[1]
MODULES = [DEPLOY / "terraform", DEPLOY / "guardrails/terraform", DEPLOY / "guardrails/terraform/documents"]
# A reference begins an expression's path; what follows a dot belongs to another.
REFERENCE = re.compile(r"(?<![\w.\"/:-])(var|local|module|data\.\w+|aws_\w+)\.(\w+)(?:\.(\w+))?")
# Members of a block that are no arguments.
MARKS = {"__is_block__", "__comments__", "__inline_comments__", "source"}


def text_of(folder: Path) -> str:
    """Return all of a module without its comments and the descriptions, in which names are only spoken of."""
    lines = (line for file in sorted(folder.glob("*.tf")) for line in file.read_text().splitlines())
    text = "\n".join(line for line in lines if not re.match(r"\s*(#|description\s*=\s*\")", line))
    return re.sub(r"<<-EOT.*?EOT", "", text, flags=re.DOTALL)


def blocks(folder: Path, kind: str) -> Iterator[tuple[str, dict]]:
    """Yield each block of a kind with its labels, joined by dots."""
    for file in sorted(folder.glob("*.tf")):
        with file.open() as handle:
            for block in hcl2.load(handle).get(kind, []):
                labels, body = [], block
                while "__is_block__" not in body:
                    [(label, body)] = body.items()
                    labels.append(label.strip('"'))
                yield ".".join(labels), body


def declared(folder: Path) -> set[str]:
    names = {f"var.{name}" for name, _ in blocks(folder, "variable")}
    names |= {f"data.{name}" for name, _ in blocks(folder, "data")}
    names |= {name for name, _ in blocks(folder, "resource")}
    names |= {f"module.{name}" for name, _ in blocks(folder, "module")}
    for _, body in blocks(folder, "locals"):
        names |= {f"local.{name}" for name in body if name not in MARKS}
    return names


def problems(folder: Path) -> Iterator[str]:
    known = declared(folder)
    references = [match.groups() for match in REFERENCE.finditer(text_of(folder))]
    used = {f"{kind}.{name}" for kind, name, _ in references}
    yield from (f"{name} is used and not declared" for name in sorted(used - known))
    yield from (
        f"{name} is declared and not used" for name in sorted(known - used) if name.startswith(("var.", "local."))
    )
    outputs = set()
    for name, call in blocks(folder, "module"):
        called = (folder / call["source"].strip('"')).resolve()
        variables = dict(blocks(called, "variable"))
        outputs |= {output for output, _ in blocks(called, "output")}
        given = set(call) - MARKS
        yield from (f"module.{name}: there is no argument {one}" for one in sorted(given - set(variables)))
        needed = {one for one, body in variables.items() if "default" not in body}
        yield from (f"module.{name}: {one} is missing" for one in sorted(needed - given))
    asked = {output for kind, _, output in references if kind == "module"}
    yield from (f"the module has no output {output}" for output in sorted(asked - outputs))


def main() -> None:
    examples = sorted(path for module in MODULES for path in module.glob("examples/*") if path.is_dir())
    folders = [*MODULES, *examples]
    found = [f"{folder.relative_to(DEPLOY)}: {text}" for folder in folders for text in problems(folder)]
    if found:
        sys.exit("\n".join(found))
    print(f"terraform: every name of {len(folders)} modules leads somewhere")


if __name__ == "__main__":
    main()
