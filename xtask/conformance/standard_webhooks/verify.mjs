// The official JavaScript library of Standard Webhooks on one webhook, given as JSON: {body, headers, secrets}.

import assert from "node:assert/strict";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const { body, headers, secrets } = JSON.parse(process.argv[2]);

const refused = (secret, body, headers) =>
  assert.throws(() => new Webhook(secret).verify(body, headers), WebhookVerificationError);

for (const secret of secrets) {
  assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body));
  // The library's own signature is one of ours.
  const sent = new Date(Number(headers["webhook-timestamp"]) * 1000);
  const signature = new Webhook(secret).sign(headers["webhook-id"], sent, body);
  assert.ok(headers["webhook-signature"].split(" ").includes(signature), signature);
  refused(secret, `${body} `, headers);
  const changes = { "webhook-id": "whd_2", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA" };
  for (const [name, value] of Object.entries(changes)) {
    refused(secret, body, { ...headers, [name]: value });
  }
}
refused("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", body, headers);
