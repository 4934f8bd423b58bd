"""Forges one digest of a folder of evidence: changes it, and signs it with a key of its own.

python3 resign.py FOLDER NUMBER
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

folder, number = Path(sys.argv[1]), int(sys.argv[2])
kept = folder / "forger.pem"
if kept.exists():
    key = load_pem_private_key(kept.read_bytes(), None)
else:
    key = rsa.generate_private_key(65537, 2048)
    kept.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
index = json.loads((folder / "index.json").read_text())
entry = index["digests"][number]
path = folder / entry["content"]
said = json.loads(path.read_bytes())
said["digestPublicKeyFingerprint"] = "forged"
if entry["previous"] is not None:
    other = index["digests"][entry["previous"]]
    said["previousDigestHashValue"] = hashlib.sha256((folder / other["content"]).read_bytes()).hexdigest()
    said["previousDigestSignature"] = other["signature"]
content = json.dumps(said).encode()
path.write_bytes(content)
before = said.get("previousDigestSignature") or "null"
place = f"{said['digestS3Bucket']}/{said['digestS3Object']}"
signed = "\n".join([said["digestEndTime"], place, hashlib.sha256(content).hexdigest(), before])
entry["signature"] = key.sign(signed.encode(), padding.PKCS1v15(), SHA256()).hex()
public = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
index["keys"]["forged"] = base64.b64encode(public).decode()
(folder / "index.json").write_text(json.dumps(index))
