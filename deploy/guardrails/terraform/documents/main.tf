# Puts the chosen policies together, with the site's own values. It needs no provider.

locals {
  index    = jsondecode(file("${path.module}/../../guardrails.json"))
  defaults = { for name, parameter in local.index.parameters : name => jsonencode(parameter.default) }
  values   = { for name, list in local.defaults : name => try(jsonencode(var.values[name]), list) }
  chosen   = [for policy in local.index.policies : policy if var.policies == null ? true : contains(var.policies, policy.name)]

  # Each file is a policy with the default of every list in it, which the site's own list takes the place of.
  statements = {
    for policy in local.chosen : policy.name => jsondecode(
      replace(replace(replace(replace(replace(replace(
        jsonencode(jsondecode(file("${path.module}/../../policies/${policy.name}.json")).Statement),
        local.defaults.break_glass_principals, local.values.break_glass_principals),
        local.defaults.organization_admins, local.values.organization_admins),
        local.defaults.people_networks, local.values.people_networks),
        local.defaults.notebook_instance_types, local.values.notebook_instance_types),
        local.defaults.studio_instance_types, local.values.studio_instance_types),
      local.defaults.local_storage_instance_types, local.values.local_storage_instance_types)
    )
  }

  bundles = toset([for policy in local.chosen : policy.bundle])
}

output "documents" {
  description = "The policies as JSON, by bundle: a target takes only five service control policies."
  value = {
    for bundle in local.bundles : bundle => jsonencode({
      Version   = "2012-10-17"
      Statement = flatten([for policy in local.chosen : local.statements[policy.name] if policy.bundle == bundle])
    })
  }
}
