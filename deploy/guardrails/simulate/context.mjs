// What IAM would know of a recorded call: its action, who called, and the values of condition keys.
//
// Which member of a request gives a key its value follows the descriptions in the Service Authorization Reference.

import { isIP } from 'node:net'

// Members by their names, wherever they stand in a request. A list key collects the values of all of them.
const LISTS = {
  'sagemaker:InstanceTypes': ['instanceType'],
  'sagemaker:VpcSecurityGroupIds': ['securityGroupIds', 'securityGroups'],
  'sagemaker:VpcSubnets': ['subnets', 'subnetId', 'subnetIds']
}
const VALUES = {
  'sagemaker:AppNetworkAccessType': ['appNetworkAccessType'],
  'sagemaker:DirectInternetAccess': ['directInternetAccess'],
  'sagemaker:EnableRemoteDebug': ['enableRemoteDebug'],
  'sagemaker:FeatureGroupEnableOnlineStore': ['enableOnlineStore'],
  'sagemaker:InterContainerTrafficEncryption': ['enableInterContainerTrafficEncryption'],
  'sagemaker:MinimumInstanceMetadataServiceVersion': ['minimumInstanceMetadataServiceVersion'],
  'sagemaker:NetworkIsolation': ['enableNetworkIsolation'],
  'sagemaker:RemoteAccess': ['remoteAccess'],
  'sagemaker:RootAccess': ['rootAccess'],
  'sagemaker:VolumeKmsKeyArn': ['volumeKmsKeyId']
}
// The key of the volume has no name of its own in these requests.
const VOLUME_KEY_AT_TOP = ['CreateDomain', 'CreateEndpointConfig', 'CreateNotebookInstance']

/** Whether the record shows what was asked for; a call that was refused early carries nothing. */
export function showsItsRequest(record) {
  return record.requestParameters != null
}

/** The IAM action of a record. */
export function action(record) {
  return `${record.eventSource.split('.')[0]}:${record.eventName}`
}

/** The caller's ARN, or a stand-in where AWS names none. */
export function principal(record) {
  return record.userIdentity?.arn ?? `arn:aws:iam::${account(record)}:role/unnamed`
}

export function account(record) {
  return record.recipientAccountId ?? record.userIdentity?.accountId ?? '111122223333'
}

/**
 * The values of condition keys for a record: one set, or one for each definition of a tuning job that has several,
 * since a key with a single value can then have that of any.
 */
export function contexts(record) {
  const request = record.requestParameters
  const global = globalKeys(record)
  const several = request.trainingJobDefinitions
  if (!Array.isArray(several) || several.length === 0) {
    return [{ ...global, ...lists(request), ...values(request), ...particular(record) }]
  }
  return several.map((one) => ({ ...global, ...lists(request), ...values(one) }))
}

function globalKeys(record) {
  const issuer = record.userIdentity?.sessionContext?.sessionIssuer?.arn
  const byService = record.userIdentity?.invokedBy != null || !isIP(record.sourceIPAddress)
  const keys = { 'aws:PrincipalArn': issuer ?? principal(record), 'aws:ViaAWSService': String(byService) }
  if (isIP(record.sourceIPAddress)) keys['aws:SourceIp'] = record.sourceIPAddress
  const tags = leaves(record.requestParameters?.tags, ['key'])
  if (tags.length > 0) keys['aws:TagKeys'] = tags
  return keys
}

function lists(request) {
  const found = Object.entries(LISTS).map(([key, members]) => [key, leaves(request, members)])
  return Object.fromEntries(found.filter(([, texts]) => texts.length > 0))
}

function values(request) {
  const found = Object.entries(VALUES).map(([key, members]) => [key, leaves(request, members)[0]])
  return Object.fromEntries(found.filter(([, text]) => text !== undefined))
}

/** Keys whose members have names that mean something else in other requests. */
function particular(record) {
  const request = record.requestParameters
  const keys = {}
  const put = (key, value) => {
    if (value != null && value !== '') keys[key] = String(value)
  }
  if (VOLUME_KEY_AT_TOP.includes(record.eventName)) put('sagemaker:VolumeKmsKeyArn', request.kmsKeyId)
  if (record.eventName === 'CreateFeatureGroup') {
    if (request.offlineStoreConfig != null) put('sagemaker:FeatureGroupOfflineStoreConfig', true)
    put('sagemaker:FeatureGroupOfflineStoreKmsKeyArn', request.offlineStoreConfig?.s3StorageConfig?.kmsKeyId)
    put('sagemaker:FeatureGroupOnlineStoreKmsKeyArn', request.onlineStoreConfig?.securityConfig?.kmsKeyId)
  }
  return keys
}

/** The texts of all members with one of these names; what is null or empty was not given. */
function leaves(value, members) {
  if (Array.isArray(value)) return value.flatMap((element) => leaves(element, members))
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([member, inner]) => {
    if (!members.includes(member)) return leaves(inner, members)
    return [inner].flat().filter((text) => text != null && text !== '').map(String)
  })
}
