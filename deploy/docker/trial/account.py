"""The account of a trial: a bucket that notifies a queue, and CloudTrail's files in it.

usage: account.py create
       account.py upload FOLDER

create  makes the bucket, the queue and its dead-letter queue; what is there already stays as it is
upload  puts each *.json.gz of the folder into the bucket, under a key as CloudTrail chooses them

Where the services are and who asks comes from AWS_ENDPOINT_URL, AWS_REGION and the usual variables.
"""

import json
import os
import sys
from pathlib import Path

import boto3
from botocore.config import Config

BUCKET = "trail"
QUEUE = "sagetrail"
ACCOUNT = "111122223333"


def client(service: str):
    # The emulator has one host name, and no proxy stands before it.
    config = Config(proxies={}, s3={"addressing_style": "path"})
    return boto3.client(service, region_name=os.environ["AWS_REGION"], config=config)


def arn(sqs, url: str) -> str:
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def create() -> None:
    s3, sqs = client("s3"), client("sqs")
    dead_letters = sqs.create_queue(QueueName=f"{QUEUE}-dead-letters")["QueueUrl"]
    queue = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
    redrive = {"deadLetterTargetArn": arn(sqs, dead_letters), "maxReceiveCount": 10}
    attributes = {"VisibilityTimeout": "60", "RedrivePolicy": json.dumps(redrive)}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes=attributes)
    s3.create_bucket(Bucket=BUCKET)
    wiring = {"QueueConfigurations": [{"QueueArn": arn(sqs, queue), "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration=wiring)
    print(f"bucket {BUCKET} notifies {queue}")


def upload(folder: Path) -> None:
    s3 = client("s3")
    files = sorted(folder.glob("*.json.gz"))
    if not files:
        sys.exit(f"account.py: no *.json.gz in {folder}")
    for number, file in enumerate(files):
        name = f"{ACCOUNT}_CloudTrail_us-east-1_20261103T0000Z_{number:016}.json.gz"
        key = f"AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/2026/11/03/{name}"
        s3.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())
        print(f"{file.name} -> s3://{BUCKET}/{key}")


def main() -> None:
    match sys.argv[1:]:
        case ["create"]:
            create()
        case ["upload", folder]:
            upload(Path(folder))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
