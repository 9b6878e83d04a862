/**
 * A worker for Stripe's events in a process of its own, that begins attempts and ends none: to be killed. It tells the
 * id of each event that it has taken, one a line.
 */
import { once } from "node:events";
import { createPool } from "#common/postgres/pool.ts";
import { createWebhookStore } from "../../../services/checkout/drivers/postgres/webhook-store.ts";
import { startWebhookWorker } from "../../../services/checkout/webhooks/worker.ts";

const [databaseUrl = "", leaseMs = ""] = process.argv.slice(2);
const pool = createPool({ databaseUrl, applicationName: "test-worker", role: "sovr_checkout" });
startWebhookWorker({
  store: createWebhookStore(pool, () => undefined),
  process: async ({ eventId }, { signal }) => {
    process.stdout.write(`${eventId}\n`);
    if (signal !== undefined) await once(signal, "abort");
    return "DONE";
  },
  onEnd: () => undefined,
  onError: (error) => process.stderr.write(`${error}\n`),
  times: { leaseMs: Number(leaseMs) },
});
