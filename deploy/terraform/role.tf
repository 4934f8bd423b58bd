# The daemon's role: what it needs and nothing more.

resource "aws_iam_role" "daemon" {
  name               = var.name
  description        = "Reads the queue and the trail's files"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "daemon" {
  name   = var.name
  role   = aws_iam_role.daemon.id
  policy = data.aws_iam_policy_document.command["run"].json
}

locals {
  oidc_provider = var.eks.oidc_provider_arn == null ? "" : element(split(":oidc-provider/", var.eks.oidc_provider_arn), 1)

  trust = {
    ecs = {
      actions    = ["sts:AssumeRole"]
      principal  = { type = "Service", identifier = "ecs-tasks.amazonaws.com" }
      conditions = { "aws:SourceAccount" = local.account_id }
    }
    ec2 = {
      actions    = ["sts:AssumeRole"]
      principal  = { type = "Service", identifier = "ec2.amazonaws.com" }
      conditions = {}
    }
    eks_pod_identity = {
      actions    = ["sts:AssumeRole", "sts:TagSession"]
      principal  = { type = "Service", identifier = "pods.eks.amazonaws.com" }
      conditions = { "aws:SourceAccount" = local.account_id }
    }
    eks_irsa = {
      actions   = ["sts:AssumeRoleWithWebIdentity"]
      principal = { type = "Federated", identifier = var.eks.oidc_provider_arn }
      conditions = {
        "${local.oidc_provider}:aud" = "sts.amazonaws.com"
        "${local.oidc_provider}:sub" = "system:serviceaccount:${var.eks.namespace}:${var.eks.service_account}"
      }
    }
  }[var.runs_on]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = local.trust.actions

    principals {
      type        = local.trust.principal.type
      identifiers = [local.trust.principal.identifier]
    }

    dynamic "condition" {
      for_each = local.trust.conditions

      content {
        test     = "StringEquals"
        variable = condition.key
        values   = [condition.value]
      }
    }
  }
}

resource "aws_eks_pod_identity_association" "daemon" {
  count           = var.runs_on == "eks_pod_identity" ? 1 : 0
  cluster_name    = var.eks.cluster_name
  namespace       = var.eks.namespace
  service_account = var.eks.service_account
  role_arn        = aws_iam_role.daemon.arn
  tags            = var.tags
}

resource "aws_iam_instance_profile" "daemon" {
  count = var.runs_on == "ec2" ? 1 : 0
  name  = var.name
  role  = aws_iam_role.daemon.name
  tags  = var.tags
}
