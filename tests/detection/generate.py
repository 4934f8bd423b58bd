"""Writes many records into a folder: the corpus, the fixtures and the examples of rules, permuted over three weeks.

    generate.py FOLDER RECORDS [SEED]

Nothing is noise: each record is one of a case that means something, with its names, accounts, keys and times
exchanged. One seed always gives the same records. There are many organisations, so that not all belongs to one
incident, and some hundred moments at which something happens, because each costs a correlator a round.
"""

import bisect
import datetime
import hashlib
import json
import random
import re
import sys
from pathlib import Path

import corpus

HERE = Path(__file__).resolve().parent
FORM = "%Y-%m-%dT%H:%M:%SZ"
BEGIN = datetime.datetime(2026, 11, 2, tzinfo=datetime.timezone.utc)
DAYS = 21
# Records in one organisation, at one moment and in one file.
PER_ORGANISATION, PER_MOMENT, PER_FILE = 1_500, 66, 10_000
# The fewest and the most moments.
FEWEST, MOST = 40, 300
# Seconds that a moment lasts, less than from one round to the next, and at least from one moment to another.
MOMENT, BETWEEN = 14, 40
# How often a case is of which kind.
KINDS = {"work": 62, "example": 25, "attack": 10, "fixture": 3}
PEOPLE = 40
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
PERSON = re.compile(r"[a-z]+\.[a-z]+(?=@anycompany)")
KEY = re.compile(r"\b(ASIA|AKIA)([A-Z0-9]{12,20})\b")
ACCOUNT = re.compile(r"(?<![0-9.])(123456789012|444455556666|111122223333)(?![0-9])")
EVENT = re.compile(r'"eventID": "[^"]*"')


def cases():
    """Lists of records that belong together, by their kind."""
    found = {"fixture": [], "example": [], "attack": [], "work": []}
    for path in sorted((HERE.parent / "fixtures/src").glob("*.json")):
        told = timed(json.loads(path.read_text())["Records"])
        # A whole day would be one case.
        found["fixture"] += [told[at : at + 40] for at in range(0, len(told), 40)]
    for path in sorted((HERE.parent / "rules").glob("*/*.json")):
        if path.name.startswith(("match-", "miss-")):
            found["example"].append(timed([json.loads(path.read_text())]))
    for path in sorted((HERE.parent / "correlations").glob("*/*.json")):
        told = [point["record"] for point in json.loads(path.read_text()) if "record" in point]
        found["example"].append(timed(told))
    try:
        attacks, work = corpus.read()
        found["attack"] = [timed(case["records"]) for case in attacks]
        found["work"] = [timed(case["records"]) for case in work]
    except (OSError, ValueError) as problem:
        print(f"without the corpus: {problem}", file=sys.stderr)
    return {kind: [case for case in some if case] for kind, some in found.items()}


def timed(told):
    """The records that say when they happened, in this order."""

    def at(record):
        return datetime.datetime.strptime(record["eventTime"], FORM)

    kept = []
    for record in told:
        try:
            kept.append((at(record), record))
        except (KeyError, TypeError, ValueError):
            continue
    return [record for _, record in sorted(kept, key=lambda pair: pair[0])]


class Organisation:
    """Accounts, people and keys of its own."""

    def __init__(self, seed, number):
        self.name = f"{seed} {number}"
        self.number = number

    def other(self, text, case, event):
        """A record's text as this organisation would have it."""
        text = ACCOUNT.sub(lambda found: f"{self.number % 8 + 1}{int(self.digest(found[0]), 16) % 10**11:011}", text)
        text = PERSON.sub(lambda found: f"person{int(self.digest(f'{found[0]} {case % 3}'), 16) % PEOPLE}.name", text)
        text = KEY.sub(lambda found: found[1] + self.letters(f"{found[2]} {case}", 16), text)
        text = text.replace("AROA", f"AROA{self.letters('role', 4)}").replace("anycompany", f"company{self.number}")
        named = hashlib.sha256(f"{self.name} {event}".encode()).hexdigest()
        event = f"{named[:8]}-{named[8:12]}-4{named[13:16]}-8{named[17:20]}-{named[20:32]}"
        return EVENT.sub(f'"eventID": "{event}"', text, count=1)

    def digest(self, text):
        return hashlib.sha256(f"{self.name} {text}".encode()).hexdigest()[:16]

    def letters(self, text, count):
        number = int(self.digest(text) + self.digest(text + "'"), 16)
        return "".join(LETTERS[number >> 5 * place & 31] for place in range(count))


def moments(chance, records):
    """When something happens, in seconds from the beginning."""
    count = min(MOST, max(FEWEST, records // PER_MOMENT))
    return sorted(chance.sample(range(0, DAYS * 86_400, BETWEEN), count))


def generate(records, seed):
    """Records with their times, in order."""
    chance = random.Random(seed)
    by_kind = cases()
    kinds = [kind for kind in KINDS if by_kind[kind]]
    weights = [KINDS[kind] for kind in kinds]
    organisations = [Organisation(seed, number) for number in range(max(4, records // PER_ORGANISATION))]
    grid = moments(chance, records)
    told = []
    while len(told) < records:
        case = chance.choice(by_kind[chance.choices(kinds, weights)[0]])
        organisation = chance.choice(organisations)
        begin = chance.randrange(len(grid))
        first = datetime.datetime.strptime(case[0]["eventTime"], FORM)
        number, at_moment = len(told), {}
        for record in case:
            offset = datetime.datetime.strptime(record["eventTime"], FORM) - first
            place = bisect.bisect_left(grid, grid[begin] + offset.total_seconds())
            # What would come after the three weeks does not come.
            if place == len(grid):
                break
            within = at_moment[place] = at_moment.get(place, -1) + 1
            time = BEGIN + datetime.timedelta(seconds=grid[place] + min(within, MOMENT - 1))
            text = organisation.other(json.dumps(record), number, f"{number} {len(told)}")
            told.append((time, len(told), json.loads(text) | {"eventTime": time.strftime(FORM)}))
    told.sort(key=lambda pair: pair[:2])
    return [record for _, _, record in told[:records]]


def main(folder, records, seed="1"):
    told = generate(int(records), int(seed))
    for number, at in enumerate(range(0, len(told), PER_FILE)):
        lines = [json.dumps(record) for record in told[at : at + PER_FILE]]
        (Path(folder) / f"{number:05}.json").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
