"""Brings the shapes of SageMaker's API up to the installed botocore, and drafts what the catalogue lacks.

usage: compare.py

Writes tests/api/sagemaker-shapes.json anew, and prints a draft of a catalogue line for each operation that
config/catalogue.toml does not have, with the forms of ARNs that belong to it. Exits with 1 when it printed any. What a
draft says of access and resource is guessed from names; the categories are for a person to decide.
"""

import json
import re
import sys
from pathlib import Path

import botocore
import botocore.session
from botocore.model import OperationModel, Shape

ROOT = Path(__file__).resolve().parents[2]
SHAPES = ROOT / "tests/api/sagemaker-shapes.json"
CATALOGUE = ROOT / "config/catalogue.toml"

# The beginnings of the names of calls that change nothing.
READS = {"List": "List", "Search": "List", "Describe": "Read", "Get": "Read", "BatchGet": "Read", "Invoke": "Read"}
# IAM counts these as reads, and yet they make something: an answer of a model, or links.
ANSWERS = ("Create", "Invoke", "Sample")


def main() -> int:
    access = dict(re.findall(r'^(\w+) = \{ access = "([\w ]+)"', CATALOGUE.read_text(), re.M))
    operations = {name: model for model in service_models() for name, model in operations_of(model)}
    write_shapes(operations, access)
    lacking = sorted(set(operations) - set(access))
    gone = sorted(set(access) - set(operations))
    print(f"botocore {botocore.__version__}: {len(operations)} operations, the catalogue lacks {len(lacking)}")
    for name in lacking:
        print(draft(operations[name]))
    for name in gone:
        print(f"# {name} is in the catalogue and no longer in the API")
    return 1 if lacking or gone else 0


def service_models():
    session = botocore.session.get_session()
    for service in session.get_available_services():
        if service.startswith("sagemaker"):
            yield session.get_service_model(service)


def operations_of(service):
    return [(name, service.operation_model(name)) for name in service.operation_names]


def write_shapes(operations: dict[str, OperationModel], access: dict[str, str]) -> None:
    """CloudTrail records no response of a call that only looks something up, so its output is left empty."""
    lines = []
    for name in sorted(operations):
        reads = access.get(name, guess_access(name)) in ("List", "Read") and not name.startswith(ANSWERS)
        shape = {
            "input": members(operations[name].input_shape),
            "output": [] if reads else members(operations[name].output_shape),
        }
        lines.append(f"{json.dumps(name)}:{json.dumps(shape, separators=(',', ':'))}")
    SHAPES.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def members(shape: Shape | None) -> list[str]:
    return sorted(ends(shape, "", frozenset())) if shape else []


def ends(shape: Shape, path: str, outer: frozenset[str]) -> set[str]:
    """The ends of all paths into a shape: `*` is any key of a map, `**` a structure that contains itself."""
    if shape.type_name == "list":
        return ends(shape.member, path, outer)
    if shape.type_name == "map":
        return ends(shape.value, f"{path}.*", outer)
    if shape.type_name != "structure":
        return {path}
    if shape.name in outer:
        return {f"{path}.**"}
    found: set[str] = set()
    for name, member in shape.members.items():
        step = as_cloudtrail_writes(name)
        found |= ends(member, f"{path}.{step}" if path else step, outer | {shape.name})
    return found or ({path} if path else set())


def as_cloudtrail_writes(name: str) -> str:
    return name[:1].lower() + name[1:]


def guess_access(name: str) -> str:
    return next((level for beginning, level in READS.items() if name.startswith(beginning)), "Write")


def draft(operation: OperationModel) -> str:
    """A line of the catalogue, and above it the ARNs that the call takes or answers with."""
    access = guess_access(operation.name)
    inputs, outputs = members(operation.input_shape), members(operation.output_shape)
    noun = re.sub(r"^(BatchGet|[A-Z][a-z]+)", "", operation.name)
    kind = "none" if access == "List" else re.sub(r"(?<=[a-z])(?=[A-Z])", "-", noun).lower()
    keys = [f'access = "{access}"', f'resource = "{kind}"']
    names = [f"{noun[:1].lower()}{noun[1:]}Name", "name", "identifier"]
    name = next((name for name in names if name in inputs), None)
    if name and access != "List":
        keys.append(f'name = "requestParameters.{name}"')
    arn = next((end for end in outputs if end.lower().endswith("arn") and "." not in end), None)
    if arn and access == "Write":
        keys.append(f'arn = "responseElements.{arn}"')
    patterns = [f"# {pattern}" for pattern in sorted(arn_patterns(operation))]
    return "\n".join([*patterns, f"{operation.name} = {{ {', '.join(keys)}, categories = [] }}"])


def arn_patterns(operation: OperationModel) -> set[str]:
    found = set()
    for shape in (operation.input_shape, operation.output_shape):
        for name, member in shape.members.items() if shape else ():
            if name.lower().endswith("arn") and "pattern" in member.metadata:
                found.add(f"{name}: {member.metadata['pattern']}")
    return found


if __name__ == "__main__":
    sys.exit(main())
