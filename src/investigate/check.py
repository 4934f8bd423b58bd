#!/usr/bin/env python3
"""Checks the evidence beside it: python3 check.py [FOLDER]

Needs Python 3.9 and the package cryptography, and no line of sagetrail. For each record it shows that

- the record is in the file, member for member,
- the file has the hash that a digest of CloudTrail names for it,
- the digest is signed with the key whose fingerprint it names, at the place where it lay,
- the digests around it name each other by hash and signature, and one of them at least is here.

Whoever signs everything anew passes here with a key of their own. So compare the fingerprint and the SHA-256 of each
key with `aws cloudtrail list-public-keys --start-time … --end-time …` in the region of the trail.

The exit code is 0 when every record is proven, 3 when some are not and nothing is wrong, and 1 when something is wrong.
"""

import base64
import gzip
import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key


class Wrong(Exception):
    """Evidence that does not hold."""


def inside(folder, name):
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents:
        raise Wrong(f"{name} is outside of the folder")
    return path


def content_of(path):
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def records_of(content):
    """Each record of a file: the list under Records, a bare list, or one a line."""
    try:
        whole = json.loads(content)
    except ValueError:
        return [json.loads(line) for line in content.splitlines() if line.strip()]
    if isinstance(whole, dict):
        return whole.get("Records", [whole])
    return whole


def check_digest(folder, index, number, places):
    """Checks one digest: its signature, and that it names the one before it, if that is here. Returns what it says."""
    entry = index["digests"][number]
    content = inside(folder, entry["content"]).read_bytes()
    said = json.loads(content)
    before = said.get("previousDigestSignature") or "null"
    place = f"{said['digestS3Bucket']}/{said['digestS3Object']}"
    signed = "\n".join([said["digestEndTime"], place, hashlib.sha256(content).hexdigest(), before])
    key = index["keys"].get(said["digestPublicKeyFingerprint"])
    if key is None:
        raise Wrong(f"digest {number}: no key has its fingerprint")
    try:
        public = load_der_public_key(base64.b64decode(key))
        public.verify(bytes.fromhex(entry["signature"] or ""), signed.encode(), padding.PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        raise Wrong(f"digest {number}: its signature is wrong") from None
    earlier = places.get(f"{said.get('previousDigestS3Bucket')}/{said.get('previousDigestS3Object')}")
    if entry["previous"] != earlier:
        raise Wrong(f"digest {number}: the index links it to another digest than it names")
    if earlier is not None:
        other = index["digests"][earlier]
        hashed = hashlib.sha256(inside(folder, other["content"]).read_bytes()).hexdigest()
        if said.get("previousDigestHashValue") != hashed:
            raise Wrong(f"digest {number}: it names another content for the digest before it")
        if said.get("previousDigestSignature") != other["signature"]:
            raise Wrong(f"digest {number}: it names another signature for the digest before it")
    return said


def check_record(folder, index, entry, digests):
    """Checks one record, and returns why it is not proven where it is not."""
    if entry["record"] is None:
        return entry["problem"] or "it is not there"
    record = json.loads(inside(folder, entry["record"]).read_bytes())
    content = content_of(inside(folder, entry["file"]))
    if record not in records_of(content):
        raise Wrong("it is not in its file")
    hashed = hashlib.sha256(content).hexdigest()
    if hashed != entry["sha256"]:
        raise Wrong("its file has another hash than the index says")
    event = str(record.get("eventID", ""))
    if event and not entry["id"].startswith(event + "-"):
        raise Wrong("its id is that of another record")
    if entry["digest"] is None:
        return entry["problem"] or "no digest names its file"
    if entry["digest"] not in digests:
        raise Wrong("its digest does not hold")
    files = {it["s3Bucket"] + "/" + it["s3Object"]: it for it in digests[entry["digest"]]["logFiles"]}
    named = files.get(entry["origin"].removeprefix("s3://"))
    if named is None:
        raise Wrong("its digest does not name its file")
    if named["hashAlgorithm"] != "SHA-256" or named["hashValue"] != hashed:
        raise Wrong("its digest names another hash for its file")
    earlier = index["digests"][entry["digest"]]["previous"]
    if earlier is None and all(other["previous"] != entry["digest"] for other in index["digests"]):
        return "no digest is here that its digest names, or that names it"
    return None


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    index = json.loads((folder / "index.json").read_text())
    wrong, proven, unproven = [], 0, []
    digests, places = {}, {}
    for number, entry in enumerate(index["digests"]):
        said = json.loads(inside(folder, entry["content"]).read_bytes())
        places[f"{said['digestS3Bucket']}/{said['digestS3Object']}"] = number
    for number in range(len(index["digests"])):
        try:
            digests[number] = check_digest(folder, index, number, places)
        except (Wrong, OSError, KeyError, ValueError) as problem:
            wrong.append(str(problem))
    for entry in index["records"]:
        try:
            problem = check_record(folder, index, entry, digests)
        except (Wrong, OSError, KeyError, ValueError, EOFError) as failure:
            wrong.append(f"record {entry['id']}: {failure}")
            continue
        if problem is None:
            proven += 1
        else:
            unproven.append(f"record {entry['id']}: not proven: {problem}")
    for line in [*wrong, *unproven]:
        print(line)
    cited = f"{len(index['records'])} records are cited: {proven} are proven"
    print(f"{cited}, {len(unproven)} are not, {len(wrong)} things are wrong")
    print(f"{len(digests)} digests hold, by these keys, which are CloudTrail's own only if CloudTrail says so:")
    for fingerprint in sorted({said["digestPublicKeyFingerprint"] for said in digests.values()}):
        print(f"{fingerprint} SHA-256 {hashlib.sha256(base64.b64decode(index['keys'][fingerprint])).hexdigest()}")
    return 1 if wrong else 3 if unproven else 0


if __name__ == "__main__":
    sys.exit(main())
