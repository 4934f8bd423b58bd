# The trail's bucket notifies the queue, and the daemon runs on ECS Fargate beside an Amazon OpenSearch Service domain.

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

  bucket_name           = "my-trail"
  bucket_kms_key_arn    = "arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000"
  opensearch_domain_arn = "arn:aws:es:eu-central-1:111122223333:domain/soc"
  alarm_actions         = ["arn:aws:sns:eu-central-1:111122223333:pages"]

  service = {
    image             = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/sagetrail:0.1.0"
    vpc_id            = "vpc-0123456789abcdef0"
    subnet_ids        = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    opensearch_url    = "https://vpc-soc-0123456789.eu-central-1.es.amazonaws.com"
    opensearch_cidrs  = ["10.0.0.0/16"]
    capacity_provider = "FARGATE_SPOT"
    max_tasks         = 4

    environment = {
      SAGETRAIL__SOURCE__ALLOWED_BUCKETS = "[my-trail]"
    }

    secrets = {
      SAGETRAIL__REDACTION__KEY = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:sagetrail-redaction-AbCdEf"
    }
  }
}

output "role_arn" {
  description = "Map it to the role in OpenSearch's security plugin."
  value       = module.sagetrail.role_arn
}
