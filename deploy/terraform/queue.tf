# The queue, its dead-letter queue, and who may send to it.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  bucket_arn = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}"
  # What SQS keeps at most: what expires in a queue, nobody can ship.
  retention_seconds = 14 * 24 * 60 * 60

  senders = {
    s3          = [{ service = "s3.amazonaws.com", source_arn = local.bucket_arn }]
    sns         = [{ service = "sns.amazonaws.com", source_arn = var.sns_topic_arn }]
    eventbridge = [{ service = "events.amazonaws.com", source_arn = one(aws_cloudwatch_event_rule.trail[*].arn) }]
    none        = var.senders
  }[var.notification]
}

resource "aws_sqs_queue" "trail" {
  name                              = var.name
  visibility_timeout_seconds        = var.visibility_timeout_seconds
  message_retention_seconds         = local.retention_seconds
  receive_wait_time_seconds         = 20
  kms_master_key_id                 = local.queue_kms_key_arn
  kms_data_key_reuse_period_seconds = 3600
  tags                              = var.tags

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.max_receive_count
  })
}

resource "aws_sqs_queue" "dead_letters" {
  name                              = "${var.name}-dead-letters"
  message_retention_seconds         = local.retention_seconds
  kms_master_key_id                 = local.queue_kms_key_arn
  kms_data_key_reuse_period_seconds = 3600
  tags                              = var.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id

  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.trail.arn]
  })
}

resource "aws_sqs_queue_policy" "trail" {
  queue_url = aws_sqs_queue.trail.id
  policy    = data.aws_iam_policy_document.queue.json
}

data "aws_iam_policy_document" "queue" {
  # Whoever can send chooses which objects the daemon reads, so it is the trail's own way and nobody else.
  dynamic "statement" {
    for_each = local.senders

    content {
      sid       = "Notify${statement.key}"
      actions   = ["sqs:SendMessage"]
      resources = [aws_sqs_queue.trail.arn]

      principals {
        type        = "Service"
        identifiers = [statement.value.service]
      }

      condition {
        test     = "ArnEquals"
        variable = "aws:SourceArn"
        values   = [statement.value.source_arn]
      }

      # A bucket's ARN does not say whose it is; a topic's and a rule's do.
      dynamic "condition" {
        for_each = statement.value.service == "s3.amazonaws.com" ? [local.account_id] : []

        content {
          test     = "StringEquals"
          variable = "aws:SourceAccount"
          values   = [condition.value]
        }
      }
    }
  }

  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [aws_sqs_queue.trail.arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}
