"""Holds the commands of `sagetrail contain` against the operations of the AWS CLI.

usage: containment.py PLAN

PLAN is what `sagetrail contain --format json` prints. Each command has to be one of the CLI, with options that it has,
and each input document has to fit its operation in the botocore that is installed. Prints the number of commands.
"""

import json
import sys
from pathlib import Path

import botocore.session
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.validate import ParamValidator

# Options of the CLI itself.
OF_THE_CLI = {"--query", "--output"}
# Commands of the CLI that are no operation: what is copied or waited for.
NO_OPERATION = {("s3", "cp"), ("sagemaker", "wait")}

# Services whose commands have another name than their API.
API_OF = {"s3api": "s3"}

session = botocore.session.get_session()


def problems(command: dict) -> list[str]:
    """What is wrong with a command."""
    service, name, *options = command["arguments"]
    if (service, name) in NO_OPERATION:
        return []
    try:
        model = session.get_service_model(API_OF.get(service, service))
    except UnknownServiceError:
        return [f"{service} is no service"]
    by_name = {xform_name(operation, "-"): operation for operation in model.operation_names}
    if name not in by_name:
        return [f"{service} has no {name}"]
    shape = model.operation_model(by_name[name]).input_shape
    known = {"--" + xform_name(member, "-"): member for member in shape.members}
    found = []
    for option in (option.split("=", 1)[0] for option in options):
        if option in OF_THE_CLI:
            continue
        if option not in known:
            found.append(f"{service} {name} has no {option}")
        elif known[option] not in command["input"]:
            found.append(f"{service} {name}: the input has {list(command['input'])} and no {known[option]}")
    # The CLI makes tokens up by itself, and what is unknown may be anything.
    tokens = {name: "t" * 40 for name, of in shape.members.items() if of.metadata.get("idempotencyToken")}
    unknown = {name for name, value in command["input"].items() if isinstance(value, str) and value.startswith("${")}
    given = {name: value for name, value in command["input"].items() if name not in unknown}
    report = ParamValidator().validate(tokens | given, shape)
    missing = {f'Missing required parameter in input: "{name}"' for name in unknown}
    left = [line for line in report.generate_report().splitlines() if line not in missing]
    return found + [f"{service} {name}: {line}" for line in left]


def main() -> int:
    plan = json.loads(Path(sys.argv[1]).read_text())
    commands = [command for step in plan["steps"] for part in ("keep", "run", "undo") for command in step[part]]
    found = sorted({problem for command in commands for problem in problems(command)})
    print("\n".join(found) if found else len(commands))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
