"""The S3 bucket and the SQS queues, set up as in a real account, and the files that CloudTrail would deliver."""

import gzip
import json
import random
import string
from pathlib import Path

import boto3
from botocore.config import Config

from processes import REGION, Failure

BUCKET = "cloudtrail-demo"
QUEUE = "sagetrail-demo"
DEAD_LETTER_QUEUE = f"{QUEUE}-dead-letters"


class Cloud:
    def __init__(self, endpoint: str) -> None:
        access = {
            "endpoint_url": endpoint,
            "region_name": REGION,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "config": Config(proxies={}, s3={"addressing_style": "path"}),
        }
        self.s3 = boto3.client("s3", **access)
        self.sqs = boto3.client("sqs", **access)
        self.s3.create_bucket(Bucket=BUCKET)
        self.dead_letter_queue = self.sqs.create_queue(QueueName=DEAD_LETTER_QUEUE)["QueueUrl"]
        self.queue = self.sqs.create_queue(QueueName=QUEUE, Attributes=self.queue_attributes())["QueueUrl"]
        self.s3.put_bucket_notification_configuration(
            Bucket=BUCKET,
            NotificationConfiguration={
                "QueueConfigurations": [{"QueueArn": self.arn(self.queue), "Events": ["s3:ObjectCreated:*"]}]
            },
        )

    def queue_attributes(self) -> dict[str, str]:
        dead_letter_queue = self.arn(self.dead_letter_queue)
        bucket_may_send = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": "*",
            "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"}},
        }
        return {
            "VisibilityTimeout": "30",
            "RedrivePolicy": json.dumps({"deadLetterTargetArn": dead_letter_queue, "maxReceiveCount": 5}),
            "Policy": json.dumps({"Version": "2012-10-17", "Statement": [bucket_may_send]}),
        }

    def arn(self, queue_url: str) -> str:
        answer = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
        return answer["Attributes"]["QueueArn"]

    def messages(self, queue_url: str) -> int:
        """How many messages wait or are in flight."""
        counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=counts)
        return sum(int(answer["Attributes"][count]) for count in counts)

    def upload(self, file: Path) -> None:
        content = file.read_bytes()
        self.s3.put_object(Bucket=BUCKET, Key=cloudtrail_key(file.name, content), Body=content)


def cloudtrail_key(name: str, content: bytes) -> str:
    """The key under which CloudTrail would have delivered a file with these records."""
    for record in json.loads(gzip.decompress(content))["Records"]:
        account, region, moment = (record.get(key) for key in ("recipientAccountId", "awsRegion", "eventTime"))
        if account and region and moment:
            break
    else:
        raise Failure(f"no record of {name} says account, region and time, as every file of CloudTrail does")
    year, month, day = moment[:10].split("-")
    stamp = f"{year}{month}{day}T{moment[11:13]}{moment[14:16]}Z"
    unique = "".join(random.choices(string.ascii_letters + string.digits, k=16))
    folder = f"AWSLogs/{account}/CloudTrail/{region}/{year}/{month}/{day}"
    return f"{folder}/{account}_CloudTrail_{region}_{stamp}_{unique}.json.gz"
