"""What OpenSearch can find of the records."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from processes import DIRECT, Failure

EVENTS = "sagetrail-events"
REJECTED = "sagetrail-rejected"

Document = dict[str, Any]


class Search:
    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, query: Document | None = None) -> Document:
        body = None if query is None else json.dumps(query).encode()
        request = urllib.request.Request(f"{self.url}/{path}", body, {"Content-Type": "application/json"})
        try:
            with DIRECT.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise Failure(f"OpenSearch refused /{path}: {refusal.read().decode(errors='replace')}") from None

    def refresh(self) -> None:
        self.ask(f"{EVENTS}/_refresh", {})

    def ids(self) -> Iterator[str]:
        page = self.ask(f"{EVENTS}/_search?scroll=1m", {"size": 1000, "sort": ["_doc"], "_source": False})
        while page["hits"]["hits"]:
            yield from (hit["_id"] for hit in page["hits"]["hits"])
            page = self.ask("_search/scroll", {"scroll": "1m", "scroll_id": page["_scroll_id"]})

    def counts(self, field: str) -> list[tuple[str, int]]:
        by_value = {"terms": {"field": field, "size": 50, "missing": "none"}}
        answer = self.ask(f"{EVENTS}/_search", {"size": 0, "aggs": {"by_value": by_value}})
        return [(bucket["key"], bucket["doc_count"]) for bucket in answer["aggregations"]["by_value"]["buckets"]]

    def of_highest_severities(self, number: int) -> list[Document]:
        """The earliest document of each of the highest severities that there are."""
        worst_first = [{"event.severity": "desc"}, {"@timestamp": "asc"}]
        query = {"size": number, "sort": worst_first, "collapse": {"field": "sagemaker.severity"}}
        return [hit["_source"] for hit in self.ask(f"{EVENTS}/_search", query)["hits"]["hits"]]

    def rejected(self) -> int:
        return self.ask(f"{REJECTED}/_count?ignore_unavailable=true")["count"]
