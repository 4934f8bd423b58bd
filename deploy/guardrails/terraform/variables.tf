variable "name" {
  description = "The beginning of the policies' names."
  type        = string
  default     = "sagemaker-guardrails"
}

variable "tags" {
  description = "Put on everything that takes tags."
  type        = map(string)
  default     = {}
}

variable "target_ids" {
  description = "Organizational units or accounts that the policies are attached to. Begin with a staging unit."
  type        = set(string)
  default     = []
}

variable "policies" {
  description = "Names of the policies in ../guardrails.json, all of them if null."
  type        = set(string)
  default     = null
}

variable "values" {
  description = "Lists of the site by the names in ../guardrails.json: people_networks, notebook_instance_types and others."
  type        = map(list(string))
  default     = {}
}

variable "config_rules_in" {
  description = "Where the rules of AWS Config are made: in this account, in all accounts of the organization, or nowhere."
  type        = string
  default     = "nowhere"

  validation {
    condition     = contains(["account", "organization", "nowhere"], var.config_rules_in)
    error_message = "account, organization or nowhere."
  }
}

variable "config_rules" {
  description = "Names of the rules in ../config-rules.json, all of them if null. Not every region has every rule."
  type        = set(string)
  default     = null
}

variable "config_excluded_accounts" {
  description = "Accounts of the organization that get no rules, because they record nothing."
  type        = list(string)
  default     = null
}
