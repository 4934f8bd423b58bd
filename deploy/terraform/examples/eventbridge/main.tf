# EventBridge feeds the queue, so the bucket's other notifications stay as they are. The daemon runs on a host, as
# deploy/systemd says, with the instance profile.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

module "sagetrail" {
  source = "../.."

  bucket_name  = "my-trail"
  notification = "eventbridge"
  runs_on      = "ec2"
}

output "queue_url" {
  description = "For source.queue_url in /etc/sagetrail/sagetrail.toml."
  value       = module.sagetrail.queue_url
}

output "instance_profile_name" {
  description = "For the host."
  value       = module.sagetrail.instance_profile_name
}
