#!/usr/bin/env python3
"""Simulates a day of a trail: a queue, daemons that scale on its depth and age, and an OpenSearch that takes so much.

    python3 deploy/scaling/simulate.py                    the scenarios of docs/scaling.md
    python3 deploy/scaling/simulate.py --records 5000 --share 1 --file-records 20 --search-rate 20000

Records are a fluid that flows in steps of ten seconds. What is random in a real trail is left out, so the same
question has the same answer. All rates are inputs: take them from docs/performance.md, or measure them yourself.
"""

import argparse
import dataclasses
import math

STEP = 10
DAY = 86_400
HOUR = 3_600
# CloudWatch tells depth and age so much later.
METRIC_DELAY = 300
# How long KEDA looks back before it takes a daemon away, and how often it looks.
COOLDOWN = 300
POLL = 30
# The chart's defaults.
MESSAGES_PER_DAEMON = 500
AGE_PER_DAEMON = 300
# The time until a new daemon works.
START = 60


@dataclasses.dataclass(frozen=True)
class Site:
    """What a site has; records are those of CloudTrail, documents those that are shipped."""

    name: str
    # The mean of the day, in records each second. The busiest hour has twice as many, and the quietest a fifth.
    records: float
    # The share that is shipped.
    share: float
    # Records in a file.
    file_records: float
    # The number of seconds in which ten times as many come, at the busiest hour.
    burst: int = 0
    # The number of seconds in which OpenSearch takes nothing, from noon.
    outage: int = 0


@dataclasses.dataclass(frozen=True)
class Rates:
    """What one daemon of one processor and the cluster do."""

    # Records that a daemon reads and turns down each second.
    read: float
    # Documents that a daemon writes each second.
    write: float
    # Documents that OpenSearch takes each second.
    search: float
    least: int = 2
    most: int = 10


@dataclasses.dataclass
class Day:
    """What a day came to."""

    most_daemons: int = 0
    daemon_hours: float = 0.0
    deepest: float = 0.0
    longest_wait: float = 0.0
    caught_up: float | None = None


def arriving(site: Site, time: float) -> float:
    """Records each second at this time of the day."""
    # A wave whose mean is one, from a fifth at three in the morning to its double at three in the afternoon.
    wave = math.cos((time - 15 * HOUR) / DAY * 2 * math.pi)
    factor = 1.0 + (1.0 if wave > 0 else 0.8) * wave
    if 15 * HOUR <= time < 15 * HOUR + site.burst:
        factor *= 10
    return site.records * factor


class Scaler:
    """Asks for daemons as the chart does: by messages, and by the age of the oldest."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.seen: list[tuple[float, float, float]] = []
        self.wanted: list[tuple[float, int]] = []

    def daemons(self, time: float, messages: float, age: float, now: int) -> int:
        self.seen.append((time, messages, age))
        if time % POLL:
            return now
        known = [seen for seen in self.seen if seen[0] <= time - METRIC_DELAY]
        # KEDA reads the depth from SQS itself, and the age from CloudWatch.
        by_age = known[-1][2] / AGE_PER_DAEMON if known else 0
        wanted = math.ceil(max(messages / MESSAGES_PER_DAEMON, by_age))
        wanted = max(self.rates.least, min(self.rates.most, wanted))
        self.wanted = [(at, count) for at, count in self.wanted if at > time - COOLDOWN]
        self.wanted.append((time, wanted))
        self.seen = self.seen[-(METRIC_DELAY // STEP + 2) :]
        return max(count for _, count in self.wanted)


def simulate(site: Site, rates: Rates) -> Day:
    day = Day()
    scaler = Scaler(rates)
    asked = daemons = rates.least
    starting: list[tuple[float, int]] = []
    came = done = 0.0
    # How much had come at each time, to tell since when the oldest record waits.
    history: list[tuple[float, float]] = [(0.0, 0.0)]
    oldest = 0
    time = 0
    # Two days, so that a backlog of the first is seen to its end; the second is quiet but for its waves.
    while time < 2 * DAY:
        today = time if time < DAY else time - DAY
        quiet = dataclasses.replace(site, burst=0, outage=0) if time >= DAY else site
        came += arriving(quiet, today) * STEP
        history.append((time + STEP, came))
        taken = 0 if site.outage and time < DAY and 0 <= today - 12 * HOUR < site.outage else rates.search
        written = min(daemons * rates.write, taken)
        able = daemons * rates.read
        if site.share > 0:
            able = min(able, written / site.share)
        done = min(came, done + able * STEP)
        while oldest + 1 < len(history) and history[oldest + 1][1] <= done:
            oldest += 1
        waiting = came - done
        age = time + STEP - history[oldest][0] if waiting > 1 else 0.0
        day.deepest = max(day.deepest, waiting)
        day.longest_wait = max(day.longest_wait, age)
        if site.outage and time >= 12 * HOUR + site.outage and day.caught_up is None and age <= STEP:
            day.caught_up = time - 12 * HOUR - site.outage
        asked = scaler.daemons(time, waiting / site.file_records, age, asked)
        running = daemons + sum(count for _, count in starting)
        if asked > running:
            starting.append((time + START, asked - running))
        elif asked < daemons:
            daemons = asked
        daemons += sum(count for at, count in starting if at <= time)
        starting = [(at, count) for at, count in starting if at > time]
        day.most_daemons = max(day.most_daemons, daemons)
        if time < DAY:
            day.daemon_hours += daemons * STEP / HOUR
        time += STEP
    return day


# A daemon of one processor, by docs/performance.md, and one node that shares two busy processors, by docs/replay.md.
RATES = Rates(read=110_000, write=3_400, search=1_300)
SCENARIOS = [
    Site("an account, what concerns SageMaker", records=20, share=0.01, file_records=20),
    Site("an organisation, what concerns SageMaker", records=2_000, share=0.01, file_records=100),
    Site("the same, ten times as much for an hour", records=2_000, share=0.01, file_records=100, burst=HOUR),
    Site("the same, one hour without OpenSearch", records=2_000, share=0.01, file_records=100, outage=HOUR),
    Site("the same with quiet regions, files of ten", records=2_000, share=0.01, file_records=10, burst=HOUR),
    Site("a small organisation, everything", records=400, share=1.0, file_records=100),
    Site("the same, one hour without OpenSearch", records=400, share=1.0, file_records=100, outage=HOUR),
    Site("a larger one, everything", records=1_000, share=1.0, file_records=100),
]


def minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min"


def row(site: Site, rates: Rates) -> str:
    day = simulate(site, rates)
    caught_up = ""
    if site.outage:
        caught_up = "never" if day.caught_up is None else minutes(day.caught_up)
    cells = [
        site.name,
        f"{site.records:,.0f}/s, {site.share:.0%}",
        str(day.most_daemons),
        f"{day.daemon_hours / 24:.1f}",
        f"{day.deepest / site.file_records:,.0f}",
        minutes(day.longest_wait),
        caught_up,
    ]
    return "| " + " | ".join(cells) + " |"


def table(sites: list[Site], rates: Rates) -> str:
    head = [
        "| site | records, shipped | most daemons | mean | most messages waiting | longest wait | caught up after |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join(head + [row(site, rates) for site in sites])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=float, help="records of CloudTrail each second, as a mean of the day")
    parser.add_argument("--share", type=float, default=1, help="percent of them that are shipped")
    parser.add_argument("--file-records", type=float, default=100, help="records in a file")
    parser.add_argument("--burst", type=int, default=0, help="seconds with ten times as many")
    parser.add_argument("--outage", type=int, default=0, help="seconds in which OpenSearch takes nothing")
    parser.add_argument("--read-rate", type=float, default=RATES.read, help="records that a daemon reads each second")
    parser.add_argument(
        "--write-rate", type=float, default=RATES.write, help="documents that a daemon writes each second"
    )
    parser.add_argument(
        "--search-rate", type=float, default=RATES.search, help="documents that OpenSearch takes each second"
    )
    parser.add_argument("--most", type=int, default=RATES.most, help="daemons at most")
    given = parser.parse_args()
    rates = Rates(given.read_rate, given.write_rate, given.search_rate, most=given.most)
    sites = SCENARIOS
    if given.records is not None:
        sites = [
            Site("yours", given.records, given.share / 100, given.file_records, given.burst, given.outage),
        ]
    print(table(sites, rates))


if __name__ == "__main__":
    main()
