output "policy_ids" {
  description = "The policies' ids by bundle."
  value       = { for bundle, policy in aws_organizations_policy.guardrails : bundle => policy.id }
}

output "documents" {
  description = "The policies as JSON, by bundle, to read them before they are attached."
  value       = module.documents.documents
}
