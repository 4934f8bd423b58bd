"""The charts: what a panel says in its source becomes the `visState` of a classic visualisation."""

import json
from typing import Any

SEVERITIES = ("critical", "high", "medium", "low", "informational")
# How many values of a column a table shows for each value of the column before.
TABLE_SIZES = (20, 5, 3, 2)
TABLE_METRICS = ({"is": "count", "label": "records"}, {"is": "max", "of": "@timestamp", "label": "last"})
# The highest severity; the index pattern shows its number as its name.
WORST = {"is": "max", "of": "event.severity", "label": "worst"}
METRIC_WIDTHS = {"event.severity": 115}
TIME_WIDTH = 165
NUMBER_WIDTH = 85
# Of columns whose values are short, so that names and ARNs beside them are not cut.
SHORT_WIDTHS = {
    "event.outcome": 90,
    "event.type": 105,
    "sagemaker.actor.agent": 120,
    "sagemaker.actor.via": 90,
    "resource.type": 150,
    "sagemaker.resource.type": 150,
    "source.address": 130,
}
Json = dict[str, Any]


def text_of(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Aggregations:
    """The `aggs` of one visState, numbered as Dashboards numbers them."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.labels = labels
        self.list: list[Json] = []

    def add(self, kind: str, schema: str, params: Json) -> str:
        key = str(len(self.list) + 1)
        self.list.append({"id": key, "enabled": True, "type": kind, "schema": schema, "params": params})
        return key

    def metric(self, source: str | Json) -> str:
        source = {"is": source} if isinstance(source, str) else source
        kind, field, label = source["is"], source.get("of"), source.get("label")
        params: Json = {"field": field} if field else {}
        if label:
            params["customLabel"] = label
        return self.add(kind, "metric", params)

    def time(self, field: str = "@timestamp", interval: str = "h") -> str:
        # Only of the index pattern's own time field does Dashboards know the range, and so an interval that suits it.
        interval = "auto" if field == "@timestamp" else interval
        params = {"field": field, "interval": interval, "min_doc_count": 1, "extended_bounds": {}}
        return self.add("date_histogram", "segment", params | {"customLabel": "time"})

    def terms(self, schema: str, source: str | Json) -> str:
        source = {"of": source} if isinstance(source, str) else source
        params = {
            "field": source["of"],
            "orderBy": str(source.get("order_by", 1)),
            "order": source.get("order", "desc"),
            "size": source.get("size", 10),
            "otherBucket": False,
            "otherBucketLabel": "other",
            "missingBucket": "missing" in source,
            "missingBucketLabel": source.get("missing", "none"),
            "customLabel": source.get("label", self.labels.get(source["of"], source["of"])),
        }
        if "include" in source:
            params["include"] = source["include"]
        if "json" in source:
            params["json"] = text_of(source["json"])
        return self.add("terms", schema, params)

    def filters(self, schema: str, source: dict[str, str], label: str = "") -> str:
        filters = [{"input": {"query": query, "language": "lucene"}, "label": name} for name, query in source.items()]
        return self.add("filters", schema, {"filters": filters, "customLabel": label})


def split(aggregations: Aggregations, source: str | Json) -> None:
    if source == "severity":
        # Filters keep the order from the worst, which terms would lose where a severity is absent for a while.
        named = {name: f"sagemaker.severity:{name}" for name in SEVERITIES}
        aggregations.filters("group", named | {"none": "NOT _exists_:sagemaker.severity"})
    else:
        aggregations.terms("group", source)


def axes(kind: str, metric: str, label: str, horizontal: bool) -> Json:
    """The params of a bar chart: one axis of categories or time, one of values, one series."""
    labels = {"show": True, "filter": not horizontal, "truncate": 200 if horizontal else 100}
    # Names are read at the left of their bars; times and counts need no title to be understood.
    return {
        "type": kind,
        "grid": {"categoryLines": False},
        "categoryAxes": [
            {
                "id": "CategoryAxis-1",
                "type": "category",
                "position": "left" if horizontal else "bottom",
                "show": True,
                "style": {},
                "scale": {"type": "linear"},
                "labels": labels | ({"rotate": 0} if horizontal else {}),
                "title": {},
            }
        ],
        "valueAxes": [
            {
                "id": "ValueAxis-1",
                "name": "LeftAxis-1" if not horizontal else "BottomAxis-1",
                "type": "value",
                "position": "bottom" if horizontal else "left",
                "show": True,
                "style": {},
                "scale": {"type": "linear", "mode": "normal"},
                "labels": {"show": True, "rotate": 0, "filter": horizontal, "truncate": 100},
                "title": {"text": label},
            }
        ],
        "seriesParams": [
            {
                "show": True,
                "type": "histogram",
                "mode": "stacked",
                "data": {"label": label, "id": metric},
                "valueAxis": "ValueAxis-1",
                "drawLinesBetweenPoints": True,
                "lineWidth": 2,
                "interpolate": "linear",
                "showCircles": True,
            }
        ],
        "addTooltip": True,
        "addLegend": True,
        "legendPosition": "right",
        "times": [],
        "addTimeMarker": False,
        "labels": {"show": False},
        "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
    }


def trend(source: Json, labels: dict[str, str]) -> Json:
    aggregations = Aggregations(labels)
    metric = aggregations.metric(source.get("metric", "count"))
    aggregations.time(source.get("time", "@timestamp"), source.get("interval", "h"))
    if "by" in source:
        split(aggregations, source["by"])
    params = axes("histogram", metric, source.get("axis", "records"), horizontal=False)
    params["addLegend"] = "by" in source
    return {"type": "histogram", "aggs": aggregations.list, "params": params}


def ranking(source: Json, labels: dict[str, str]) -> Json:
    aggregations = Aggregations(labels)
    metric = aggregations.metric(source.get("metric", "count"))
    aggregations.terms("segment", source["of"])
    if "by" in source:
        split(aggregations, source["by"])
    params = axes("histogram", metric, source.get("axis", "records"), horizontal=True)
    params["addLegend"] = "by" in source
    return {"type": "horizontal_bar", "aggs": aggregations.list, "params": params}


def table(source: Json, labels: dict[str, str]) -> Json:
    """A row for each combination of values. Dashboards shows the metrics behind them, in the order of their ids."""
    aggregations = Aggregations(labels)
    worst_first = [WORST] if source.get("worst_first") else []
    for metric in [*worst_first, *source.get("metrics", TABLE_METRICS)]:
        aggregations.metric(metric)
    if "filters" in source:
        aggregations.filters("bucket", source["filters"], source["filters_label"])
    for size, column in zip(TABLE_SIZES, source.get("rows", []), strict=False):
        aggregations.terms("bucket", {"size": size} | ({"of": column} if isinstance(column, str) else column))
    params = {
        "perPage": source.get("per_page", 10),
        "showPartialRows": False,
        "showMetricsAtAllLevels": False,
        "sort": {"columnIndex": None, "direction": None},
        "showTotal": False,
        "totalFunc": "sum",
        "percentageCol": "",
    }
    return {"type": "table", "aggs": aggregations.list, "params": params}


def column_widths(aggregations: list[Json], chosen: dict[int, int]) -> list[Json]:
    """In pixels: what the source chooses, and what a time, a number or a short value needs; others share the rest."""
    buckets = [found for found in aggregations if found["schema"] == "bucket"]
    fields = [found["params"].get("field") for found in buckets]
    widths = {place: SHORT_WIDTHS[field] for place, field in enumerate(fields) if field in SHORT_WIDTHS}
    for place, metric in enumerate((found for found in aggregations if found["schema"] == "metric"), len(buckets)):
        field = metric["params"].get("field", "")
        is_time = field in ("@timestamp", "event.ingested") or field.endswith(".at")
        widths[place] = TIME_WIDTH if is_time else METRIC_WIDTHS.get(field, NUMBER_WIDTH)
    return [{"colIndex": place, "width": width} for place, width in sorted((widths | chosen).items())]


def numbers(source: Json, labels: dict[str, str]) -> Json:
    aggregations = Aggregations(labels)
    for metric in source.get("metrics", ["count"]):
        aggregations.metric(metric)
    if "filters" in source:
        aggregations.filters("group", source["filters"])
    style = {"bgFill": "#000", "bgColor": False, "labelColor": False, "subText": "", "fontSize": source.get("size", 28)}
    metric = {
        "percentageMode": False,
        "useRanges": False,
        "colorSchema": "Green to Red",
        "metricColorMode": "None",
        "colorsRange": [{"from": 0, "to": 10000}],
        "labels": {"show": True},
        "invertColors": False,
        "style": style,
    }
    params = {"addTooltip": True, "addLegend": False, "type": "metric", "metric": metric}
    return {"type": "metric", "aggs": aggregations.list, "params": params}


def grid(source: Json, labels: dict[str, str]) -> Json:
    aggregations = Aggregations(labels)
    aggregations.metric(source.get("metric", "count"))
    if source["across"] == "time":
        aggregations.time()
    else:
        aggregations.terms("segment", source["across"])
    aggregations.terms("group", source["down"])
    axis = {
        "show": False,
        "id": "ValueAxis-1",
        "type": "value",
        "scale": {"type": "linear", "defaultYExtents": False},
        "labels": {"show": False, "rotate": 0, "overwriteColor": False, "color": "black"},
    }
    params = {
        "type": "heatmap",
        "addTooltip": True,
        "addLegend": True,
        "enableHover": False,
        "legendPosition": "right",
        "times": [],
        "colorsNumber": 5,
        "colorSchema": "Blues",
        "setColorRange": False,
        "colorsRange": [],
        "invertColors": False,
        "percentageMode": False,
        "valueAxes": [axis],
    }
    return {"type": "heatmap", "aggs": aggregations.list, "params": params}


CHARTS = {"trend": trend, "ranking": ranking, "table": table, "numbers": numbers, "grid": grid}
