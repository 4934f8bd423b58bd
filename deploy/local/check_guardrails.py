"""Lints the service control policies of deploy/guardrails with Parliament.

usage: check_guardrails.py

Parliament knows the Service Authorization Reference as of its release. What it complains of only because it is older
stands in OLDER_THAN_THE_REFERENCE; an entry that it no longer complains of has to go. It does not look at the keys of
`Null`; guardrails.sh does.
"""

import sys
from pathlib import Path

from parliament import analyze_policy_string

POLICIES = Path(__file__).resolve().parents[1] / "guardrails/policies"
OLDER_THAN_THE_REFERENCE = {
    ("no-remote-access", "Unknown condition sagemaker:RemoteAccess for action sagemaker:CreateSpace"),
    ("no-remote-access", "Unknown condition sagemaker:RemoteAccess for action sagemaker:UpdateSpace"),
    ("presigned-url-networks", "Unknown action sagemaker:CreatePresignedMlflowAppUrl"),
}


def main() -> None:
    files = sorted(POLICIES.glob("*.json"))
    complaints = {
        (file.stem, finding.detail or finding.issue)
        for file in files
        for finding in analyze_policy_string(file.read_text(), include_community_auditors=True).findings
    }
    new = [f"{name}: {what}" for name, what in sorted(complaints - OLDER_THAN_THE_REFERENCE)]
    gone = [f"{name}: no longer says: {what}" for name, what in sorted(OLDER_THAN_THE_REFERENCE - complaints)]
    if new or gone or not files:
        sys.exit("\n".join(new + gone) or "there are no policies")
    print(f"guardrails: Parliament finds nothing in {len(files)} policies")


if __name__ == "__main__":
    main()
