"""The yardstick: what a script needs that ships records with boto3, one bulk for each file.

usage: shipper.py json | orjson related | all

`json` uses the standard library for gzip and JSON, `orjson` the fastest packages for both. It ships SageMaker's records
or all. It reads the queue, the
endpoint of AWS and that of OpenSearch from QUEUE_URL, AWS_ENDPOINT_URL and OPENSEARCH_URL, and runs until it is ended.
"""

import json
import os
import sys

import boto3
import urllib3

if sys.argv[1] == "orjson":
    import orjson
    from isal import igzip

    decompress, loads, dumps = igzip.decompress, orjson.loads, orjson.dumps
else:
    import gzip

    decompress, loads = gzip.decompress, json.loads

    def dumps(record: dict) -> bytes:
        return json.dumps(record, separators=(",", ":")).encode()


SHIPS_ALL = sys.argv[2] == "all"
QUEUE = os.environ["QUEUE_URL"]
BULK = os.environ["OPENSEARCH_URL"] + "/_bulk?filter_path=errors"
sqs = boto3.client("sqs")
s3 = boto3.client("s3", config=boto3.session.Config(s3={"addressing_style": "path"}))
http = urllib3.PoolManager()


def ship(bucket: str, key: str) -> None:
    stored = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    lines = []
    for record in loads(decompress(stored))["Records"]:
        if SHIPS_ALL or record["eventSource"] == "sagemaker.amazonaws.com":
            index = f"yardstick-{record['eventTime'][:7]}"
            lines.append(dumps({"create": {"_index": index, "_id": record["eventID"]}}))
            lines.append(dumps(record))
    if lines:
        body = b"\n".join(lines) + b"\n"
        answer = http.request("POST", BULK, body=body, headers={"Content-Type": "application/x-ndjson"})
        if loads(answer.data)["errors"]:
            sys.exit("OpenSearch did not take every record")


while True:
    messages = sqs.receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10, WaitTimeSeconds=20).get("Messages", [])
    for message in messages:
        for created in loads(message["Body"])["Records"]:
            ship(created["s3"]["bucket"]["name"], created["s3"]["object"]["key"])
    if messages:
        entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(messages)]
        sqs.delete_message_batch(QueueUrl=QUEUE, Entries=entries)
