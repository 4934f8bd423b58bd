# The daemon on ECS Fargate.

locals {
  # A list of none or one, to which the resources count.
  services    = var.service == null ? [] : [var.service]
  cluster_arn = one([for service in local.services : service.cluster_arn != null ? service.cluster_arn : aws_ecs_cluster.own[0].arn])

  environment = merge([for service in local.services : merge(
    {
      AWS_REGION                   = data.aws_region.current.name
      SAGETRAIL__SOURCE__QUEUE_URL = aws_sqs_queue.trail.url
      SAGETRAIL__SINK__URL         = service.opensearch_url
    },
    var.opensearch_domain_arn == null ? {} : { SAGETRAIL__SINK__AUTH = "sigv4" },
    var.bucket_role_arn == null ? {} : { SAGETRAIL__SOURCE__ASSUME_ROLE_ARN = var.bucket_role_arn },
    service.environment,
  )]...)
}

resource "aws_ecs_cluster" "own" {
  count = var.service != null && try(var.service.cluster_arn, null) == null ? 1 : 0
  name  = var.name
  tags  = var.tags

  # Counts the tasks that run, which scaling divides by.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "own" {
  count              = length(aws_ecs_cluster.own)
  cluster_name       = aws_ecs_cluster.own[0].name
  capacity_providers = ["FARGATE", "FARGATE_SPOT"]
}

resource "aws_cloudwatch_log_group" "daemon" {
  count             = length(local.services)
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_ecs_task_definition" "daemon" {
  count                    = length(local.services)
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.services[0].cpu
  memory                   = local.services[0].memory
  task_role_arn            = aws_iam_role.daemon.arn
  execution_role_arn       = aws_iam_role.execution[0].arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = local.services[0].cpu_architecture
  }

  container_definitions = jsonencode([{
    name                   = "sagetrail"
    image                  = local.services[0].image
    essential              = true
    user                   = "65532:65532"
    readonlyRootFilesystem = true
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    # A stop takes up to shutdown.grace (25 s) and 20 s more.
    stopTimeout  = 45
    environment  = [for name, value in local.environment : { name = name, value = value }]
    secrets      = [for name, arn in local.services[0].secrets : { name = name, valueFrom = arn }]
    portMappings = [{ containerPort = 9600, protocol = "tcp" }]
    # Only that the process runs: ECS replaces what is not healthy, which would not help while OpenSearch is away.
    healthCheck = {
      command     = ["CMD", "/usr/bin/sagetrail", "health", "--live"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 30
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.daemon[0].name
        awslogs-region        = data.aws_region.current.name
        awslogs-stream-prefix = "daemon"
      }
    }
  }])
}

resource "aws_ecs_service" "daemon" {
  count           = length(local.services)
  name            = var.name
  cluster         = local.cluster_arn
  task_definition = aws_ecs_task_definition.daemon[0].arn
  desired_count   = local.services[0].min_tasks
  propagate_tags  = "SERVICE"
  tags            = var.tags

  capacity_provider_strategy {
    capacity_provider = local.services[0].capacity_provider
    weight            = 1
  }

  network_configuration {
    subnets          = local.services[0].subnet_ids
    security_groups  = [aws_security_group.daemon[0].id]
    assign_public_ip = false
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    # Scaling decides it.
    ignore_changes = [desired_count]
  }

  depends_on = [aws_ecs_cluster_capacity_providers.own, aws_iam_role_policy.daemon, aws_iam_role_policy.execution]
}

resource "aws_security_group" "daemon" {
  count       = length(local.services)
  name        = var.name
  description = "sagetrail: out to AWS and OpenSearch; in for metrics alone"
  vpc_id      = local.services[0].vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_egress_rule" "aws" {
  count             = length(local.services)
  security_group_id = aws_security_group.daemon[0].id
  description       = "SQS, S3, STS, KMS, logs and the registry of images"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "opensearch" {
  for_each          = toset(flatten(local.services[*].opensearch_cidrs))
  security_group_id = aws_security_group.daemon[0].id
  description       = "OpenSearch"
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = local.services[0].opensearch_port
  to_port           = local.services[0].opensearch_port
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  count                        = length(compact(local.services[*].metrics_security_group_id))
  security_group_id            = aws_security_group.daemon[0].id
  description                  = "Prometheus"
  referenced_security_group_id = local.services[0].metrics_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 9600
  to_port                      = 9600
}

# What ECS needs to start a task: the image, the log and the secrets.

resource "aws_iam_role" "execution" {
  count              = length(local.services)
  name               = "${var.name}-execution"
  description        = "Starts the tasks of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "execution" {
  count  = length(local.services)
  name   = "${var.name}-execution"
  role   = aws_iam_role.execution[0].id
  policy = data.aws_iam_policy_document.execution[0].json
}

data "aws_iam_policy_document" "execution" {
  count = length(local.services)

  # It names no resource in AWS's own model.
  statement {
    sid       = "RegistryToken"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = ["arn:${data.aws_partition.current.partition}:ecr:*:*:repository/*"]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.daemon[0].arn}:*"]
  }

  dynamic "statement" {
    for_each = length(local.services[0].secrets) > 0 ? [1] : []

    content {
      sid     = "Secrets"
      actions = ["secretsmanager:GetSecretValue", "ssm:GetParameters"]
      # A reference may go on after the secret's ARN with the key, the stage and the version.
      resources = distinct([
        for arn in values(local.services[0].secrets) : join(":", slice(split(":", arn), 0, min(7, length(split(":", arn)))))
      ])
    }
  }

  dynamic "statement" {
    for_each = length(local.services[0].secrets_kms_key_arns) > 0 ? [1] : []

    content {
      sid       = "SecretsKeys"
      actions   = ["kms:Decrypt"]
      resources = local.services[0].secrets_kms_key_arns
    }
  }
}
