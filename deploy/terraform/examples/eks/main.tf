# CloudTrail's topic feeds the queue, and the Helm chart runs the daemon with an EKS pod identity.

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

  bucket_name   = "organisation-trail"
  notification  = "sns"
  sns_topic_arn = "arn:aws:sns:eu-central-1:444455556666:trail"

  # The bucket is in the log archive's account.
  bucket_role_arn = "arn:aws:iam::444455556666:role/read-cloudtrail"

  runs_on = "eks_pod_identity"
  eks     = { cluster_name = "soc" }
}

output "helm_values" {
  description = "For `helm upgrade --install sagetrail deploy/helm/sagetrail --values -`, with opensearch added."
  value = yamlencode({
    aws      = { region = "eu-central-1", identity = "podIdentity", roleArn = module.sagetrail.role_arn }
    queueUrl = module.sagetrail.queue_url
    extraEnv = [{ name = "SAGETRAIL__SOURCE__ASSUME_ROLE_ARN", value = "arn:aws:iam::444455556666:role/read-cloudtrail" }]
  })
}
