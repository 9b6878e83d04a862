import { readFileSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { keyFiles } from "../../../cli/state/keys.ts";
import { askRaw } from "../../support/abuse/raw-sockets.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";

/** Of the API what moves money, tells secrets or sends events elsewhere. */
const locked = [
  ["GET", "/v1/balance"],
  ["GET", "/v1/events"],
  ["GET", "/v1/payment_intents"],
  ["POST", "/v1/payment_intents"],
  ["GET", "/v1/charges"],
  ["POST", "/v1/refunds"],
  ["POST", "/v1/webhook_endpoints"],
  ["GET", "/v1/webhook_endpoints"],
] as const;

/** Tests the locks of the simulator of Stripe: what stands for money in development is locked as money is. */
export function testSimulator(meshOf: () => TestMesh): void {
  let own: { readonly secret: string; readonly publishable: string };
  let direct: string;

  beforeAll(() => {
    const { settings } = meshOf();
    const { stripe } = keyFiles(settings);
    const read = (file: string) => readFileSync(file, "utf8").trim();
    own = { secret: read(stripe.secretKey), publishable: read(stripe.publishableKey) };
    direct = `http://${settings.host}:${settings.ports.stripeSim}`;
  });

  /** Each is somebody's idea of a key. */
  const keysOf = (): Readonly<Record<string, string>> => ({
    "of nobody": "",
    "of another account": "Bearer sk_test_other",
    "as long as a real one": `Bearer sk_test_${"a".repeat(24)}`,
    restricted: "Bearer rk_test_simulator",
    live: "Bearer sk_live_simulator",
    publishable: `Bearer ${own.publishable}`,
    "cut short": `Bearer ${own.secret.slice(0, -1)}`,
    "with more behind": `Bearer ${own.secret}0`,
    "in capitals": `Bearer ${own.secret.toUpperCase()}`,
    "as a password": `Basic ${Buffer.from(`x:${own.secret}`).toString("base64")}`,
    "of another scheme": `Token ${own.secret}`,
  });

  it.each(locked)("%s %s opens to its own mesh's secret key alone", async (method, path) => {
    for (const [name, authorization] of Object.entries(keysOf())) {
      const response = await fetch(`${direct}${path}`, { method, headers: { authorization } });
      expect([name, response.status]).toEqual([name, expect.toSatisfy(isRefused)]);
      expect(await response.text(), name).not.toMatch(/client_secret|whsec_/);
    }
    const asQuery = await fetch(`${direct}${path}?key=${own.secret}`, { method });
    expect(asQuery.status).toSatisfy(isRefused);
  });

  it.each(locked)("%s %s is not behind the edge, whatever the key", async (method, path) => {
    const keys = [...Object.values(keysOf()), `Bearer ${own.secret}`];
    const statuses = await Promise.all(
      keys.map(async (authorization) => {
        const url = `http://${meshOf().address}/stripe-sim${path}`;
        return (await fetch(url, { method, headers: { authorization } })).status;
      }),
    );
    expect(new Set(statuses)).toEqual(new Set([404]));
  });

  it("takes no word from who comes through a proxy, or from a page in a browser", async () => {
    const { port } = new URL(direct);
    for (const [path, headers] of [
      ["/v1/balance", `x-forwarded-prefix: /stripe-sim\r\nauthorization: Bearer ${own.secret}`],
      ["/_sim/state", "origin: https://evil.example"],
      // A page may have its own name lead to this machine.
      ["/_sim/state", "host: evil.example"],
    ] as const) {
      const host = headers.startsWith("host:") ? "" : "host: 127.0.0.1\r\n";
      const request = `GET ${path} HTTP/1.1\r\n${host}${headers}\r\nconnection: close\r\n\r\n`;
      const answer = await askRaw(`127.0.0.1:${port}`, request);
      expect(answer, headers).toMatch(/^HTTP\/1\.1 40[13]/);
    }
  });

  it("Checkout believes no webhook that is not signed, whoever sends it", async () => {
    const event = JSON.stringify({ id: "evt_forged", type: "payment_intent.succeeded" });
    const nowSeconds = Math.floor(Date.now() / 1_000);
    for (const signature of [
      undefined,
      "",
      "t=1,v1=",
      `t=${nowSeconds}`,
      `t=${nowSeconds},v1=${"0".repeat(64)}`,
      `t=${nowSeconds},v0=${"0".repeat(64)}`,
      `t=${nowSeconds},v1=${"0".repeat(64)},v1=${"f".repeat(64)}`,
      "t=NaN,v1=NaN",
    ]) {
      const headers = signature === undefined ? {} : { "stripe-signature": signature };
      const url = `http://${meshOf().address}/webhooks/stripe`;
      const response = await fetch(url, { method: "POST", headers, body: event });
      expect(response.status, signature).toBe(400);
    }
  });
}

function isRefused(status: number): boolean {
  return status === 401 || status === 403 || status === 404;
}
