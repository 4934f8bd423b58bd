# The key of both queues. The key that AWS manages cannot be used, because its policy lets no service send.

locals {
  queue_kms_key_arn = var.queue_kms_key_arn != null ? var.queue_kms_key_arn : one(aws_kms_key.queue[*].arn)
}

resource "aws_kms_key" "queue" {
  count                   = var.queue_kms_key_arn == null ? 1 : 0
  description             = "The queues of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
  tags                    = var.tags
}

resource "aws_kms_alias" "queue" {
  count         = var.queue_kms_key_arn == null ? 1 : 0
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.queue[0].key_id
}

# "*" is this key alone: a key's policy can name no other.
data "aws_iam_policy_document" "key" {
  # The account's own policies decide for its roles, as AWS recommends; without this nobody could change the key.
  statement {
    sid       = "Account"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.current.partition}:iam::${local.account_id}:root"]
    }
  }

  # No condition on the source: a topic of another account and EventBridge do not send one with every request. The
  # queue's policy decides who sends.
  dynamic "statement" {
    for_each = toset(local.senders[*].service)

    content {
      sid       = "Encrypt${title(split(".", statement.value)[0])}"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = ["*"]

      principals {
        type        = "Service"
        identifiers = [statement.value]
      }
    }
  }
}
