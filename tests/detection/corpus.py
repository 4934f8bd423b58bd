"""The corpus: attacks and everyday work, read from their tables and expanded to records."""

import datetime
from pathlib import Path

import records

HERE = Path(__file__).resolve().parent
# A Tuesday of everyday work, and the Wednesday of the attacks. The same work a week before is the site's history.
WORK_STARTS = datetime.datetime(2026, 11, 10, 7, tzinfo=datetime.timezone.utc)
ATTACK_STARTS = datetime.datetime(2026, 11, 11, 13, tzinfo=datetime.timezone.utc)
CALL = {
    *("call", "like", "with", "by", "from", "agent", "region", "account", "at", "times", "every"),
    *("script", "error", "message", "action", "on", "hidden", "record", "type"),
}
ATTACK, WORKDAY = {"id", "title", "technique", "control", "calls"}, {"id", "title", "per_week", "calls"}


def read(site=None):
    """Both halves of the corpus, each case with its records."""
    site = site or records.Site()
    attacks = expanded(site, "attacks", "attack", ATTACK, ATTACK_STARTS)
    return attacks, expanded(site, "workdays", "workday", WORKDAY, WORK_STARTS)


def expanded(site, folder, kind, members, start):
    cases, seen = [], set()
    for path in sorted((HERE / folder).glob("*.toml")):
        table = records.load(path)
        everywhere = table.get("all", {})
        for told in table[kind]:
            case = everywhere | told
            if case["id"] in seen:
                raise ValueError(f"{path.name}: {case['id']} stands twice")
            seen.add(case["id"])
            # A case of one call has the call's members itself.
            calls = case.get("calls") or [{member: case[member] for member in CALL if member in case}]
            unknown = set(case) - members - CALL | {name for call in calls for name in set(call) - CALL}
            if unknown:
                raise ValueError(f"{path.name}: {case['id']}: not a member of a case: {', '.join(sorted(unknown))}")
            inherited = [{"call": case["call"]} | call if "call" in case else call for call in calls]
            case["records"] = records.expand(site, case, inherited, start)
            cases.append(case)
    return cases


def shifted(told, days):
    """The same records on another day, each with an eventID of its own."""
    moved = []
    for record in told:
        time = datetime.datetime.strptime(record["eventTime"], "%Y-%m-%dT%H:%M:%SZ") + datetime.timedelta(days=days)
        number = int(record["eventID"][-4:], 16) + days
        event = record["eventID"][:-4] + f"{number % 65536:04x}"
        moved.append(record | {"eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "eventID": event})
    return moved
