# The ways from the bucket to the queue. CloudTrail's digests have the same suffix; the daemon knows them by their keys.

resource "aws_s3_bucket_notification" "trail" {
  count  = var.notification == "s3" ? 1 : 0
  bucket = var.bucket_name

  queue {
    queue_arn     = aws_sqs_queue.trail.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = var.bucket_prefix
    filter_suffix = ".json.gz"
  }

  # S3 tries the way when it is made, and refuses it while the policies are not there.
  depends_on = [aws_sqs_queue_policy.trail, aws_kms_key.queue]
}

resource "aws_sns_topic_subscription" "trail" {
  count                = var.notification == "sns" ? 1 : 0
  topic_arn            = var.sns_topic_arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.trail.arn
  raw_message_delivery = true

  depends_on = [aws_sqs_queue_policy.trail]
}

resource "aws_cloudwatch_event_rule" "trail" {
  count       = var.notification == "eventbridge" ? 1 : 0
  name        = var.name
  description = "CloudTrail's files in ${var.bucket_name}"
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket_name] }
      object = { key = [{ wildcard = "${var.bucket_prefix}*.json.gz" }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "trail" {
  count = var.notification == "eventbridge" ? 1 : 0
  rule  = aws_cloudwatch_event_rule.trail[0].name
  arn   = aws_sqs_queue.trail.arn
}
