#!/usr/bin/env bash
# Contains ef59c50419a67acb64ab3f936e02b75d. Read it, then run it: it was not run.
# Made by `sagetrail contain`. Each step says what it breaks, how it is undone, and where to read on.
# Note: Critical: botocore-session-1762132500 (role MLOps-SageMakerAdministrator, MFA off) created training job llm-warmup-2 on 4 × ml.g5.12xlarge, passing role AmazonSageMaker-ExecutionRole-20261001T101500, with image 444455556666.dkr.ecr.eu-central-1.amazonaws.com/ml-tools:latest, writing to bucket sagemaker-eu-central-1-111122223333, from 198.51.100.77; 50 findings on 22 resources. (Escalated, 37 signals)
# Note: made from 39 records of 2026-11-03T01:12:03.000Z to 2026-11-03T03:15:02.000Z. What came later, or was not delivered yet, is not in it.
# Note: managed-node sagemaker-cluster:exampleclst1_worker-group-1-i-0a1b2c3d4e5f60718: no step is known for what was done (StartSession).
# Note: quota L-EXAMPLE1: no step is known for what was done (RequestServiceQuotaIncrease).

set -u
umask 077
export AWS_PAGER=''
failed='' waiting='' unkept=''

# account NUMBER PROFILE: nothing is done in another account than the one that is meant
account() {
  local found
  found=$(aws ${2:+"--profile=$2"} sts get-caller-identity --query=Account --output=text) && [ "$found" = "$1" ] && return
  echo "${2:-What the AWS CLI signs with} is not of account $1. Set PROFILE_$1 to a profile that is." >&2
  exit 1
}

# step NUMBER COMMAND…: says what it runs, and goes on when that fails
step() {
  printf '\n%s:' "$1" && printf ' %q' "${@:2}" && echo
  "${@:2}" || failed="$failed $1"
}

# keep NUMBER FILE COMMAND…: the same, with the output in a file of the evidence
keep() {
  printf '\n%s:' "$1" && printf ' %q' "${@:3}" && echo " > $2"
  "${@:3}" >"$EVIDENCE/$2" || unkept="$unkept $1"
}

# removal NUMBER COMMAND…: the same as step, but only with REMOVE=yes
removal() {
  [ "${REMOVE-}" != yes ] || { step "$@" && return; }
  printf '\n%s, only with REMOVE=yes:' "$1" && printf ' %q' "${@:2}" && echo
}

# needs NUMBER VARIABLE…: whether you have said what no record tells
needs() {
  local name
  for name in "${@:2}"; do
    [ -n "${!name-}" ] && continue
    printf '\n%s waits for %s\n' "$1" "$name" && waiting="$waiting $1"
    return 1
  done
}

NOW=${NOW:-$(date -u +%Y-%m-%dT%H:%M:%SZ)}
EVIDENCE=${EVIDENCE:-$PWD/evidence-ef59c50419a67acb64ab3f936e02b75d}
mkdir -p "$EVIDENCE" || exit 1

# The profile of the AWS CLI for each account; without one, what it finds by itself
PROFILE_111122223333=${PROFILE_111122223333-}
account 111122223333 "$PROFILE_111122223333"

# What no record tells: set it before the script, or here, and its steps are run
TRUST_POLICY_9=${TRUST_POLICY_9-}
APPROVAL_STATUS_BEFORE_16=${APPROVAL_STATUS_BEFORE_16-}
BEFORE_ENDPOINT_CONFIG_21=${BEFORE_ENDPOINT_CONFIG_21-}

# ==== 1. Who acted can do no more

# ---- 1. Deny the older sessions of the role AmazonSageMaker-ExecutionRole-20261001T101500 everything
#      what:   role arn:aws:iam::111122223333:role/service-role/AmazonSageMaker-ExecutionRole-20261001T101500, account 111122223333, region eu-central-1
#      breaks: Each session of the role that began before this is denied everything; whoever may take the role gets a new one. What runs with it stops working until it takes new credentials.
#      used:   arn:aws:sagemaker:eu-central-1:111122223333:model/fraud-detection-42, arn:aws:sagemaker:eu-central-1:111122223333:processing-job/feature-backfill-2026-11-03, arn:aws:sagemaker:eu-central-1:111122223333:processing-job/pipelines-exampleexec1-prepare-0a1b2c3d4e, arn:aws:sagemaker:eu-central-1:111122223333:training-job/llm-warmup-2, arn:aws:sagemaker:eu-central-1:111122223333:training-job/pipelines-exampleexec1-train-0a1b2c3d4e
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam delete-role-policy --role-name=AmazonSageMaker-ExecutionRole-20261001T101500 --policy-name=sagetrail-contain
#      see:    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
step 1 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam put-role-policy --role-name=AmazonSageMaker-ExecutionRole-20261001T101500 --policy-name=sagetrail-contain --policy-document='{"Version":"2012-10-17","Statement":[{"Sid":"OlderSessions","Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{"DateLessThan":{"aws:TokenIssueTime":"'"$NOW"'"}}}]}'

# ---- 2. Deny the older sessions of the role MLOps-SageMakerAdministrator everything
#      what:   role arn:aws:iam::111122223333:role/MLOps-SageMakerAdministrator, account 111122223333, region eu-central-1
#      breaks: Each session of the role that began before this is denied everything; whoever may take the role gets a new one. What runs with it stops working until it takes new credentials.
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam delete-role-policy --role-name=MLOps-SageMakerAdministrator --policy-name=sagetrail-contain
#      see:    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
step 2 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam put-role-policy --role-name=MLOps-SageMakerAdministrator --policy-name=sagetrail-contain --policy-document='{"Version":"2012-10-17","Statement":[{"Sid":"OlderSessions","Effect":"Deny","Action":["*"],"Resource":["*"],"Condition":{"DateLessThan":{"aws:TokenIssueTime":"'"$NOW"'"}}}]}'

# ==== 2. What a later step destroys is kept
keep 1 001-1-get-role-amazonsagemaker-executionrole-20261001t1.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam get-role --role-name=AmazonSageMaker-ExecutionRole-20261001T101500
keep 1 001-2-list-role-policies-amazonsagemaker-executionrole-20261001t1.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam list-role-policies --role-name=AmazonSageMaker-ExecutionRole-20261001T101500
keep 1 001-3-list-attached-role-policies-amazonsagemaker-executionrole-20261001t1.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam list-attached-role-policies --role-name=AmazonSageMaker-ExecutionRole-20261001T101500
keep 2 002-1-get-role-mlops-sagemakeradministrator.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam get-role --role-name=MLOps-SageMakerAdministrator
keep 2 002-2-list-role-policies-mlops-sagemakeradministrator.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam list-role-policies --role-name=MLOps-SageMakerAdministrator
keep 2 002-3-list-attached-role-policies-mlops-sagemakeradministrator.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam list-attached-role-policies --role-name=MLOps-SageMakerAdministrator
keep 3 003-1-describe-notebook-instance-fraud-research.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker describe-notebook-instance --notebook-instance-name=fraud-research
keep 3 003-2-filter-log-events-fraud-research.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 logs filter-log-events --log-group-name=/aws/sagemaker/NotebookInstances --log-stream-name-prefix=fraud-research
keep 4 004-1-describe-processing-job-feature-backfill-2026-11-03.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker describe-processing-job --processing-job-name=feature-backfill-2026-11-03
keep 4 004-2-filter-log-events-feature-backfill-2026-11-03.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 logs filter-log-events --log-group-name=/aws/sagemaker/ProcessingJobs --log-stream-name-prefix=feature-backfill-2026-11-03
keep 5 005-1-describe-transform-job-score-all-2026-11-03.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker describe-transform-job --transform-job-name=score-all-2026-11-03
keep 5 005-2-filter-log-events-score-all-2026-11-03.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 logs filter-log-events --log-group-name=/aws/sagemaker/TransformJobs --log-stream-name-prefix=score-all-2026-11-03
keep 6 006-1-describe-training-job-llm-warmup-2.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker describe-training-job --training-job-name=llm-warmup-2
keep 6 006-2-filter-log-events-llm-warmup-2.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 logs filter-log-events --log-group-name=/aws/sagemaker/TrainingJobs --log-stream-name-prefix=llm-warmup-2
keep 7 007-1-describe-endpoint-fraud-detection.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker describe-endpoint --endpoint-name=fraud-detection
keep 9 009-1-get-role-amazonsagemaker-executionrole-20261001t1.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam get-role --role-name=AmazonSageMaker-ExecutionRole-20261001T101500 --query=Role.AssumeRolePolicyDocument
keep 13 013-1-get-model-package-group-policy-fraud-detection.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker get-model-package-group-policy --model-package-group-name=fraud-detection --query=ResourcePolicy --output=text
keep 14 014-1-get-repository-policy-sagemaker-fraud-inference.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 ecr get-repository-policy --repository-name=sagemaker-fraud-inference --query=policyText --output=text
keep 15 015-1-describe-images-sagemaker-fraud-inference.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 ecr describe-images --repository-name=sagemaker-fraud-inference --image-ids='[{"imageTag":"3.2.0"}]'
keep 16 016-1-describe-model-package-fraud-detection-43.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker describe-model-package --model-package-name=arn:aws:sagemaker:eu-central-1:111122223333:model-package/fraud-detection/43
keep 17 017-1-get-trail-status-organisation-trail.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 cloudtrail get-trail-status --name=organisation-trail
keep 17 017-2-get-event-selectors-organisation-trail.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 cloudtrail get-event-selectors --trail-name=organisation-trail
keep 22 022-1-describe-notebook-instance-lifecycle-con-update-conda.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker describe-notebook-instance-lifecycle-config --notebook-instance-lifecycle-config-name=update-conda
keep 23 023-1-describe-endpoint-config-fraud-detection-43.json aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker describe-endpoint-config --endpoint-config-name=fraud-detection-43

# ==== 3. What runs is stopped

# ---- 3. Stop the notebook instance fraud-research
#      what:   notebook-instance arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/fraud-research, account 111122223333, region eu-central-1
#      breaks: Whoever works in it is thrown out. What is not below /home/ec2-user/SageMaker, and what is in memory, is lost.
#      not known: what its configuration was before: memory had not heard of it
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker start-notebook-instance --notebook-instance-name=fraud-research
#      undo:   Starting it runs its lifecycle configuration again: look at that first.
#      see:    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopNotebookInstance.html
step 3 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker stop-notebook-instance --notebook-instance-name=fraud-research
step 3 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research

# ---- 4. Stop the processing job feature-backfill-2026-11-03
#      what:   processing-job arn:aws:sagemaker:eu-central-1:111122223333:processing-job/feature-backfill-2026-11-03, account 111122223333, region eu-central-1
#      breaks: The job ends; what it has not written to its output is lost.
#      undo:   A stopped job cannot go on. Start a new one from the description that was kept.
#      see:    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopProcessingJob.html
step 4 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker stop-processing-job --processing-job-name=feature-backfill-2026-11-03

# ---- 5. Stop the transform job score-all-2026-11-03
#      what:   transform-job arn:aws:sagemaker:eu-central-1:111122223333:transform-job/score-all-2026-11-03, account 111122223333, region eu-central-1
#      breaks: The job ends; what it has not written to its output is lost.
#      undo:   A stopped job cannot go on. Start a new one from the description that was kept.
#      see:    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTransformJob.html
step 5 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker stop-transform-job --transform-job-name=score-all-2026-11-03

# ---- 6. Stop the training job llm-warmup-2
#      what:   training-job arn:aws:sagemaker:eu-central-1:111122223333:training-job/llm-warmup-2, account 111122223333, region eu-central-1
#      breaks: The job ends; what it has not written to its output is lost.
#      undo:   A stopped job cannot go on. Start a new one from the description that was kept.
#      see:    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html
step 6 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker stop-training-job --training-job-name=llm-warmup-2

# ---- 7. Put the endpoint fraud-detection back to its configuration fraud-detection-42
#      what:   endpoint arn:aws:sagemaker:eu-central-1:111122223333:endpoint/fraud-detection, account 111122223333, region eu-central-1
#      breaks: The endpoint answers with the models of before. It goes on answering meanwhile.
#      used:   arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_MLPlatform_1b2c3d4e5f6a7b8c/platform-engineer-1, arn:aws:sts::111122223333:assumed-role/MLDeploymentPipeline/ci-runner
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-endpoint --endpoint-name=fraud-detection --endpoint-config-name=fraud-detection-43
#      see:    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html
step 7 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-endpoint --endpoint-name=fraud-detection --endpoint-config-name=fraud-detection-42

# ==== 4. What was opened is closed

# ---- 8. Detach the policy arn:aws:iam::aws:policy/AdministratorAccess from the role AmazonSageMaker-ExecutionRole-20261001T101500
#      what:   role arn:aws:iam::111122223333:role/service-role/AmazonSageMaker-ExecutionRole-20261001T101500, account 111122223333, region eu-central-1
#      breaks: The role loses what the policy allows.
#      used:   arn:aws:sagemaker:eu-central-1:111122223333:model/fraud-detection-42, arn:aws:sagemaker:eu-central-1:111122223333:processing-job/feature-backfill-2026-11-03, arn:aws:sagemaker:eu-central-1:111122223333:processing-job/pipelines-exampleexec1-prepare-0a1b2c3d4e, arn:aws:sagemaker:eu-central-1:111122223333:training-job/llm-warmup-2, arn:aws:sagemaker:eu-central-1:111122223333:training-job/pipelines-exampleexec1-train-0a1b2c3d4e
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam attach-role-policy --role-name=AmazonSageMaker-ExecutionRole-20261001T101500 --policy-arn=arn:aws:iam::aws:policy/AdministratorAccess
#      see:    https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_manage-attach-detach.html
step 8 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam detach-role-policy --role-name=AmazonSageMaker-ExecutionRole-20261001T101500 --policy-arn=arn:aws:iam::aws:policy/AdministratorAccess

# ---- 9. Put the trust policy of the role AmazonSageMaker-ExecutionRole-20261001T101500 back
#      what:   role arn:aws:iam::111122223333:role/service-role/AmazonSageMaker-ExecutionRole-20261001T101500, account 111122223333, region eu-central-1
#      breaks: Whom the policy of now lets in, and the one of before does not, cannot take the role any more.
#      used:   arn:aws:sagemaker:eu-central-1:111122223333:model/fraud-detection-42, arn:aws:sagemaker:eu-central-1:111122223333:processing-job/feature-backfill-2026-11-03, arn:aws:sagemaker:eu-central-1:111122223333:processing-job/pipelines-exampleexec1-prepare-0a1b2c3d4e, arn:aws:sagemaker:eu-central-1:111122223333:training-job/llm-warmup-2, arn:aws:sagemaker:eu-central-1:111122223333:training-job/pipelines-exampleexec1-train-0a1b2c3d4e
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam update-assume-role-policy --role-name=AmazonSageMaker-ExecutionRole-20261001T101500 --policy-document=file://"$EVIDENCE"/009-1-get-role-amazonsagemaker-executionrole-20261001t1.json
#      see:    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-trust-policy.html
needs 9 TRUST_POLICY_9 && step 9 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 iam update-assume-role-policy --role-name=AmazonSageMaker-ExecutionRole-20261001T101500 --policy-document="$TRUST_POLICY_9"

# ---- 10. Take root access from the notebook instance fraud-research
#      what:   notebook-instance arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/fraud-research, account 111122223333, region eu-central-1
#      breaks: Users of the notebook cannot install system packages. Its lifecycle configuration goes on running as root.
#      not known: what its configuration was before: memory had not heard of it
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-notebook-instance --notebook-instance-name=fraud-research --root-access=Enabled
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research
#      see:    https://docs.aws.amazon.com/sagemaker/latest/dg/nbi-root-access.html
step 10 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research
step 10 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-notebook-instance --notebook-instance-name=fraud-research --root-access=Disabled
step 10 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research

# ---- 11. Take the lifecycle configuration update-conda from the notebook instance fraud-research
#      what:   notebook-instance arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/fraud-research, account 111122223333, region eu-central-1
#      breaks: The script no longer runs when the notebook starts, and what it installs is missing.
#      not known: what its configuration was before: memory had not heard of it
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-notebook-instance --notebook-instance-name=fraud-research --lifecycle-config-name=update-conda
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research
#      see:    https://docs.aws.amazon.com/sagemaker/latest/dg/nbi-lifecycle-config-install.html
step 11 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research
step 11 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-notebook-instance --notebook-instance-name=fraud-research --disassociate-lifecycle-config
step 11 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research

# ---- 12. Ask the notebook instance fraud-research for the second version of the metadata service
#      what:   notebook-instance arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/fraud-research, account 111122223333, region eu-central-1
#      breaks: Code that reads the role's credentials in the first version's way fails.
#      not known: what its configuration was before: memory had not heard of it
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-notebook-instance --notebook-instance-name=fraud-research --instance-metadata-service-configuration='{"MinimumInstanceMetadataServiceVersion":"1"}'
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research
#      see:    https://docs.aws.amazon.com/sagemaker/latest/dg/nbi-imds.html
step 12 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research
step 12 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-notebook-instance --notebook-instance-name=fraud-research --instance-metadata-service-configuration='{"MinimumInstanceMetadataServiceVersion":"2"}'
step 12 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker wait notebook-instance-stopped --notebook-instance-name=fraud-research

# ---- 13. Remove the policy of the model package group fraud-detection
#      what:   model-package-group arn:aws:sagemaker:eu-central-1:111122223333:model-package-group/fraud-detection, account 111122223333, region eu-central-1
#      breaks: Other accounts that the policy lets in cannot read the group.
#      used:   arn:aws:sagemaker:eu-central-1:111122223333:model-package/fraud-detection/42
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker put-model-package-group-policy --model-package-group-name=fraud-detection --resource-policy=file://"$EVIDENCE"/013-1-get-model-package-group-policy-fraud-detection.json
#      see:    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteModelPackageGroupPolicy.html
step 13 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker delete-model-package-group-policy --model-package-group-name=fraud-detection

# ---- 14. Remove the policy of the repository sagemaker-fraud-inference
#      what:   repository arn:aws:ecr:eu-central-1:111122223333:repository/sagemaker-fraud-inference, account 111122223333, region eu-central-1
#      breaks: Other accounts, and services that the policy lets in, cannot pull from the repository.
#      used:   arn:aws:sagemaker:eu-central-1:111122223333:model-package/fraud-detection/42
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 ecr set-repository-policy --repository-name=sagemaker-fraud-inference --policy-text=file://"$EVIDENCE"/014-1-get-repository-policy-sagemaker-fraud-inference.json
#      see:    https://docs.aws.amazon.com/AmazonECR/latest/userguide/set-repository-policy.html
step 14 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 ecr delete-repository-policy --repository-name=sagemaker-fraud-inference

# ---- 15. Take the image 3.2.0 of the repository sagemaker-fraud-inference out of use
#      what:   repository arn:aws:ecr:eu-central-1:111122223333:repository/sagemaker-fraud-inference, account 111122223333, region eu-central-1
#      breaks: What pulls this tag finds nothing, or the image that is put back.
#      used:   arn:aws:sagemaker:eu-central-1:111122223333:model-package/fraud-detection/42
#      by hand: Pull the image by its digest as evidence, then put the tag back on the digest of before; the records before the incident and your build have it.
#      undo:   Put the tag back on the digest that was kept.
#      see:    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html

# ---- 16. Take back the approval of the model package fraud-detection/43
#      what:   model-package arn:aws:sagemaker:eu-central-1:111122223333:model-package/fraud-detection/43, account 111122223333, region eu-central-1
#      breaks: Pipelines that deploy approved packages no longer take this one.
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-model-package --model-package-arn=arn:aws:sagemaker:eu-central-1:111122223333:model-package/fraud-detection/43 --model-approval-status="$APPROVAL_STATUS_BEFORE_16"
#      undo:   The description that was kept has the status of before.
#      see:    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-approve.html
step 16 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker update-model-package --model-package-arn=arn:aws:sagemaker:eu-central-1:111122223333:model-package/fraud-detection/43 --model-approval-status=Rejected --approval-description=sagetrail-contain

# ---- 17. Start the logging of the trail organisation-trail again
#      what:   trail arn:aws:cloudtrail:eu-central-1:111122223333:trail/organisation-trail, account 111122223333, region eu-central-1
#      breaks: Nothing.
#      undo:   Leave the logging on.
#      see:    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_StartLogging.html
step 17 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 cloudtrail start-logging --name=organisation-trail

# ---- 18. Put the trail organisation-trail back as it was
#      what:   trail arn:aws:cloudtrail:eu-central-1:111122223333:trail/organisation-trail, account 111122223333, region eu-central-1
#      breaks: Nothing but what the trail delivers.
#      by hand: Make the trail, its bucket and its event selectors what your infrastructure code has. What they were before is not in the records.
#      undo:   Leave it on.
#      see:    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-update-a-trail-console.html

# ---- 19. Make the log group /aws/sagemaker/NotebookInstances again
#      what:   log-group /aws/sagemaker/NotebookInstances, account 111122223333, region eu-central-1
#      breaks: Nothing.
#      by hand: What was deleted cannot be brought back: look for copies in S3, Kinesis or another account that it was exported or sent to. Make the group again with `aws logs create-log-group` and its retention and key of before, so that what comes now is kept.
#      undo:   Leave it.
#      see:    https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_CreateLogGroup.html

# ---- 20. Make the monitoring schedule fraud-data-quality again
#      what:   monitoring-schedule arn:aws:sagemaker:eu-central-1:111122223333:monitoring-schedule/fraud-data-quality, account 111122223333, region eu-central-1
#      breaks: Nothing.
#      by hand: Make it what your infrastructure code has. What it was before is not in the records.
#      undo:   Leave it on.
#      see:    https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-faqs.html

# ---- 21. Make the endpoint churn-prediction again
#      what:   endpoint arn:aws:sagemaker:eu-central-1:111122223333:endpoint/churn-prediction, account 111122223333, region eu-central-1
#      breaks: Nothing: it is gone.
#      undo:   aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker delete-endpoint --endpoint-name=churn-prediction
#      see:    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpoint.html
needs 21 BEFORE_ENDPOINT_CONFIG_21 && step 21 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker create-endpoint --endpoint-name=churn-prediction --endpoint-config-name="$BEFORE_ENDPOINT_CONFIG_21"

# ==== 5. What was made for it goes, with REMOVE=yes

# ---- 22. Remove the lifecycle configuration update-conda
#      what:   notebook-instance-lifecycle-config arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance-lifecycle-config/update-conda, account 111122223333, region eu-central-1
#      breaks: Notebooks that have it do not start until it is taken from them.
#      used:   arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/fraud-research
#      undo:   Make it again from the description that was kept, which holds the script.
#      see:    https://docs.aws.amazon.com/sagemaker/latest/dg/nbi-lifecycle-config-install.html
removal 22 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker delete-notebook-instance-lifecycle-config --notebook-instance-lifecycle-config-name=update-conda

# ---- 23. Remove the endpoint configuration fraud-detection-43
#      what:   endpoint-config arn:aws:sagemaker:eu-central-1:111122223333:endpoint-config/fraud-detection-43, account 111122223333, region eu-central-1
#      breaks: Endpoints cannot be made, scaled or put back with it. Those that have it go on.
#      used:   arn:aws:sagemaker:eu-central-1:111122223333:endpoint/fraud-detection
#      undo:   Make it again from the description that was kept.
#      see:    https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-delete-resources.html#realtime-endpoints-delete-endpoint-config
removal 23 aws ${PROFILE_111122223333:+"--profile=$PROFILE_111122223333"} --region=eu-central-1 sagemaker delete-endpoint-config --endpoint-config-name=fraud-detection-43

[ -z "$unkept" ] || echo "Of these something could not be kept, or is not there:$unkept" >&2
[ -z "$waiting" ] || echo "These wait for what you find out:$waiting" >&2
[ -z "$failed" ] || { echo "These failed:$failed" >&2; exit 1; }
