"""The official Python library of Standard Webhooks on one webhook, given as JSON: {body, headers, secrets}."""

import json
import sys
from datetime import datetime, timezone

from standardwebhooks import Webhook, WebhookVerificationError

case = json.loads(sys.argv[1])
body, headers = case["body"], case["headers"]


def refused(body, headers, secret):
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return True
    return False


for secret in case["secrets"]:
    assert Webhook(secret).verify(body, headers) == json.loads(body), "another body came out"
    # The library's own signature is one of ours.
    sent = datetime.fromtimestamp(int(headers["webhook-timestamp"]), timezone.utc)
    signature = Webhook(secret).sign(headers["webhook-id"], sent, body)
    assert signature in headers["webhook-signature"].split(" "), signature
    assert refused(body + " ", headers, secret), "a changed body was accepted"
    for name, value in [("webhook-id", "whd_2"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA")]:
        assert refused(body, {**headers, name: value}, secret), f"a changed {name} was accepted"
assert refused(body, headers, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "another secret was accepted"
