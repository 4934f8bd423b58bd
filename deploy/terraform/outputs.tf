output "queue_url" {
  description = "For source.queue_url, and queueUrl of the Helm chart."
  value       = aws_sqs_queue.trail.url
}

output "queue_arn" {
  description = "For a notification that is wired elsewhere."
  value       = aws_sqs_queue.trail.arn
}

output "dead_letter_queue_url" {
  description = "Where messages go that could not be processed."
  value       = aws_sqs_queue.dead_letters.url
}

output "role_arn" {
  description = "The daemon's role, for aws.roleArn of the Helm chart, and for OpenSearch's role mapping with sigv4."
  value       = aws_iam_role.daemon.arn
}

output "policy_json" {
  description = "What the daemon may do, for a role of your own."
  value       = data.aws_iam_policy_document.command["run"].json
}

output "command_role_arns" {
  description = "The roles of command_roles, by command."
  value       = { for command, role in aws_iam_role.command : command => role.arn }
}

output "command_policies_json" {
  description = "What each command may do, for roles of your own. Empty for one that asks nothing of AWS."
  value       = { for command, policy in data.aws_iam_policy_document.command : command => policy.json }
}

output "instance_profile_name" {
  description = "For runs_on = \"ec2\"."
  value       = one(aws_iam_instance_profile.daemon[*].name)
}

output "security_group_id" {
  description = "From where the tasks come, for OpenSearch's own security group."
  value       = one(aws_security_group.daemon[*].id)
}
