#!/usr/bin/env python3
"""How many attacks of the corpus are found, and what everyday work costs in findings.

An attack is found when one of its own records has a finding, or an attempt, at medium or above, or when a correlation
over them matches. Everyday work stands before the attacks, on the day before and a week earlier, as the site's history.
Pages are those that `backtest` tells for one pass through all everyday work, after the same a week earlier.

All of it goes through one run of `sagetrail enrich` for each configuration, and what correlations match is asked for
plain forms only. `--history` gives each attack a run of its own, so that none is part of another's past, and asks
`sagetrail backtest` about all that no finding shows. That takes many minutes.
"""

import argparse
import collections
import concurrent.futures
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import api
import corpus
import records

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = ("default", "configured", "tuned")
WORTH_A_LOOK = {"medium", "high", "critical"}
HISTORY_DAYS = 7
# Configurations, or attacks of `--history`, that run at once.
RUNS = os.cpu_count() or 1


class Mistake(Exception):
    """The corpus or the product cannot be run at all."""


def main():
    arguments = parsed()
    try:
        attacks, workdays = corpus.read()
        wrong = api.mistakes(attacks + workdays)
        if wrong:
            raise Mistake("requests that the API does not know:\n" + "\n".join(wrong))
        chosen = [attack for attack in attacks if attack["id"].startswith(arguments.only)]
        results = scored(arguments, chosen, workdays)
    except (Mistake, ValueError) as mistake:
        print(mistake, file=sys.stderr)
        return 2
    print(head(chosen, workdays), end="")
    for name, result in results.items():
        print(table(name, result), end="")
    if arguments.cases:
        print(cases(results), end="")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if arguments.only:
        return 0
    below = [line for name, result in results.items() for line in shortfalls(name, result)]
    for line in below:
        print(line, file=sys.stderr)
    return 1 if below else 0


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sagetrail", default=records.ROOT / "target" / "debug" / "sagetrail", type=pathlib.Path)
    parser.add_argument("--config", action="append", choices=CONFIGS, help="all three unless given")
    parser.add_argument("--only", default="", metavar="PREFIX", help="the attacks whose names begin so, without minima")
    parser.add_argument("--cases", action="store_true", help="say of each attack what became of it")
    parser.add_argument("--history", action="store_true", help="a run for each attack, and pages by `backtest`")
    parser.add_argument("--json", type=pathlib.Path, help="keep what was found of each case in this file")
    return parser.parse_args()


def scored(arguments, attacks, workdays):
    """The result for each configuration."""
    with tempfile.TemporaryDirectory() as folder:
        files = Files(pathlib.Path(folder), attacks, workdays)
        product = Product(arguments.sagetrail)
        names = arguments.config or CONFIGS
        with concurrent.futures.ThreadPoolExecutor(1 if arguments.history else RUNS) as pool:
            results = pool.map(lambda name: score(product, name, files, arguments.history), names)
            return dict(zip(names, results, strict=True))


class Files:
    """The corpus as CloudTrail delivers it."""

    def __init__(self, folder, attacks, workdays):
        self.folder, self.attacks, self.workdays = folder, attacks, workdays
        everyday = [record for workday in workdays for record in workday["records"]]
        self.past = [self.write("history", corpus.shifted(everyday, -HISTORY_DAYS)), self.write("today", everyday)]
        self.today = min(record["eventTime"] for record in everyday)
        self.attacked = self.write("attacks", [record for attack in attacks for record in attack["records"]])

    def write(self, name, told):
        path = self.folder / f"{name}.json.gz"
        in_order = sorted(told, key=lambda record: record["eventTime"])
        with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
            json.dump({"Records": in_order}, file)
        return path


class Product:
    def __init__(self, binary):
        self.binary = binary
        if not binary.exists():
            raise Mistake(f"there is no {binary}; build it, or name another with --sagetrail")

    def run(self, config, *arguments):
        command = [self.binary, *arguments, "--config", HERE / "config" / f"{config}.toml"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Mistake(f"sagetrail {arguments[0]} failed: {done.stderr}")
        return done.stdout

    def findings(self, config, *files):
        """The findings of each document by its eventID; a record that is not shipped has no entry."""
        found = collections.defaultdict(list)
        for line in self.run(config, "enrich", *files).splitlines():
            document = json.loads(line)["_source"]
            told = document.get("sagemaker", {})
            both = told.get("findings", []) + told.get("attempts", [])
            found[document["event"]["id"]] += [f["title"] for f in both if f["level"] in WORTH_A_LOOK]
        return found

    def backtest(self, config, since, *files):
        """What `backtest` tells of the records from a time on."""
        return json.loads(self.run(config, "backtest", "--json", "--since", since, *files))


def score(product, config, files, alone):
    found = product.findings(config, *files.past, files.attacked)
    if alone:
        with concurrent.futures.ThreadPoolExecutor(RUNS) as pool:
            states = list(pool.map(lambda attack: by_itself(product, config, files, attack), files.attacks))
    else:
        states = [state(attack, found) for attack in files.attacks]
        # What takes several records to see is asked of correlations; one by one, which takes its time.
        for number, attack in enumerate(files.attacks):
            if states[number]["control"] and states[number]["state"] == "shipped":
                states[number] = by_itself(product, config, files, attack)
    work = []
    for workday in files.workdays:
        events = [record["eventID"] for record in workday["records"]]
        titles = collections.Counter(title for event in events for title in found.get(event, []))
        work.append({"id": workday["id"], "per_week": workday["per_week"], "findings": dict(sorted(titles.items()))})
    pages = product.backtest(config, files.today, *files.past)["pages"]
    return {"attacks": states, "workdays": work, "pages": [page["sentence"] for page in pages]}


def by_itself(product, config, files, attack):
    file = files.write(f"{config}-{attack['id']}", attack["records"])
    told = state(attack, product.findings(config, *files.past, file))
    if told["state"] == "shipped":
        reported = product.backtest(config, min(record["eventTime"] for record in attack["records"]), *files.past, file)
        told["findings"] = [rule["title"] for rule in reported["rules"] if rule["level"] in WORTH_A_LOOK]
        told["state"] = "found" if told["findings"] else "paged" if reported["pages"] else "shipped"
    file.unlink()
    return told


def state(attack, found):
    own = [record["eventID"] for record in attack["records"]]
    titles = sorted({title for event in own for title in found.get(event, [])})
    shipped = "shipped" if any(event in found for event in own) else "not shipped"
    return {
        "id": attack["id"],
        "technique": attack["technique"],
        "control": attack.get("control", False),
        "state": "found" if titles else shipped,
        "findings": titles,
    }


def found_of(attacks):
    """The share of attacks, without the plain forms, that is found."""
    variants = [attack for attack in attacks if not attack["control"]]
    return round(sum(attack["state"] == "found" for attack in variants) / max(len(variants), 1), 3)


def summary(result):
    return {
        "found": found_of(result["attacks"]),
        "controls_missed": sum(attack["control"] and attack["state"] != "found" for attack in result["attacks"]),
        "not_shipped": sum(attack["state"] == "not shipped" for attack in result["attacks"]),
        "findings_a_week": round(sum(weekly(result).values())),
        "pages": len(result["pages"]),
    }


def weekly(result):
    """How often each finding comes in a week of everyday work."""
    counts = collections.Counter()
    for workday in result["workdays"]:
        for title, times in workday["findings"].items():
            counts[title] += times * workday["per_week"]
    return counts


def head(attacks, workdays):
    controls = sum(attack.get("control", False) for attack in attacks)
    return f"{len(attacks)} attacks, {controls} of them plain forms; {len(workdays)} pieces of everyday work\n"


def table(name, result):
    told = summary(result)
    lines = [
        f"\n== {name}\nattacks found {told['found']:.3f}, plain forms missed {told['controls_missed']}, "
        f"not shipped {told['not_shipped']}, everyday findings a week {told['findings_a_week']}, "
        f"pages {told['pages']}\n"
    ]
    lines += [f"     page: {sentence}\n" for sentence in result["pages"]]
    techniques = collections.defaultdict(list)
    for attack in result["attacks"]:
        techniques[attack["technique"]].append(attack)
    for technique, attacks in sorted(techniques.items(), key=lambda item: int(item[0][1:])):
        variants = [attack for attack in attacks if not attack["control"]]
        states = collections.Counter(attack["state"] for attack in variants)
        others = "".join(f", {state} {states[state]}" for state in ("paged", "not shipped") if states[state])
        plain = [attack["id"] for attack in attacks if attack["control"] and attack["state"] != "found"]
        lines.append(f"{technique:4} found {states['found']} of {len(variants)}{others}\n")
        lines += [f"     plain form missed: {missed}\n" for missed in plain]
    for title, times in sorted(weekly(result).items(), key=lambda item: (-item[1], item[0])):
        work = [workday["id"] for workday in result["workdays"] if title in workday["findings"]]
        lines.append(f"{times:8.1f} a week: {title} ({' '.join(work)})\n")
    return "".join(lines)


def cases(results):
    """A line for each attack, with what became of it under each configuration."""
    lines = [f"\n== attacks: {', '.join(results)}\n"]
    for attacks in zip(*(result["attacks"] for result in results.values()), strict=True):
        mark = " (plain form)" if attacks[0]["control"] else ""
        lines.append(f"{attacks[0]['id']}{mark}: {', '.join(attack['state'] for attack in attacks)}\n")
    return "".join(lines)


def shortfalls(name, result):
    """Where a result is worse than `minima.toml` demands."""
    bounds, told = records.load(HERE / "minima.toml")[name], summary(result)
    lines = []
    for member, bound in bounds.items():
        if member == "techniques":
            continue
        worse = told[member] < bound if member == "found" else told[member] > bound
        if worse:
            lines.append(f"{name}: {member} is {told[member]}, which is worse than {bound} in minima.toml")
    for technique, bound in bounds.get("techniques", {}).items():
        share = found_of(attack for attack in result["attacks"] if attack["technique"] == technique)
        if share < bound:
            lines.append(f"{name}: found of {technique} is {share}, which is worse than {bound} in minima.toml")
    return lines


if __name__ == "__main__":
    sys.exit(main())
