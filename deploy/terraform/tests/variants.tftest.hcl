# Plans every variant with a mocked provider: `terraform init -backend=false && terraform test`. Nothing is made.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  bucket_name = "my-trail"
}

run "s3_is_the_default" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_notification.trail) == 1 && length(aws_sns_topic_subscription.trail) == 0 && length(aws_cloudwatch_event_rule.trail) == 0
    error_message = "The bucket notifies the queue, and nothing else does."
  }

  assert {
    condition     = local.senders[0].service == "s3.amazonaws.com" && local.senders[0].source_arn == "arn:aws:s3:::my-trail"
    error_message = "The bucket alone may send."
  }

  assert {
    condition     = length(aws_ecs_service.daemon) == 0 && length(aws_ecs_cluster.own) == 0
    error_message = "No service unless asked for."
  }
}

run "a_topic" {
  command = plan

  variables {
    notification    = "sns"
    sns_topic_arn   = "arn:aws:sns:eu-central-1:444455556666:trail"
    bucket_role_arn = "arn:aws:iam::444455556666:role/read-cloudtrail"
    runs_on         = "eks_irsa"
    eks             = { oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC" }
  }

  assert {
    condition     = length(aws_s3_bucket_notification.trail) == 0 && aws_sns_topic_subscription.trail[0].raw_message_delivery
    error_message = "The queue subscribes to the topic."
  }

  assert {
    condition     = local.trust.conditions["oidc.eks.eu-central-1.amazonaws.com/id/ABC:sub"] == "system:serviceaccount:sagetrail:sagetrail"
    error_message = "That service account alone may take the role."
  }
}

run "eventbridge_and_a_key_of_ones_own" {
  command = plan

  variables {
    notification      = "eventbridge"
    queue_kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1"
    runs_on           = "ec2"
  }

  assert {
    condition     = length(aws_cloudwatch_event_rule.trail) == 1 && length(aws_kms_key.queue) == 0 && length(aws_iam_instance_profile.daemon) == 1
    error_message = "A rule, no key, a profile for the host."
  }
}

run "wired_elsewhere_with_a_pod_identity" {
  command = plan

  variables {
    notification = "none"
    senders      = [{ service = "s3.amazonaws.com", source_arn = "arn:aws:s3:::other" }]
    runs_on      = "eks_pod_identity"
    eks          = { cluster_name = "soc" }
  }

  assert {
    condition     = length(aws_s3_bucket_notification.trail) == 0 && length(aws_eks_pod_identity_association.daemon) == 1
    error_message = "Only the queue, the role and the association."
  }
}

run "the_service" {
  command = plan

  variables {
    bucket_kms_key_arn    = "arn:aws:kms:eu-central-1:111122223333:key/2"
    opensearch_domain_arn = "arn:aws:es:eu-central-1:111122223333:domain/soc"

    service = {
      image          = "registry.example.com/sagetrail:0.1.0"
      vpc_id         = "vpc-1"
      subnet_ids     = ["subnet-1"]
      opensearch_url = "https://search.example.com"
      secrets        = { SAGETRAIL__SINK__PASSWORD = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:name-AbCdEf:password::" }
    }
  }

  assert {
    condition     = local.environment["SAGETRAIL__SINK__AUTH"] == "sigv4" && length(aws_ecs_cluster.own) == 1
    error_message = "A domain of AWS is signed for, and a cluster is made."
  }

  assert {
    condition     = length(aws_appautoscaling_policy.depth) == 1 && length(aws_appautoscaling_policy.age) == 1
    error_message = "It scales on depth and on age."
  }
}

run "a_service_on_a_cluster_that_is_there" {
  command = plan

  variables {
    service = {
      image          = "registry.example.com/sagetrail:0.1.0"
      vpc_id         = "vpc-1"
      subnet_ids     = ["subnet-1"]
      cluster_arn    = "arn:aws:ecs:eu-central-1:111122223333:cluster/soc"
      opensearch_url = "https://search.example.com"
    }
  }

  assert {
    condition     = length(aws_ecs_cluster.own) == 0 && startswith(aws_appautoscaling_target.daemon[0].resource_id, "service/soc/")
    error_message = "It runs there."
  }
}

run "a_topic_without_its_arn_is_refused" {
  command = plan

  variables {
    notification = "sns"
  }

  expect_failures = [var.sns_topic_arn]
}

run "few_deliveries_are_refused" {
  command = plan

  variables {
    max_receive_count = 1
  }

  expect_failures = [var.max_receive_count]
}

run "roles_for_commands" {
  command = plan

  variables {
    runs_on               = "eks_irsa"
    eks                   = { oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC" }
    opensearch_domain_arn = "arn:aws:es:eu-central-1:111122223333:domain/soc"
    command_roles         = { verify = [], setup = ["arn:aws:iam::111122223333:role/deployer"] }
  }

  assert {
    condition     = toset(keys(aws_iam_role.command)) == toset(["setup", "verify"]) && aws_iam_role.command["verify"].name == "sagetrail-verify"
    error_message = "A role for each command that was named."
  }

  assert {
    condition     = length(aws_eks_pod_identity_association.command) == 0
    error_message = "A web identity needs no association."
  }
}

run "a_role_that_nothing_is_for" {
  command = plan

  variables {
    command_roles = { setup = [] }
  }

  expect_failures = [var.command_roles]
}
