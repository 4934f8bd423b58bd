"""CloudTrail records as AWS writes them, from what a case of the corpus says of a call."""

import base64
import copy
import datetime
import hashlib
import json
import re
import uuid
from pathlib import Path
from typing import NamedTuple

import tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ABSENT = "<absent>"
LATIN = str.maketrans("0123456789ABCDEF", "QR2345STUVABCDEF")
# Services without a region of their own write their records in this one.
GLOBAL_REGION, GLOBAL_SERVICES = "us-east-1", {"iam", "signin", "organizations"}
DATA_EVENTS = {
    "sagemaker": {
        "BatchGetRecord",
        "DeleteRecord",
        "GetRecord",
        "InvokeEndpoint",
        "InvokeEndpointAsync",
        "InvokeEndpointWithResponseStream",
        "PutRecord",
    },
    "metrics-sagemaker": {"BatchPutMetrics"},
    "s3": {"CopyObject", "DeleteObject", "DeleteObjects", "GetObject", "ListObjects", "PutObject"},
}
# The caller's body and headers are not logged: the endpoint is told by the record's list of resources alone.
WITHOUT_PARAMETERS = {"InvokeEndpoint", "InvokeEndpointAsync"}
# Where the calls that bring a start-up script have it.
SCRIPTS = {
    "CreateStudioLifecycleConfig": "studioLifecycleConfigContent|base64",
    "CreateNotebookInstanceLifecycleConfig": "onStart[0].content|base64",
    "UpdateNotebookInstanceLifecycleConfig": "onStart[0].content|base64",
}
# Services whose records list the resources of every call; others list them for data events alone.
LISTS_RESOURCES = {"s3", "kms", "ecr", "secretsmanager"}
RESOURCES = {
    "endpointName": ("AWS::SageMaker::Endpoint", "endpoint/"),
    "featureGroupName": ("AWS::SageMaker::FeatureGroup", "feature-group/"),
    "repositoryName": ("AWS::ECR::Repository", "repository/"),
    "keyId": ("AWS::KMS::Key", "key/"),
    "secretId": ("AWS::SecretsManager::Secret", "secret:"),
}
READS = re.compile(r"(BatchGet|BatchDescribe|Describe|Get|Head|List|Lookup|Query|Search|Select|Invoke|Converse)")


class Site:
    """Who works where: the names, identities, networks and clients that cases refer to."""

    def __init__(self):
        site = load(HERE / "site.toml")
        self.names = site["names"]
        self.identities, self.networks, self.agents = site["identities"], site["networks"], site["agents"]
        self.requests = load(HERE / "requests.toml")
        self.catalogue = load(ROOT / "config" / "catalogue.toml")

    def text(self, value):
        """The value with the names in angle brackets filled in."""
        if isinstance(value, str):
            filled = re.sub(r"<([a-z_]+)>", lambda name: self.names.get(name[1], name[0]), value)
            return filled if filled in (value, ABSENT) else self.text(filled)
        if isinstance(value, list):
            return [self.text(element) for element in value]
        if isinstance(value, dict):
            return {key: self.text(element) for key, element in value.items()}
        return value


def load(path):
    with path.open("rb") as file:
        return tomllib.load(file)


def merged(under, over):
    """A request with the members of `over` laid on it. A key is a path, whose steps may end with [index]."""
    result = copy.deepcopy(under)
    for key, value in over.items():
        path, _, form = key.partition("|")
        steps = re.findall(r"[^.\[\]]+|\[\d+\]", path) if "[" in path else [path]
        place(result, [int(step[1:-1]) if step.startswith("[") else step for step in steps], formed(value, form))
    return result


def place(target, steps, value):
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        while len(target) <= step:
            target.append({})
    if value == ABSENT and not rest:
        target.pop(step, None)
    elif rest:
        empty = [] if isinstance(rest[0], int) else {}
        if not isinstance(step, int):
            target.setdefault(step, empty)
        place(target[step], rest, value)
    elif isinstance(value, dict):
        under = target.get(step) if isinstance(target, dict) else target[step]
        target[step] = merged(under if isinstance(under, dict) else {}, value)
    else:
        target[step] = value


def formed(value, form):
    """What a key says after its bar: a value that stands in the request as a text."""
    if form == "json":
        return json.dumps(value)
    if form == "policy":
        told = [{"Effect": "Allow", "Action": "sts:AssumeRole"} | statement for statement in value]
        statements = [{name: part for name, part in statement.items() if part != ABSENT} for statement in told]
        return json.dumps({"Version": "2012-10-17", "Statement": statements})
    if form == "base64":
        return base64.b64encode(value.encode()).decode()
    if form:
        raise ValueError(f"a form that is not known: {form}")
    return value


def identity(site, name, time):
    """The userIdentity of somebody in `site.toml`, as it is in every record of theirs."""
    who = site.text(site.identities[name])
    kind, account = who["kind"], who.get("account", site.names["own"])
    if kind == "service":
        return {"type": "AWSService", "invokedBy": who["service"]}
    if kind == "web":
        subject = f"{who['provider']}:sts.amazonaws.com:{who['user']}"
        person = {"type": "WebIdentityUser", "principalId": subject, "userName": who["user"]}
        return person | {"identityProvider": who["provider"]}
    if kind == "root":
        root = {"type": "Root", "principalId": account, "arn": f"arn:aws:iam::{account}:root", "accountId": account}
        return root | {"accessKeyId": key("ASIA", name)}
    if kind == "user":
        return {
            "type": "IAMUser",
            "principalId": key("AIDA", name, 21),
            "arn": f"arn:aws:iam::{account}:user/{who['user']}",
            "accountId": account,
            "accessKeyId": key("AKIA", name),
            "userName": who["user"],
        }
    role, session = who["role"], who["session"]
    principal = key("AROA", f"{account}/{role}", 21)
    if kind == "account":
        # In the records of the account that is called, a caller of another has neither ARN nor key.
        return {"type": "AWSAccount", "principalId": f"{principal}:{session}", "accountId": account}
    created = (time - datetime.timedelta(minutes=who.get("age", 47))).strftime("%Y-%m-%dT%H:%M:%SZ")
    context = {
        "sessionIssuer": {
            "type": "Role",
            "principalId": principal,
            "arn": f"arn:aws:iam::{account}:role/{who.get('path', '')}{role}",
            "accountId": account,
            "userName": role,
        },
        "attributes": {"creationDate": created, "mfaAuthenticated": who.get("mfa", "false")},
    }
    if "source_identity" in who:
        context["sourceIdentity"] = who["source_identity"]
    if "provider" in who:
        context["webIdFederationData"] = {"federatedProvider": who["provider"], "attributes": {}}
    result = {
        "type": "AssumedRole",
        "principalId": f"{principal}:{session}",
        "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{session}",
        "accountId": account,
        "accessKeyId": key("ASIA", f"{account}/{role}/{session}"),
        "sessionContext": context,
    }
    if "service" in who:
        result["invokedBy"] = who["service"]
    return result


def key(prefix, of, length=20):
    digest = hashlib.sha256(of.encode()).hexdigest().upper().translate(LATIN)
    return prefix + digest[: length - len(prefix)]


def expand(site, case, calls, start):
    """The records of a case, in the order of its calls."""
    everywhere = {name: case[name] for name in ("by", "from", "agent", "region", "account") if name in case}
    records, minute = [], 0.0
    for told in calls:
        call = everywhere | told
        minute = call.get("at", minute)
        for number in range(call.get("times", 1)):
            time = start + datetime.timedelta(seconds=round(minute * 60))
            records.append(record(site, call, time, f"{case['id']}/{len(records)}", number))
            minute += call.get("every", 1)
    return records


class Request(NamedTuple):
    """A call as it was sent: to whom, where, and with which parameters."""

    service: str
    name: str
    region: str
    account: str
    asked: dict

    @property
    def data(self):
        return self.name in DATA_EVENTS.get(self.service, ())


def request(site, call, number):
    service, _, name = call["call"].rpartition(":")
    service = service or "sagemaker"
    usual = {} if call.get("like") == "nothing" else site.requests.get(call.get("like", call["call"]), {})
    asked = merged(site.text(usual), site.text(call.get("with", {})))
    if "script" in call:
        asked = merged(asked, {SCRIPTS[name]: "#!/bin/bash\n" + call["script"]})
    region = GLOBAL_REGION if service in GLOBAL_SERVICES else call.get("region", site.names["region"])
    account = site.text(call.get("account", "<own>"))
    return Request(service, name, region, account, numbered(asked, number))


def record(site, call, time, seed, number):
    who, caller, sent = site.identities[call["by"]], identity(site, call["by"], time), request(site, call, number)
    result = {
        "eventVersion": "1.11",
        "userIdentity": caller,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{sent.service}.amazonaws.com",
        "eventName": sent.name,
        "awsRegion": sent.region,
    }
    result |= client(site, call, who)
    result |= outcome(site, call, caller, sent, number)
    result |= {
        "requestID": str(uuid.uuid5(uuid.NAMESPACE_URL, seed + "/request")),
        "eventID": str(uuid.uuid5(uuid.NAMESPACE_URL, seed)),
        "readOnly": reads(site, sent),
    }
    resources = touched(sent)
    if resources and (sent.data or sent.service in LISTS_RESOURCES):
        result["resources"] = resources
    result |= {
        "eventType": call.get("type", "AwsApiCall"),
        "managementEvent": not sent.data,
        "recipientAccountId": sent.account,
        "eventCategory": "Data" if sent.data else "Management",
    }
    if who["kind"] == "account":
        # The caller's account has a record of the same call under another eventID.
        result["sharedEventID"] = str(uuid.uuid5(uuid.NAMESPACE_URL, seed + "/shared"))
    if "service" not in who:
        result["tlsDetails"] = {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": host(sent),
        }
    if sent.service == "s3":
        result["additionalEventData"] = {"SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader"}
    return merged(result, site.text(call.get("record", {})))


def outcome(site, call, caller, sent, number):
    """What the call answered. A call that was denied has no parameters in its record."""
    error = call.get("error", "")
    hidden = "denied" in error.lower() or sent.name in WITHOUT_PARAMETERS
    parameters = {"requestParameters": None if hidden else sent.asked or None}
    if not error:
        return parameters | {"responseElements": response(site, sent)}
    message = numbered(site.text(call.get("message") or denial(sent, caller, call)), number)
    return {"errorCode": error, "errorMessage": message} | parameters | {"responseElements": None}


def numbered(value, number):
    """The value with the number of the repetition in the place of `{n}`."""
    if isinstance(value, str):
        return value.replace("{n}", str(number))
    if isinstance(value, list):
        return [numbered(element, number) for element in value]
    if isinstance(value, dict):
        return {name: numbered(element, number) for name, element in value.items()}
    return value


def client(site, call, who):
    """Where the call came from and with what; a service of AWS says its own name for both."""
    if "service" in who and "from" not in call:
        return {"sourceIPAddress": who["service"], "userAgent": who["service"]}
    network = call.get("from", who.get("from", "office"))
    agent = call.get("agent", who.get("agent", "boto3"))
    address = site.networks.get(network, network)
    result = {"sourceIPAddress": address, "userAgent": site.agents.get(agent, agent)}
    if address.startswith("10."):
        result |= {"vpcEndpointId": site.names["endpoint"], "vpcEndpointAccountId": site.names["own"]}
    if agent == "console":
        result["sessionCredentialFromConsole"] = "true"
    return result


def denial(sent, caller, call):
    arn = caller.get("arn", caller.get("accountId", "unknown"))
    prefix = "sagemaker" if "sagemaker" in sent.service else sent.service
    action = call.get("action", f"{prefix}:{sent.name}")
    return (
        f"User: {arn} is not authorized to perform: {action} on resource: {call.get('on', '*')} "
        f"because no identity-based policy allows the {action} action"
    )


def reads(site, sent):
    if sent.service == "sagemaker" and sent.name in site.catalogue:
        return site.catalogue[sent.name]["access"] in ("List", "Read")
    return bool(READS.match(sent.name))


def response(site, sent):
    """The ARN of what was made, as most calls of SageMaker that change something answer, or the session of a role."""
    if sent.service == "sts" and "roleArn" in sent.asked:
        return session(sent.asked["roleArn"], sent.asked["roleSessionName"])
    known = site.catalogue.get(sent.name) if sent.service == "sagemaker" else None
    if known is None or reads(site, sent):
        return None
    named = [known["name"]] if isinstance(known.get("name"), str) else known.get("name", [])
    values = [sent.asked.get(path.removeprefix("requestParameters.")) for path in named]
    value = next((value for value in values if isinstance(value, str)), None)
    path = known.get("arn")
    if value is None or not isinstance(path, str) or not re.fullmatch(r"responseElements\.\w+", path):
        return None
    arn = value if value.startswith("arn:") else f"{own(sent)}:{known['resource']}/{value.lower()}"
    return {path.removeprefix("responseElements."): arn}


def session(arn, name):
    """What AssumeRole answers, without the token; the key is that of the identity's own records in `identity`."""
    account, role = arn.split(":")[4], arn.rsplit("/", 1)[-1]
    return {
        "credentials": {
            "accessKeyId": key("ASIA", f"{account}/{role}/{name}"),
            "expiration": "Nov 11, 2026, 2:00:00 PM",
        },
        "assumedRoleUser": {
            "assumedRoleId": f"{key('AROA', f'{account}/{role}', 21)}:{name}",
            "arn": f"arn:aws:sts::{account}:assumed-role/{role}/{name}",
        },
    }


def own(sent):
    return f"arn:aws:{sent.service}:{sent.region}:{sent.account}"


def touched(sent):
    asked = sent.asked
    if "bucketName" in asked:
        bucket = {"accountId": sent.account, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{asked['bucketName']}"}
        item = {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{asked['bucketName']}/{asked.get('key')}"}
        return [item, bucket] if "key" in asked else [bucket]
    for member, (kind, start) in RESOURCES.items():
        if isinstance(asked.get(member), str):
            name = asked[member]
            arn = name if name.startswith("arn:") else f"{own(sent)}:{start}{name.lower()}"
            return [{"accountId": sent.account, "type": kind, "ARN": arn}]
    return []


def host(sent):
    if sent.service == "sagemaker":
        return f"{'runtime' if sent.name.startswith('Invoke') else 'api'}.sagemaker.{sent.region}.amazonaws.com"
    if sent.service in GLOBAL_SERVICES:
        return f"{sent.service}.amazonaws.com"
    return f"{sent.service}.{sent.region}.amazonaws.com"
