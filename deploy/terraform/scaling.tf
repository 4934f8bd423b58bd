# How many tasks run. Depth foresees work, age proves that it waits. Of two policies the larger answer counts, and tasks
# go away only when both agree.

resource "aws_appautoscaling_target" "daemon" {
  count              = length(local.services)
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${element(split("/", local.cluster_arn), 1)}/${aws_ecs_service.daemon[0].name}"
  min_capacity       = local.services[0].min_tasks
  max_capacity       = local.services[0].max_tasks
  tags               = var.tags
}

resource "aws_appautoscaling_policy" "depth" {
  count              = length(local.services)
  name               = "${var.name}-depth"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.daemon[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.daemon[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.daemon[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = local.services[0].messages_per_task
    scale_out_cooldown = 60
    scale_in_cooldown  = 300

    customized_metric_specification {
      metrics {
        id          = "per_task"
        label       = "Messages for each task"
        expression  = "(waiting + in_flight) / FILL(tasks, 1)"
        return_data = true
      }

      metrics {
        id          = "waiting"
        return_data = false

        metric_stat {
          stat = "Maximum"

          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesVisible"

            dimensions {
              name  = "QueueName"
              value = aws_sqs_queue.trail.name
            }
          }
        }
      }

      metrics {
        id          = "in_flight"
        return_data = false

        metric_stat {
          stat = "Maximum"

          metric {
            namespace   = "AWS/SQS"
            metric_name = "ApproximateNumberOfMessagesNotVisible"

            dimensions {
              name  = "QueueName"
              value = aws_sqs_queue.trail.name
            }
          }
        }
      }

      # Container Insights counts it; on a cluster of your own it has to be on, or one task is taken for granted.
      metrics {
        id          = "tasks"
        return_data = false

        metric_stat {
          stat = "Average"

          metric {
            namespace   = "ECS/ContainerInsights"
            metric_name = "RunningTaskCount"

            dimensions {
              name  = "ClusterName"
              value = element(split("/", local.cluster_arn), 1)
            }

            dimensions {
              name  = "ServiceName"
              value = aws_ecs_service.daemon[0].name
            }
          }
        }
      }
    }
  }
}

resource "aws_appautoscaling_policy" "age" {
  count              = length(local.services)
  name               = "${var.name}-age"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.daemon[0].service_namespace
  scalable_dimension = aws_appautoscaling_target.daemon[0].scalable_dimension
  resource_id        = aws_appautoscaling_target.daemon[0].resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = local.services[0].seconds_of_age
    scale_out_cooldown = 120
    scale_in_cooldown  = 300

    customized_metric_specification {
      namespace   = "AWS/SQS"
      metric_name = "ApproximateAgeOfOldestMessage"
      statistic   = "Maximum"

      dimensions {
        name  = "QueueName"
        value = aws_sqs_queue.trail.name
      }
    }
  }
}
