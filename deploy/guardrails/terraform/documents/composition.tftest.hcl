# What the policies are after the site's values are in: `terraform init -backend=false && terraform test`.

run "all_policies_fit_into_three_with_the_defaults" {
  command = plan

  assert {
    condition     = length(output.documents) == 3
    error_message = "network, encryption and access"
  }

  assert {
    condition     = alltrue([for document in values(output.documents) : length(document) <= 5120])
    error_message = "A service control policy holds 5,120 characters."
  }
}

run "the_sites_values_take_the_place_of_the_defaults" {
  command = plan

  variables {
    values = {
      people_networks        = ["198.51.100.0/24"]
      break_glass_principals = ["arn:aws:iam::111122223333:role/rescue"]
    }
  }

  assert {
    condition     = strcontains(output.documents.access, "198.51.100.0/24") && !strcontains(output.documents.access, "203.0.113.0/24")
    error_message = "The networks are not the site's."
  }

  assert {
    condition     = alltrue([for document in values(output.documents) : !strcontains(document, "sagemaker-break-glass")])
    error_message = "The default of the break-glass role is still in a policy."
  }
}

run "only_the_chosen_policies_are_there" {
  command = plan

  variables {
    policies = ["vpc-required"]
  }

  assert {
    condition     = join(" ", keys(output.documents)) == "network" && length(jsondecode(output.documents.network).Statement) == 1
    error_message = "There is more than the chosen policy."
  }
}

run "a_list_that_does_not_exist_is_refused" {
  command = plan

  variables {
    values = { networks = ["198.51.100.0/24"] }
  }

  expect_failures = [var.values]
}

run "a_policy_that_does_not_exist_is_refused" {
  command = plan

  variables {
    policies = ["vpc"]
  }

  expect_failures = [var.policies]
}
