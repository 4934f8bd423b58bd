# What each command may do, and roles of their own for those that command_roles names. `sagetrail check --permissions`
# prints the same; a test compares.

locals {
  stores  = ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut"]
  reads   = ["es:ESHttpGet", "es:ESHttpPost"]
  pages   = ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpDelete"]
  removes = ["es:ESHttpGet", "es:ESHttpPost", "es:ESHttpPut", "es:ESHttpDelete"]

  # A command lists what it needs.
  commands = {
    run = {
      queue        = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"]
      dead_letters = ["sqs:GetQueueAttributes"] # How many messages wait there is a metric.
      files        = ["s3:GetObject", "s3:GetObjectVersion"]
      # So that a missing object shows as missing and not as denied.
      bucket     = ["s3:ListBucket"]
      keys       = ["kms:Decrypt"]
      opensearch = local.stores
    }
    correlate = { opensearch = local.stores }
    replay = {
      files      = ["s3:GetObject"]
      bucket     = ["s3:ListBucket"]
      keys       = ["kms:Decrypt"]
      opensearch = local.stores
    }
    retag = { opensearch = local.removes }
    verify = {
      files      = ["s3:GetObject"]
      bucket     = ["s3:ListBucket"]
      keys       = ["kms:Decrypt"]
      cloudtrail = ["cloudtrail:ListPublicKeys"]
      opensearch = local.stores
    }
    setup = { opensearch = local.removes }
    backtest = {
      files      = ["s3:GetObject"]
      bucket     = ["s3:ListBucket"]
      keys       = ["kms:Decrypt"]
      opensearch = local.reads
    }
    learn = { opensearch = local.reads }
    whois = { opensearch = local.reads }
    # These read in pages of one view, which they close.
    contain     = { opensearch = local.pages }
    guard       = { opensearch = local.pages }
    investigate = { opensearch = local.pages }
    evidence = {
      files      = ["s3:GetObject"]
      bucket     = ["s3:ListBucket"]
      keys       = ["kms:Decrypt"]
      cloudtrail = ["cloudtrail:ListPublicKeys"]
      opensearch = local.pages
    }
    drill = {
      queue      = ["sqs:GetQueueAttributes"]
      writes     = ["s3:PutObject"]
      encrypts   = ["kms:GenerateDataKey"]
      opensearch = local.stores
    }
    doctor = {
      queue        = ["sqs:GetQueueAttributes"]
      dead_letters = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
      files        = ["s3:GetObject"]
      bucket       = ["s3:ListBucket", "s3:GetBucketNotification"]
      keys         = ["kms:Decrypt"]
      cloudtrail   = ["cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"]
      opensearch   = local.reads
    }
  }

  # A bucket that a role of another account reads is not read by a role of ours.
  reads_bucket = var.bucket_role_arn == null
}

data "aws_iam_policy_document" "command" {
  for_each = local.commands

  dynamic "statement" {
    for_each = try([each.value.queue], [])

    content {
      sid       = "Queue"
      actions   = statement.value
      resources = [aws_sqs_queue.trail.arn]
    }
  }

  dynamic "statement" {
    for_each = try([each.value.dead_letters], [])

    content {
      sid       = "DeadLetters"
      actions   = statement.value
      resources = [aws_sqs_queue.dead_letters.arn]
    }
  }

  dynamic "statement" {
    for_each = [for actions in try([each.value.files], []) : actions if local.reads_bucket]

    content {
      sid       = "Files"
      actions   = statement.value
      resources = ["${local.bucket_arn}/${var.bucket_prefix}*"]
    }
  }

  # A drill puts its file there itself, also where a role of another account reads.
  dynamic "statement" {
    for_each = try([each.value.writes], [])

    content {
      sid       = "FilesOfDrills"
      actions   = statement.value
      resources = ["${local.bucket_arn}/${var.bucket_prefix}AWSLogs/*"]
    }
  }

  dynamic "statement" {
    for_each = [for actions in try([each.value.encrypts], []) : actions if var.bucket_kms_key_arn != null]

    content {
      sid       = "KeyOfDrills"
      actions   = statement.value
      resources = [var.bucket_kms_key_arn]
    }
  }

  dynamic "statement" {
    for_each = [for actions in try([each.value.bucket], []) : actions if local.reads_bucket]

    content {
      sid       = "Bucket"
      actions   = statement.value
      resources = [local.bucket_arn]
    }
  }

  dynamic "statement" {
    for_each = can(each.value.files) && !local.reads_bucket ? [var.bucket_role_arn] : []

    content {
      sid       = "BucketOfAnotherAccount"
      actions   = ["sts:AssumeRole"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = each.key == "run" ? [each.value.keys] : []

    content {
      sid       = "KeyOfTheQueue"
      actions   = statement.value
      resources = [local.queue_kms_key_arn]
    }
  }

  dynamic "statement" {
    for_each = [for actions in try([each.value.keys], []) : actions if local.reads_bucket && var.bucket_kms_key_arn != null]

    content {
      sid       = "KeyOfTheBucket"
      actions   = statement.value
      resources = [var.bucket_kms_key_arn]
    }
  }

  # CloudTrail has no resource for these.
  dynamic "statement" {
    for_each = try([each.value.cloudtrail], [])

    content {
      sid       = "CloudTrail"
      actions   = statement.value
      resources = ["*"]
    }
  }

  dynamic "statement" {
    for_each = var.opensearch_domain_arn == null ? [] : [each.value.opensearch]

    content {
      sid       = "OpenSearch"
      actions   = statement.value
      resources = ["${var.opensearch_domain_arn}/*"]
    }
  }
}

data "aws_iam_policy_document" "command_trust" {
  for_each = var.command_roles

  statement {
    actions = length(each.value) > 0 ? ["sts:AssumeRole"] : local.trust.actions

    principals {
      type        = length(each.value) > 0 ? "AWS" : local.trust.principal.type
      identifiers = length(each.value) > 0 ? each.value : [local.trust.principal.identifier]
    }

    dynamic "condition" {
      for_each = length(each.value) > 0 ? {} : local.trust.conditions

      content {
        test     = "StringEquals"
        variable = condition.key
        # The subject of a web identity is the command's own service account.
        values = [endswith(condition.key, ":sub") ? "${condition.value}-${each.key}" : condition.value]
      }
    }
  }
}

resource "aws_iam_role" "command" {
  for_each           = var.command_roles
  name               = "${var.name}-${each.key}"
  description        = "For the command ${each.key} of sagetrail"
  assume_role_policy = data.aws_iam_policy_document.command_trust[each.key].json
  tags               = var.tags
}

resource "aws_iam_role_policy" "command" {
  for_each = var.command_roles
  name     = "${var.name}-${each.key}"
  role     = aws_iam_role.command[each.key].id
  policy   = data.aws_iam_policy_document.command[each.key].json
}

resource "aws_eks_pod_identity_association" "command" {
  for_each        = { for command, principals in var.command_roles : command => principals if length(principals) == 0 && var.runs_on == "eks_pod_identity" }
  cluster_name    = var.eks.cluster_name
  namespace       = var.eks.namespace
  service_account = "${var.eks.service_account}-${each.key}"
  role_arn        = aws_iam_role.command[each.key].arn
  tags            = var.tags
}
