# The service control policies, made in the organization's management account or by a delegated administrator.

module "documents" {
  source = "./documents"

  values   = var.values
  policies = var.policies
}

resource "aws_organizations_policy" "guardrails" {
  for_each = module.documents.documents

  name        = "${var.name}-${each.key}"
  description = "Guardrails of SageMaker: ${each.key}."
  type        = "SERVICE_CONTROL_POLICY"
  content     = each.value
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(each.value) <= 5120
      error_message = "A service control policy holds 5,120 characters: shorten the lists, or choose fewer policies."
    }
  }
}

resource "aws_organizations_policy_attachment" "guardrails" {
  for_each = {
    for pair in setproduct(keys(module.documents.documents), var.target_ids) :
    "${pair[0]} ${pair[1]}" => { bundle = pair[0], target_id = pair[1] }
  }

  policy_id = aws_organizations_policy.guardrails[each.value.bundle].id
  target_id = each.value.target_id
}
