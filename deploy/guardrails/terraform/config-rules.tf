# The managed rules of AWS Config. They need a recorder that records the types of SageMaker's resources.

locals {
  config_rules = {
    for rule in jsondecode(file("${path.module}/../config-rules.json")) : rule.name => rule
    if var.config_rules == null ? true : contains(var.config_rules, rule.name)
  }
}

resource "aws_config_config_rule" "guardrails" {
  for_each = var.config_rules_in == "account" ? local.config_rules : {}

  name             = each.key
  input_parameters = try(jsonencode(each.value.parameters), null)
  tags             = var.tags

  scope {
    compliance_resource_types = [each.value.resource_type]
  }

  source {
    owner             = "AWS"
    source_identifier = each.value.identifier
  }
}

resource "aws_config_organization_managed_rule" "guardrails" {
  for_each = var.config_rules_in == "organization" ? local.config_rules : {}

  name                 = each.key
  rule_identifier      = each.value.identifier
  input_parameters     = try(jsonencode(each.value.parameters), null)
  resource_types_scope = [each.value.resource_type]
  excluded_accounts    = var.config_excluded_accounts
}
