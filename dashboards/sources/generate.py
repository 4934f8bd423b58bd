#!/usr/bin/env python3
"""Makes the saved objects in dashboards/*.ndjson from the readable sources beside this file.

shared.yml has what all dashboards use: index patterns, colours, the threat categories, the order of the dashboards.
searches.yml has the saved searches; each other NAME.yml is one dashboard and becomes ../NAME.ndjson, which can be
imported by itself. Run this after a change; `--check` only says whether that was forgotten.
"""

import json
import pathlib
import re
import sys
from typing import Any
from urllib.parse import quote

import yaml

from charts import CHARTS, SEVERITIES, Json, column_widths, text_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = HERE.parent.parent / "config"
COLUMNS = 48
# Anything higher is refused, and the whole import with it.
MIGRATION_VERSIONS = {
    "index-pattern": {"index-pattern": "7.6.0"},
    "visualization": {"visualization": "7.10.0"},
    "search": {"search": "7.9.3"},
    "dashboard": {"dashboard": "7.9.3"},
}
INDEX_REFERENCE = "kibanaSavedObjectMeta.searchSourceJSON.index"
DEFAULT_TIME = "now-7d"


def read_yaml(name: str) -> Any:
    return yaml.safe_load((HERE / name).read_text(encoding="utf-8"))


def filled(node: Any, values: dict[str, str]) -> Any:
    """The node with `${name}` replaced by the values, in keys too."""
    if isinstance(node, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: str(values.get(found[1], found[0])), node)
    if isinstance(node, list):
        return [filled(item, values) for item in node]
    if isinstance(node, dict):
        return {filled(key, values): filled(value, values) for key, value in node.items()}
    return node


class Sources:
    """What the dashboards are made from."""

    def __init__(self) -> None:
        questions = tomllib.loads((CONFIG / "questions.toml").read_text(encoding="utf-8"))["question"]
        rules = sorted((CONFIG / "rules" / "posture").glob("*.yml"))
        posture = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in rules]
        titles = [rule["title"] for rule in posture]
        values = {f"question_{question['number']}": question["text"] for question in questions}
        values |= {f"severity_{name}": colour for name, colour in read_yaml("shared.yml")["severity"].items()}
        values["posture_query"] = " OR ".join(f'"{title}"' for title in titles)
        values["posture_pattern"] = "|".join(re.sub(r"([^\w ])", r"\\\1", title) for title in titles)
        values["posture_table"] = "| check | level | how to put it right |\n|---|---|---|\n" + "".join(
            f"| {rule['title']} | {rule['level']} | [AWS' guide]({rule['references'][0]}) |\n" for rule in posture
        )
        self.values = values
        self.shared = read_yaml("shared.yml")
        self.searches: dict[str, Json] = {}
        for key, search in filled(read_yaml("searches.yml"), values).items():
            for item in self.items(search.pop("each", None)):
                self.searches.update(filled({key: search}, item))

    def items(self, name: str | None) -> list[Json]:
        """The list that a part is repeated over; one empty item for what is not repeated."""
        return self.shared[name] if name else [{}]

    def dashboard(self, name: str) -> Json:
        source = filled(read_yaml(f"{name}.yml"), self.values)
        repeated = [(row, self.items(row.get("each"))) for row in source["rows"]]
        source["rows"] = [self.with_filters(filled(row, item)) for row, items in repeated for item in items]
        return source

    def with_filters(self, node: Any) -> Any:
        """The node with each name of shared filters replaced by them."""
        if isinstance(node, list):
            return [self.with_filters(item) for item in node]
        if not isinstance(node, dict):
            return node
        named = {"filters": self.shared["filters"][node["filters"]]} if isinstance(node.get("filters"), str) else {}
        return {key: self.with_filters(value) for key, value in (node | named).items()}


def index_pattern_id(name: str) -> str:
    return f"sagetrail-{name}"


def search_id(name: str) -> str:
    return f"sagetrail-search-{name}"


def dashboard_id(name: str) -> str:
    return f"sagetrail-dashboard-{name}"


def saved_object(kind: str, key: str, attributes: Json, references: list[Json]) -> Json:
    return {
        "id": key,
        "type": kind,
        "attributes": attributes,
        "references": references,
        "migrationVersion": MIGRATION_VERSIONS[kind],
    }


def index_pattern(name: str, source: Json, colours: dict[str, str]) -> Json:
    formats: Json = {}
    for field in source.get("links", []):
        formats[field] = {"id": "url", "params": {}}
    for opened in source.get("opens", []):
        params = {"urlTemplate": address(opened), "openLinkInCurrentTab": True}
        params["labelTemplate"] = opened.get("label", "{{value}}")
        formats |= {field: {"id": "url", "params": params} for field in opened["fields"]}
    for field in source.get("ranks", []):
        names = [{"key": str(5 - place), "value": name} for place, name in enumerate(SEVERITIES)]
        formats[field] = {"id": "static_lookup", "params": {"lookupEntries": names}}
    for field in source.get("times", []):
        formats[field] = {"id": "date", "params": {"pattern": "YYYY-MM-DD HH:mm:ss"}}
    for field in source.get("severities", []):
        rules = [
            {"range": "-Infinity:Infinity", "regex": f"^{value}$", "text": contrast(colour), "background": colour}
            for value, colour in colours.items()
            if value in SEVERITIES
        ]
        formats[field] = {"id": "color", "params": {"fieldType": "string", "colors": rules}}
    attributes = {
        "title": source["title"],
        **({} if source.get("timeless") else {"timeFieldName": "@timestamp"}),
        # In the order in which Dashboards writes them back.
        "fieldFormatMap": text_of(dict(sorted(formats.items()))),
        "sourceFilters": text_of([{"value": field} for field in source.get("hidden", [])]),
    }
    return saved_object("index-pattern", index_pattern_id(name), attributes, [])


def address(opened: Json) -> str:
    """Of the dashboard that a value opens, about that value alone; Dashboards encodes it and fills it in."""
    state = quote(opened["state"], safe="!'():,=*@$/.-_{}")
    # From any page: what begins with a point is taken from the folder of Dashboards' apps.
    return (
        f"../app/dashboards#/view/{dashboard_id(opened['dashboard'])}"
        f"?_g=(time:(from:{opened['from']},to:now))&_a=({state})"
    )


def contrast(colour: str) -> str:
    """Black or white, whichever reads better on the colour (by the luminance of WCAG)."""
    red, green, blue = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    luminance = sum(w * c**2.2 for w, c in ((0.2126, red), (0.7152, green), (0.0722, blue)))
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#FFFFFF"


# A drill is no attack and nobody's work, so nothing counts it. The tag and the origin are in indices of every release.
WITHOUT_DRILLS = {"events": "NOT tags:drill", "incidents": "NOT incident.origin:drill\\:*"}


def without_drills(source: Json) -> str:
    left_out = None if source.get("drills") else WITHOUT_DRILLS.get(source.get("index", "events"))
    queries = [f"({source['query']})" if left_out else source["query"]] if "query" in source else []
    return " AND ".join(queries + ([left_out] if left_out else []))


def saved_search(name: str, source: Json) -> Json:
    query = {"query": without_drills(source), "language": "lucene"}
    attributes = {
        "title": f"sagetrail: {source['title']}",
        "description": source.get("description", ""),
        "hits": 0,
        "columns": source["columns"],
        "sort": [[field, "desc"] for field in source.get("newest_first", ["@timestamp"])],
        "version": 1,
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": text_of({"query": query, "filter": [], "indexRefName": INDEX_REFERENCE})
        },
    }
    pattern = index_pattern_id(source.get("index", "events"))
    return saved_object(
        "search", search_id(name), attributes, [{"name": INDEX_REFERENCE, "type": "index-pattern", "id": pattern}]
    )


def embeddable(panel: Json) -> Json:
    if panel.get("bare"):
        return {"hidePanelTitles": True}
    return {"title": panel["title"]} if "records" in panel else {}


class Dashboard:
    """One dashboard with every object that it needs."""

    def __init__(self, name: str, sources: Sources) -> None:
        self.name = name
        self.source = sources.dashboard(name)
        self.sources = sources
        self.visualizations: list[Json] = []
        self.used: list[str] = []
        panels: list[Json] = []
        references: list[Json] = []
        top = 0
        for row in self.source["rows"]:
            left = 0
            free = COLUMNS - sum(panel.get("width", 0) for panel in row["panels"])
            shared = [panel for panel in row["panels"] if "width" not in panel]
            for panel in row["panels"]:
                width = panel.get("width") or free // len(shared)
                number = len(panels)
                place = {"x": left, "y": top, "w": width, "h": row["height"], "i": str(number)}
                kind, key = self.panel(panel)
                panels.append(
                    {
                        "version": "2.8.0",
                        "gridData": place,
                        "panelIndex": str(number),
                        "embeddableConfig": embeddable(panel),
                        "panelRefName": f"panel_{number}",
                    }
                )
                references.append({"name": f"panel_{number}", "type": kind, "id": key})
                left += width
            top += row["height"]
        attributes = {
            "title": self.title(name),
            "description": self.source["description"],
            "hits": 0,
            "version": 1,
            "timeRestore": True,
            "timeFrom": self.source.get("from", DEFAULT_TIME),
            "timeTo": "now",
            "refreshInterval": {"pause": True, "value": 0},
            "optionsJSON": text_of({"hidePanelTitles": False, "useMargins": True}),
            "panelsJSON": text_of(panels),
            "kibanaSavedObjectMeta": {
                "searchSourceJSON": text_of({"query": {"query": "", "language": "kuery"}, "filter": []})
            },
        }
        self.dashboard = saved_object("dashboard", dashboard_id(name), attributes, references)

    def title(self, name: str) -> str:
        return f"sagetrail: {self.sources.shared['dashboards'][name]}"

    def lines(self) -> str:
        """The file, in an order in which each object follows those that it refers to."""
        shared = self.sources.shared
        patterns = [index_pattern(name, source, shared["severity"]) for name, source in shared["indices"].items()]
        searches = [saved_search(name, self.sources.searches[name]) for name in sorted(set(self.used))]
        objects = [*patterns, *searches, *self.visualizations, self.dashboard]
        return "".join(f"{text_of(saved)}\n" for saved in objects)

    def panel(self, panel: Json) -> tuple[str, str]:
        """Makes what the panel shows; the kind and the id of it."""
        if "records" in panel:
            self.used.append(panel["records"])
            return "search", search_id(panel["records"])
        key = f"sagetrail-{self.name}-{panel['id']}"
        references: list[Json] = []
        attributes = {"title": panel["title"], "description": panel.get("read", ""), "version": 1, "uiStateJSON": "{}"}
        source_query: Json = {}
        if "text" in panel:
            panel_type, params = "markdown", {"fontSize": 12, "openLinksInNewTab": False, "markdown": self.text(panel)}
            state = {"type": panel_type, "aggs": [], "params": params}
        elif "controls" in panel:
            state = self.controls(panel, references)
        elif "vega" in panel:
            spec = json.loads((HERE / "vega" / f"{panel['vega']}.json").read_text(encoding="utf-8"))
            spec = filled(spec, self.sources.values)
            state = {"type": "vega", "aggs": [], "params": {"spec": json.dumps(spec, ensure_ascii=False, indent=2)}}
        else:
            (chart,) = CHARTS.keys() & panel.keys()
            state = CHARTS[chart](panel[chart], self.sources.shared["labels"])
            self.used.append(panel["search"])
            references.append({"name": "search_0", "type": "search", "id": search_id(panel["search"])})
            attributes["savedSearchRefName"] = "search_0"
            widths = column_widths(state["aggs"], panel.get("widths", {}))
            look = {"columnsWidth": widths} if chart == "table" else {"colors": self.sources.shared["severity"]}
            attributes["uiStateJSON"] = text_of({"vis": look})
            source_query = {"query": {"query": "", "language": "kuery"}, "filter": []}
        attributes["visState"] = text_of({"title": panel["title"]} | state)
        attributes["kibanaSavedObjectMeta"] = {"searchSourceJSON": text_of(source_query)}
        self.visualizations.append(saved_object("visualization", key, attributes, references))
        return "visualization", key

    def text(self, panel: Json) -> str:
        links = []
        for name, title in self.sources.shared["dashboards"].items():
            if name in self.sources.shared["opened_from_rows"] and name != self.name:
                continue
            link = f"[{title}](#/view/{dashboard_id(name)})"
            links.append(f"**{title}**" if name == self.name else link)
        # A link to another dashboard keeps the pinned filters; one to Discover starts anew, and without a time it would
        # show the last minutes only.
        discover = f"discover#/view/sagetrail-search-\\1?_g=(time:(from:{DEFAULT_TIME},to:now))"
        text = re.sub(r"\(dashboard:([\w-]+)\)", r"(#/view/sagetrail-dashboard-\1)", panel["text"])
        text = re.sub(r"\(search:([\w-]+)\)", f"({discover})", text)
        return text.replace("${navigation}", " · ".join(links))

    def controls(self, panel: Json, references: list[Json]) -> Json:
        controls = []
        for number, name in enumerate(panel["controls"]):
            control = self.sources.shared["controls"][name]
            reference = f"control_{number}_index_pattern"
            pattern = index_pattern_id(panel.get("index", "events"))
            references.append({"name": reference, "type": "index-pattern", "id": pattern})
            options = {"type": "terms", "multiselect": True, "dynamicOptions": True, "size": 10, "order": "desc"}
            controls.append(
                {
                    "id": name,
                    "fieldName": control["field"],
                    "parent": "",
                    "label": control["label"],
                    "type": "list",
                    "options": options,
                    "indexPatternRefName": reference,
                }
            )
        params = {"controls": controls, "updateFiltersOnChange": True, "useTimeFilter": True, "pinFilters": True}
        return {"type": "input_control_vis", "aggs": [], "params": params}


def main() -> int:
    check_only = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check_only:
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    sources = Sources()
    stale = 0
    for name in sources.shared["dashboards"]:
        target = HERE.parent / f"{name}.ndjson"
        lines = Dashboard(name, sources).lines()
        if target.exists() and target.read_text(encoding="utf-8") == lines:
            continue
        stale += 1
        print(f"dashboards/{target.name}: {'out of date' if check_only else 'written'}")
        if not check_only:
            target.write_text(lines, encoding="utf-8")
    return 1 if check_only and stale else 0


if __name__ == "__main__":
    sys.exit(main())
