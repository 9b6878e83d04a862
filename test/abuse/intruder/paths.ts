import { readFileSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { keyFiles } from "../../../cli/state/keys.ts";
import { askRaw } from "../../support/abuse/raw-sockets.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";

const rpc = "/sovr.ledger.v1.LedgerService/ListAssets";

/** Spellings of paths. Each would be something else to a reader who decodes, normalises or trims it. */
const paths = [
  rpc,
  `/${rpc}`,
  `//${rpc}`,
  rpc.replace("/ListAssets", "//ListAssets"),
  rpc.replace("/ListAssets", "%2FListAssets"),
  rpc.replace("/ListAssets", "%2flistassets"),
  rpc.replace("/ListAssets", "%5CListAssets"),
  rpc.replace("/ListAssets", "\\ListAssets"),
  rpc.replace("ledger", "%6Cedger"),
  rpc.replace("ledger", "LEDGER"),
  `${rpc}/`,
  `${rpc};x=1`,
  `${rpc}%00`,
  `${rpc}%0d%0aauthorization: x`,
  `${rpc}%3Fx`,
  `/assets/..${rpc}`,
  `/grpc.health.v1.Health/..${rpc}`,
  `/dev/..${rpc}`,
  `/dev/%2e%2e${rpc}`,
  `/stripe-sim/..${rpc}`,
  `/./${rpc}`,
  `/assets/../../../../../../etc/passwd`,
  `/assets/..%2f..%2f..%2f..%2fetc/passwd`,
  `/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd`,
  `/assets/..\\..\\..\\etc\\passwd`,
  `/assets//etc/passwd`,
  "/dev/../../../keys/issuer.jwk",
  "/stripe-sim/_sim/state",
  "/stripe-sim//_sim/state",
  "/stripe-sim/v1/payment_methods/../../_sim/state",
  "/stripe-sim/v1/payment_intents/pi_1/../../refunds",
  "/stripe-sim/v1/payment_intents/..%2f..%2f_sim%2fstate",
  "/stripe-sim/v1/payment_intents/pi_1%2Fcancel",
  "/stripe-sim/authenticate/../v1/refunds",
  "/_sim/state",
  "/metrics",
  "/readyz",
  "/stats",
  "/config_dump",
  "/quitquitquit",
  "/webhooks/stripe/",
  "/webhooks/../metrics",
  "*",
  "http://169.254.169.254/latest/meta-data/",
  "http://127.0.0.1:1/metrics",
];

/** Tests that no spelling of a path comes past the credentials, or to what is not for the world. */
export function testPaths(meshOf: () => TestMesh): void {
  let secrets: readonly string[];

  beforeAll(() => {
    const { settings } = meshOf();
    const files = keyFiles(settings);
    const issuer = JSON.parse(readFileSync(files.issuer, "utf8")) as { readonly d: string };
    const read = [files.stripe.secretKey, files.stripe.webhookSecret, files.attestor];
    secrets = [issuer.d, ...read.map((file) => readFileSync(file, "utf8").trim()), "root:"];
  });

  // Together: Envoy keeps a connection that it has refused for a second.
  it.each(["GET", "POST"])("%s of no path tells anything to who has no token", async (method) => {
    const answers = await Promise.all(
      paths.map(async (path) => ({ path, answer: await ask(meshOf(), method, path) })),
    );
    for (const { path, answer } of answers) {
      expect(answer, path).toMatch(/^HTTP\/1\.1 (?:400|401|404|405|415|501)/);
      for (const secret of secrets) expect(answer, path).not.toContain(secret);
      expect(answer, path).not.toContain("USD");
    }
  });

  it("comes to what a token opens by its own spelling alone", async () => {
    const token = await meshOf().token({ scopes: ["ledger.read"] });
    const answers = await Promise.all(
      paths.map(async (path) => ({
        path,
        answer: await ask(meshOf(), "POST", path, `authorization: Bearer ${token}\r\n`),
      })),
    );
    for (const { path, answer } of answers) {
      // What the edge makes one and the same before anybody reads it is one and the same.
      const isSame = /^HTTP\/1\.1 200/.test(answer);
      expect([path, isSame]).toEqual([path, normalised(path) === rpc]);
    }
  });

  const smuggled = [
    ["two lengths", "content-length: 2\r\ncontent-length: 200\r\n\r\n{}"],
    ["a length and chunks", "content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["chunks that are none", "transfer-encoding: xchunked\r\n\r\n{}"],
    ["a length that is no number", "content-length: 0x2\r\n\r\n{}"],
    ["a header that goes on", "x-long: a\r\n b\r\ncontent-length: 2\r\n\r\n{}"],
    ["a header with a blank", "x-blank : a\r\ncontent-length: 2\r\n\r\n{}"],
    ["a header with underscores", "x_forwarded_for: 127.0.0.1\r\ncontent-length: 2\r\n\r\n{}"],
    ["a header with a null", "x-null: a\u0000b\r\ncontent-length: 2\r\n\r\n{}"],
  ] as const;
  it.concurrent.each(smuggled)("a request with %s is one request, or none", async (_name, rest) => {
    const hidden = `POST ${rpc} HTTP/1.1\r\nhost: mesh\r\n\r\n`;
    const answer = await askRaw(
      meshOf().address,
      `POST ${rpc} HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\ncontent-type: application/json\r\n${rest}${hidden}`,
    );
    expect(answer.match(/HTTP\/1\.1 \d{3}/g)?.length).toBe(1);
    expect(answer).toMatch(/^HTTP\/1\.1 (?:400|401|501)/);
  });
}

function ask(mesh: TestMesh, method: string, path: string, headers = ""): Promise<string> {
  const body = method === "POST" ? "{}" : "";
  return askRaw(
    mesh.address,
    `${method} ${path} HTTP/1.1\r\nhost: mesh\r\nconnection: close\r\ncontent-type: application/json\r\n${headers}content-length: ${body.length}\r\n\r\n${body}`,
  );
}

/** As RFC 3986 has it: letters and dots need no escape, and slashes in a row are one. What else is escaped stays it. */
function normalised(path: string): string {
  const letters = path.replaceAll(/%(2e|[46][1-9a-f]|[57][0-9a])/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
  const { pathname } = new URL(letters.replace(/^\/+/, "/"), "http://mesh");
  return pathname.replaceAll(/\/+/g, "/");
}
