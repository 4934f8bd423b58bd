variable "values" {
  description = "Lists of the site by the names in guardrails.json, in place of the defaults there."
  type        = map(list(string))
  default     = {}

  validation {
    condition = alltrue([for name in keys(var.values) :
    contains(keys(jsondecode(file("${path.module}/../../guardrails.json")).parameters), name)])
    error_message = "There is no such list: see the parameters in guardrails.json."
  }

  validation {
    condition     = alltrue([for list in values(var.values) : length(list) > 0])
    error_message = "An empty list stops everybody, or exempts nobody: leave it out to keep the default."
  }
}

variable "policies" {
  description = "Names of the policies, all of them if null."
  type        = set(string)
  default     = null
  nullable    = true

  validation {
    condition = var.policies == null ? true : alltrue([for name in var.policies :
    contains(jsondecode(file("${path.module}/../../guardrails.json")).policies[*].name, name)])
    error_message = "There is no such policy: see the names in guardrails.json."
  }
}
