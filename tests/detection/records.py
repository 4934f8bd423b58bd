"""CloudTrail records as AWS writes them, from what a case of the corpus says of a call."""

import base64
import copy
import datetime
import hashlib
import json
import re
import tomllib
import uuid
from pathlib import Path

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
READS = re.compile(r"(BatchGet|BatchDescribe|Describe|Get|Head|List|Lookup|Query|Search|Select|Invoke|Converse)")


class Site:
    """Who works where: the names, identities, networks and clients that cases refer to."""

    def __init__(self):
        site = load(HERE / "site.toml")
        self.names = site["names"]
        self.identities, self.networks, self.agents = site["identities"], site["networks"], site["agents"]
        self.requests = load(HERE / "requests.toml")
        self.catalogue = load(ROOT / "config" / "catalogue.toml")

    def text(self, value, number=0):
        """The value with the names in angle brackets filled in, and `{n}` with the number of the repetition."""
        if isinstance(value, str):
            filled = re.sub(r"<([a-z_]+)>", lambda name: self.names.get(name[1], name[0]), value)
            return filled if filled == value or filled == ABSENT else self.text(filled, number)
        if isinstance(value, list):
            return [self.text(element, number) for element in value]
        if isinstance(value, dict):
            return {key: self.text(element, number) for key, element in value.items()}
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
    if kind == "root":
        arn = f"arn:aws:iam::{account}:root"
        return {"type": "Root", "principalId": account, "arn": arn, "accountId": account, "accessKeyId": key("ASIA", name)}
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
    records, minute = [], 0.0
    for call in calls:
        call = {name: case[name] for name in ("by", "from", "agent", "region", "account") if name in case} | call
        minute = call.get("at", minute)
        for number in range(call.get("times", 1)):
            time = start + datetime.timedelta(seconds=round(minute * 60))
            records.append(record(site, call, time, f"{case['id']}/{len(records)}", number))
            minute += call.get("every", 1)
    return records


def record(site, call, time, seed, number):
    service, _, name = call["call"].rpartition(":")
    service = service or "sagemaker"
    who = site.identities[call["by"]]
    account = site.text(call.get("account", who.get("in", "<own>")))
    region = GLOBAL_REGION if service in GLOBAL_SERVICES else call.get("region", site.names["region"])
    parameters = site.requests.get(call.get("like", call["call"]), {}) if call.get("like", "") != "nothing" else {}
    asked = merged(site.text(parameters), site.text(call.get("with", {})))
    if "script" in call:
        asked = merged(asked, {SCRIPTS[name]: "#!/bin/bash\n" + call["script"]})
    asked = numbered(asked, number)
    caller = identity(site, call["by"], time)
    denied = "denied" in call.get("error", "").lower() or call.get("error") == "UnauthorizedOperation"
    result = {
        "eventVersion": "1.11",
        "userIdentity": caller,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": f"{service}.amazonaws.com",
        "eventName": name,
        "awsRegion": region,
    }
    result |= client(site, call, who)
    if "error" in call:
        result["errorCode"] = call["error"]
        result["errorMessage"] = numbered(site.text(call.get("message") or denial(service, name, caller, call)), number)
    hidden = call.get("hidden", denied)
    result["requestParameters"] = None if hidden or name in WITHOUT_PARAMETERS else asked or None
    result["responseElements"] = response(site, service, name, asked, region, account) if "error" not in call else None
    result["requestID"] = str(uuid.uuid5(uuid.NAMESPACE_URL, seed + "/request"))
    result["eventID"] = str(uuid.uuid5(uuid.NAMESPACE_URL, seed))
    result["readOnly"] = reads(site, service, name)
    data = name in DATA_EVENTS.get(service, ())
    resources = touched(service, asked, region, account)
    if resources and (data or service in ("s3", "kms", "ecr", "secretsmanager")):
        result["resources"] = resources
    result |= {
        "eventType": call.get("type", "AwsApiCall"),
        "managementEvent": not data,
        "recipientAccountId": account,
        "eventCategory": "Data" if data else "Management",
    }
    if "service" not in who:
        result["tlsDetails"] = {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": host(service, region, name),
        }
    if service == "s3":
        result["additionalEventData"] = {"SignatureVersion": "SigV4", "AuthenticationMethod": "AuthHeader"}
    return merged(result, site.text(call.get("record", {})))


def numbered(value, number):
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


def denial(service, name, caller, call):
    arn = caller.get("arn", caller.get("accountId", "unknown"))
    prefix = "sagemaker" if "sagemaker" in service else service
    action = call.get("action", f"{prefix}:{name}")
    return (
        f"User: {arn} is not authorized to perform: {action} on resource: {call.get('on', '*')} "
        f"because no identity-based policy allows the {action} action"
    )


def reads(site, service, name):
    if service == "sagemaker" and name in site.catalogue:
        return site.catalogue[name]["access"] in ("List", "Read")
    return bool(READS.match(name))


def response(site, service, name, asked, region, account):
    """The ARN of what was made, as most calls of SageMaker that change something answer."""
    known = site.catalogue.get(name) if service == "sagemaker" else None
    if known is None or reads(site, service, name):
        return None
    answers = [known[member] for member in ("arn",) if isinstance(known.get(member), str)]
    named = [known["name"]] if isinstance(known.get("name"), str) else known.get("name", [])
    values = [asked.get(path.removeprefix("requestParameters.")) for path in named]
    value = next((value for value in values if isinstance(value, str)), None)
    paths = [path for path in answers if re.fullmatch(r"responseElements\.\w+", path)]
    if not paths or value is None:
        return None
    arn = f"arn:aws:sagemaker:{region}:{account}:{known['resource']}/{value.lower()}"
    return {paths[0].removeprefix("responseElements."): arn}


def touched(service, asked, region, account):
    prefix = f"arn:aws:{service}:{region}:{account}"
    if "bucketName" in asked:
        bucket = {"accountId": account, "type": "AWS::S3::Bucket", "ARN": f"arn:aws:s3:::{asked['bucketName']}"}
        item = {"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{asked['bucketName']}/{asked.get('key')}"}
        return [item, bucket] if "key" in asked else [bucket]
    kinds = {
        "endpointName": ("AWS::SageMaker::Endpoint", f"{prefix}:endpoint/"),
        "featureGroupName": ("AWS::SageMaker::FeatureGroup", f"{prefix}:feature-group/"),
        "repositoryName": ("AWS::ECR::Repository", f"{prefix}:repository/"),
        "keyId": ("AWS::KMS::Key", f"{prefix}:key/"),
        "secretId": ("AWS::SecretsManager::Secret", f"{prefix}:secret:"),
    }
    for member, (kind, start) in kinds.items():
        if isinstance(asked.get(member), str):
            arn = asked[member] if asked[member].startswith("arn:") else start + asked[member].lower()
            return [{"accountId": account, "type": kind, "ARN": arn}]
    return []


def host(service, region, name):
    if service == "sagemaker":
        return f"{'runtime' if name.startswith('Invoke') else 'api'}.sagemaker.{region}.amazonaws.com"
    return f"{service}.amazonaws.com" if service in GLOBAL_SERVICES else f"{service}.{region}.amazonaws.com"
