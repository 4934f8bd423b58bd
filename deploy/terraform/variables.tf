variable "name" {
  description = "Of the queue, the roles and the service, and the beginning of all other names."
  type        = string
  default     = "sagetrail"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "2 to 31 lower-case letters, digits and hyphens, as some names get a suffix."
  }
}

variable "tags" {
  description = "Put on everything."
  type        = map(string)
  default     = {}
}

# --- The trail -----------------------------------------------------------------------------------------------------

variable "bucket_name" {
  description = "The bucket that CloudTrail writes to."
  type        = string
}

variable "bucket_prefix" {
  description = "The prefix of the trail within the bucket, with its slash at the end, if it has one."
  type        = string
  default     = ""

  validation {
    condition     = var.bucket_prefix == "" || endswith(var.bucket_prefix, "/")
    error_message = "It ends with a slash."
  }
}

variable "bucket_kms_key_arn" {
  description = "The KMS key that encrypts the trail's files, if it is one of your own."
  type        = string
  default     = null
}

variable "bucket_role_arn" {
  description = "A role to assume for reading a bucket of another account (source.assume_role_arn). The S3 and KMS permissions are then that role's business."
  type        = string
  default     = null
}

variable "notification" {
  description = <<-EOT
    How the bucket's news come to the queue:
      s3           the bucket notifies the queue. A bucket has one notification configuration, and this one replaces it.
      sns          the queue subscribes to the topic sns_topic_arn, which the bucket or CloudTrail itself notifies.
      eventbridge  a rule on the default bus; the bucket must send its events to EventBridge.
      none         wired elsewhere, by senders.
  EOT
  type        = string
  default     = "s3"

  validation {
    condition     = contains(["s3", "sns", "eventbridge", "none"], var.notification)
    error_message = "One of s3, sns, eventbridge, none."
  }
}

variable "sns_topic_arn" {
  description = "The topic for notification = \"sns\"."
  type        = string
  default     = null

  validation {
    condition     = (var.notification == "sns") == (var.sns_topic_arn != null)
    error_message = "notification = \"sns\" needs sns_topic_arn, and nothing else does."
  }
}

variable "senders" {
  description = "For notification = \"none\": who may send to the queue, as a service principal with the ARN it sends for."
  type        = list(object({ service = string, source_arn = string }))
  default     = []
}

# --- The queue -----------------------------------------------------------------------------------------------------

variable "visibility_timeout_seconds" {
  description = "The daemon renews it while it works. It also is the pause before a failed message is tried again."
  type        = number
  default     = 60

  validation {
    condition     = var.visibility_timeout_seconds >= 30
    error_message = "At least 30; 0 is refused by the daemon."
  }
}

variable "max_receive_count" {
  description = "Deliveries before a message goes to the dead-letter queue. Those that a stop cuts short count as well."
  type        = number
  default     = 10

  validation {
    condition     = var.max_receive_count >= 5
    error_message = "At least 5, because stops and crashes count as deliveries."
  }
}

variable "queue_kms_key_arn" {
  description = "A key of your own for both queues. Its policy must let the notifying service use it. Without one, a key is made."
  type        = string
  default     = null
}

# --- The role ------------------------------------------------------------------------------------------------------

variable "runs_on" {
  description = "Who may take the daemon's role: ecs, eks_irsa, eks_pod_identity or ec2."
  type        = string
  default     = "ecs"

  validation {
    condition     = contains(["ecs", "eks_irsa", "eks_pod_identity", "ec2"], var.runs_on)
    error_message = "One of ecs, eks_irsa, eks_pod_identity, ec2."
  }
}

variable "eks" {
  description = "For eks_irsa: the cluster's OIDC provider and the service account. For eks_pod_identity: the cluster and the service account."
  type = object({
    namespace         = optional(string, "sagetrail")
    service_account   = optional(string, "sagetrail")
    oidc_provider_arn = optional(string)
    cluster_name      = optional(string)
  })
  default = {}
}

variable "opensearch_domain_arn" {
  description = "The Amazon OpenSearch Service domain, for sink.auth = \"sigv4\"."
  type        = string
  default     = null
}

variable "command_roles" {
  description = <<-EOT
    Roles of their own for other commands than run: replay, retag, verify, setup, backtest, learn, whois, contain, guard, investigate, evidence (investigate --evidence), drill, doctor. Each
    with the ARNs of who may take it; an empty list for who may take the daemon's (runs_on), on EKS by a service account of its own, whose name is
    the daemon's with the command, such as sagetrail-verify.
  EOT
  type        = map(list(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.command_roles), ["replay", "retag", "verify", "setup", "backtest", "learn", "whois", "contain", "guard", "investigate", "evidence", "drill", "doctor"])) == 0
    error_message = "Only replay, retag, verify, setup, backtest, learn, whois, contain, guard, investigate, evidence, drill and doctor."
  }

  validation {
    condition     = var.opensearch_domain_arn != null || length(setintersection(keys(var.command_roles), ["retag", "setup", "learn", "whois", "contain", "guard", "investigate"])) == 0
    error_message = "retag, setup, learn, whois, contain, guard and investigate ask OpenSearch alone: without opensearch_domain_arn they need no role."
  }
}

# --- The service on ECS Fargate ------------------------------------------------------------------------------------

variable "service" {
  description = <<-EOT
    The service on ECS Fargate; null makes the queue and the role alone.
      image                     the image, best by digest
      vpc_id, subnet_ids        where the tasks run; private subnets with a way to SQS, S3, STS, KMS, logs and OpenSearch
      cluster_arn               a cluster of yours; without one, a cluster is made
      opensearch_url            sink.url
      opensearch_cidrs          where OpenSearch is
      opensearch_port           its port
      environment               more settings, such as SAGETRAIL__SINK__AUTH
      secrets                   variables from Secrets Manager or SSM, such as SAGETRAIL__SINK__PASSWORD, by their ARN
      secrets_kms_key_arns      the keys that encrypt those, where they are your own
      capacity_provider         FARGATE, or FARGATE_SPOT, which a stop that loses nothing makes safe
      cpu, memory               of a task, in CPU units and MiB
      min_tasks, max_tasks      the bounds of scaling
      messages_per_task         one task for so many messages, waiting or in flight
      seconds_of_age            the age of the oldest message that scaling holds
      metrics_security_group_id from where Prometheus may read port 9600
  EOT
  type = object({
    image                     = string
    vpc_id                    = string
    subnet_ids                = list(string)
    cluster_arn               = optional(string)
    opensearch_url            = string
    opensearch_cidrs          = optional(list(string), ["0.0.0.0/0"])
    opensearch_port           = optional(number, 443)
    environment               = optional(map(string), {})
    secrets                   = optional(map(string), {})
    secrets_kms_key_arns      = optional(list(string), [])
    capacity_provider         = optional(string, "FARGATE")
    cpu                       = optional(number, 512)
    memory                    = optional(number, 1024)
    cpu_architecture          = optional(string, "X86_64")
    min_tasks                 = optional(number, 1)
    max_tasks                 = optional(number, 10)
    messages_per_task         = optional(number, 500)
    seconds_of_age            = optional(number, 300)
    metrics_security_group_id = optional(string)
  })
  default = null

  validation {
    condition     = var.service == null || var.runs_on == "ecs"
    error_message = "The service needs runs_on = \"ecs\"."
  }

  validation {
    condition     = var.service == null || contains(["FARGATE", "FARGATE_SPOT"], coalesce(try(var.service.capacity_provider, null), "FARGATE"))
    error_message = "capacity_provider is FARGATE or FARGATE_SPOT."
  }
}

variable "log_retention_days" {
  description = "How long the daemon's log is kept."
  type        = number
  default     = 365
}

# --- The alarms ----------------------------------------------------------------------------------------------------

variable "alarm_actions" {
  description = "What alarms notify, such as the ARN of an SNS topic."
  type        = list(string)
  default     = []
}

variable "alarm_age_seconds" {
  description = "The age of the oldest message that raises an alarm."
  type        = number
  default     = 900
}
