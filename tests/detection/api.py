"""Whether the requests of the corpus could be sent: each member of a SageMaker call is one of the API's."""

import json

import records

SHAPES = records.ROOT / "tests" / "api" / "sagemaker-shapes.json"
# What CloudTrail puts in the place of parameters that it leaves out.
LEFT_OUT = {"omitted", "originalSize", "reason"}


def mistakes(cases):
    """A line for each member that the API does not have, and for each operation."""
    shapes = json.loads(SHAPES.read_text(encoding="utf-8"))
    found = []
    for case in cases:
        for record in case["records"]:
            source, name, asked = record["eventSource"], record["eventName"], record["requestParameters"]
            if "sagemaker" not in source or asked is None or "application-autoscaling" in source:
                continue
            if name not in shapes:
                found.append(f"{case['id']}: there is no operation {name}")
                continue
            known = [path.split(".") for path in shapes[name]["input"]]
            found += [f"{case['id']}: {name} has no {'.'.join(path)}" for path in paths(asked) if not fits(path, known)]
    return sorted(set(found))


def paths(value, above=()):
    """The paths to the ends of a request; a list counts for nothing."""
    if isinstance(value, list):
        return [path for element in value for path in paths(element, above)]
    if isinstance(value, dict) and value and not LEFT_OUT & value.keys():
        return [path for name, member in value.items() for path in paths(member, (*above, name))]
    return [above] if above else []


def fits(path, known):
    return any(along(path, shape) for shape in known)


def along(path, shape):
    """`*` stands for a key of a map, `**` for a shape that contains itself; a path may end above the shape's end."""
    for index, step in enumerate(shape):
        if step == "**" or index == len(path):
            return True
        if step not in ("*", path[index]):
            return False
    return len(path) == len(shape)
