"""The sample attack, as if it had ended just now: monitors do not page for what is old."""

import gzip
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

TIME = "%Y-%m-%dT%H:%M:%SZ"
# What CloudTrail takes to deliver.
DELIVERY = timedelta(minutes=5)


def moved_to_now(sample: Path, folder: Path) -> Path:
    """Write the file again with its last record a few minutes ago and the others as far before it as they were."""
    content = json.loads(gzip.decompress(sample.read_bytes()))
    times = [datetime.strptime(record["eventTime"], TIME).replace(tzinfo=timezone.utc) for record in content["Records"]]
    distance = datetime.now(timezone.utc) - DELIVERY - max(times)
    for record, time in zip(content["Records"], times, strict=True):
        record["eventTime"] = (time + distance).strftime(TIME)
    moved = folder / sample.name
    moved.write_bytes(gzip.compress(json.dumps(content).encode()))
    return moved
