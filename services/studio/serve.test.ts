import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { generateKeyPair } from "jose";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createLogger } from "#common/process/logger.ts";
import { studioConfig } from "./config.ts";
import { createStudioDeps } from "./deps.ts";
import { type RunningStudio, serveStudio } from "./serve.ts";

const script = `${"console.log(1);".repeat(100)}\n`;

describe("serveStudio", () => {
  let folder: string;
  let running: RunningStudio | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "studio-"));
    mkdirSync(join(folder, "dist/assets"), { recursive: true });
    writeFileSync(join(folder, "secret.js"), "secret");
    writeFileSync(join(folder, "dist/built-from"), "stamp");
    writeFileSync(
      join(folder, "dist/index.html"),
      '<meta content="STUDIO-CONFIG"><script nonce="CSP-NONCE"></script>',
    );
    writeFileSync(join(folder, "dist/assets/app-1a.js"), script);
    writeFileSync(join(folder, "dist/assets/notes.txt"), "no type of ours");
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(env: Record<string, string> = {}): Promise<string> {
    const config = studioConfig({
      CONNECT_ADDRESS: "127.0.0.1:0",
      METRICS_ADDRESS: "127.0.0.1:0",
      ...env,
    });
    const logger = createLogger("studio", "silent");
    const deps = await createStudioDeps(config, { folder: join(folder, "dist"), logger });
    running = await serveStudio(config, deps);
    return `http://127.0.0.1:${running.ports.connect}`;
  }

  it("gives the page anew each time, under a policy whose nonce it carries", async () => {
    const url = await start();
    const pages = await Promise.all(
      [1, 2].map(async () => {
        const response = await fetch(url);
        return { headers: response.headers, body: await response.text() };
      }),
    );
    for (const { headers, body } of pages) {
      const nonce = /nonce="([A-Za-z0-9+/=]{24})"/.exec(body)?.[1];
      expect(headers.get("content-security-policy")).toBe(
        `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; img-src 'self'; ` +
          "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
      expect(headers.get("cache-control")).toBe("no-cache");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("no-referrer");
    }
    expect(pages[0]?.body).not.toBe(pages[1]?.body);
  });

  it.each([
    [{}, null],
    [
      { STRIPE_PUBLISHABLE_KEY: "pk_test_simulator_1" },
      { publishableKey: "pk_test_simulator_1", simulated: true },
    ],
    [
      { STRIPE_PUBLISHABLE_KEY: "pk_test_51abc" },
      { publishableKey: "pk_test_51abc", simulated: false },
    ],
  ])(
    "tells the page of Stripe, and lets Stripe in with a key of its own alone: %o",
    async (env, stripe) => {
      const response = await fetch(await start(env as Record<string, string>));
      const told = /content="([^"]*)"/.exec(await response.text())?.[1]?.replaceAll("&quot;", '"');
      expect(JSON.parse(told ?? "")).toEqual({ stripe, signIn: null });
      const policy = response.headers.get("content-security-policy") ?? "";
      const hosts = [...policy.matchAll(/https:\/\/\S*[a-z]/g)].map(([host]) => host);
      if (stripe?.simulated !== false) return expect(hosts).toEqual([]);
      expect(policy).toContain("script-src 'self' https://js.stripe.com https://*.js.stripe.com;");
      expect(policy).toContain("connect-src 'self' https://api.stripe.com;");
      expect(policy).toContain("frame-src https://js.stripe.com");
      expect(hosts.every((host) => host.endsWith(".stripe.com"))).toBe(true);
    },
  );

  it("gives hashed files for ever, compressed where that is accepted", async () => {
    const url = `${await start()}/assets/app-1a.js`;
    const whole = await ask(url, { "accept-encoding": "br, gzip;q=0" });
    expect(whole).toMatchObject({ status: 200, body: Buffer.from(script) });
    const { headers, body } = await ask(url, { "accept-encoding": "br, gzip" });
    expect(gunzipSync(body).toString()).toBe(script);
    expect(headers).toMatchObject({
      "content-type": "text/javascript; charset=utf-8",
      "content-encoding": "gzip",
      "cache-control": "public, max-age=31536000, immutable",
      vary: "accept-encoding",
      "content-length": String(body.length),
    });
  });

  it("answers HEAD as GET without the body, and nothing else", async () => {
    const url = await start();
    for (const path of ["/", "/assets/app-1a.js"]) {
      const [head, get] = [await ask(url + path, {}, "HEAD"), await ask(url + path)];
      expect(head.body).toHaveLength(0);
      expect(head.headers["content-length"]).toBe(get.headers["content-length"]);
      expect(await ask(url + path, {}, "POST")).toMatchObject({
        status: 405,
        headers: { allow: "GET, HEAD" },
      });
    }
  });

  it.each([
    "/index.html",
    "/assets/",
    "/assets/none.js",
    "/assets/notes.txt",
    "/built-from",
    "/../secret.js",
    "/assets/../../secret.js",
    "/assets/..%2f..%2fsecret.js",
    "/assets/%2e%2e/built-from",
    "/assets/..\\..\\secret.js",
    "//assets/app-1a.js",
    "/assets/app-1a.js/",
    "/assets/app-1a.js%00",
    "/constructor",
  ])("knows no %s", async (path) => {
    expect(await ask(await start(), {}, "GET", path)).toMatchObject({
      status: 404,
      body: Buffer.from("not found\n"),
    });
  });

  it.each(["challenge", "token", "faucet"])("has no /dev/%s without the key", async (name) => {
    const url = await start();
    const headers = { "content-type": "application/json" };
    const { status } = await ask(`${url}/dev/${name}`, headers, "POST");
    expect(status).toBe(404);
  });

  it("has /dev/ with the key, and refuses what is malformed", async () => {
    const { privateKey } = await generateKeyPair("EdDSA", { extractable: true });
    const jwk = await crypto.subtle.exportKey("jwk", privateKey);
    const url = await start({ DEVELOPMENT_ISSUER_KEY: JSON.stringify(jwk) });
    const post = async (path: string, body: string, type = "application/json") => {
      const headers = { "content-type": type };
      const response = await fetch(url + path, { method: "POST", headers, body });
      return [response.status, ((await response.json()) as { reason?: string }).reason];
    };
    const wallet = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
    expect(await post("/dev/challenge", JSON.stringify({ wallet }))).toEqual([200, undefined]);
    const bad = [400, "INVALID_FIELD"];
    expect(await post("/dev/challenge", JSON.stringify({ wallet: "0x12" }))).toEqual(bad);
    expect(await post("/dev/challenge", "{")).toEqual(bad);
    expect(await post("/dev/challenge", "[]")).toEqual(bad);
    expect(await post("/dev/challenge", JSON.stringify({ wallet }), "text/plain")).toEqual(bad);
    expect(
      await post("/dev/challenge", JSON.stringify({ wallet, more: "x".repeat(3_000) })),
    ).toEqual(bad);
    const signature = `0x${"11".repeat(64)}1b`;
    const refused = [401, "CREDENTIALS_INVALID"];
    expect(await post("/dev/token", JSON.stringify({ nonce: "none", signature }))).toEqual(refused);
    expect(await post("/dev/faucet", JSON.stringify({ amount: "100" }))).toEqual(refused);
    expect(await post("/dev/else", "{}")).toEqual([404, "METHOD_NOT_FOUND"]);
    expect((await fetch(`${url}/dev/token`)).status).toBe(404);
  });

  it("tells its health and metrics, and stops", async () => {
    const url = await start();
    const metrics = `http://127.0.0.1:${running?.ports.metrics}`;
    await fetch(`${url}/somewhere`);
    expect((await fetch(`${metrics}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${metrics}/metrics`)).text()).toMatch(
      /studio_request_duration_seconds_count\{route="other",status="404"\}/,
    );
    await running?.stop();
    await expect(fetch(url)).rejects.toThrow();
  });

  it("says how the app is made where there is none", async () => {
    rmSync(join(folder, "dist/index.html"));
    await expect(start()).rejects.toThrow("node cli/bring/build-studio.ts makes it");
  });
});

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Asks without what fetch does by itself: paths go out as they are, and compressed bodies come back so. */
function ask(
  url: string,
  headers: Record<string, string> = {},
  method = "GET",
  path = new URL(url).pathname,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const options = { hostname, port, path, method, headers, agent: false };
    request(options, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      resolve({
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(chunks),
      });
    })
      .once("error", reject)
      .end();
  });
}
