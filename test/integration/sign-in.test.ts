// Goal: whoever is signed in is who they are, may do what their roles say, and stops being it when they leave; nobody else
// gets in. Method: a whole mesh with a real provider (oidc-provider), asked through Envoy as browsers and thieves ask.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SigningKey } from "ethers";
import pg from "pg";
import { SiweMessage } from "siwe";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findRole, personRoles } from "#common/roles.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { LedgerService } from "#gen/sovr/ledger/v1/ledger_service_pb.ts";
import { keyFiles } from "../../cli/state/keys.ts";
import { repositoryRoot } from "../../cli/state/settings.ts";
import { codeBlocks } from "../support/mesh/code-blocks.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { createVisitor, type Visit, type Visitor, walletOf } from "../support/sign-in/visitor.ts";

let mesh: TestMesh;
let origin: string;

beforeAll(async () => {
  mesh = await startMesh({ environment: { MESH_SIGN_IN: "true" } });
  origin = `http://${mesh.address}`;
});
afterAll(() => mesh?.stop());

const newVisitor = () => createVisitor(origin);
let keys = 0;
const newKey = () => new SigningKey(`0x${(++keys).toString(16).padStart(64, "0")}`);
const reasonOf = ({ text }: Visit) => (JSON.parse(text) as { reason?: string }).reason;
const sessionOf = async (visitor: Visitor) =>
  (JSON.parse((await visitor.get("/sign-in/session")).text) as { session: object | null }).session;
const sessionCookie = (visitor: Visitor) => visitor.jar.get("sovr-session /")?.value ?? "";

/** What a call with a token says: the reason's code, or OK. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "OK",
    (error: unknown) => Code[ConnectError.from(error).code] ?? "",
  );
}

function clientsWith(token: string) {
  const transport = createGrpcTransport({
    baseUrl: origin,
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${token}`);
        return next(request);
      },
    ],
  });
  return {
    ledger: createClient(LedgerService, transport),
    attestor: createClient(AttestorService, transport),
  };
}

describe("a wallet", () => {
  it("signs in by its signature, and its token is its own and nobody else's", async () => {
    const visitor = newVisitor();
    const key = newKey();
    const wallet = walletOf(key);
    const asked = await visitor.post("/sign-in/wallet/challenge", { body: { wallet } });
    const { message } = JSON.parse(asked.text) as { message: string };
    expect(new SiweMessage(message)).toMatchObject({ domain: mesh.address, address: wallet });

    const signedIn = await visitor.signIn(key);
    expect(signedIn.status).toBe(200);
    expect(signedIn.cookies).toEqual([
      expect.stringMatching(
        /^sovr-session=[0-9a-f]{64}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
      ),
    ]);
    expect(await sessionOf(visitor)).toMatchObject({ subject: wallet, wallet, roles: [] });
    const { token, claims } = await visitor.token(wallet);
    expect(claims).toMatchObject({
      sub: wallet,
      wallet,
      scope: findRole("shopper")?.scopes.join(" "),
    });
    expect(Number(claims["exp"]) - Number(claims["iat"])).toBeLessThanOrEqual(300);
    const { ledger } = clientsWith(token);
    expect(await codeOf(ledger.listJournalEntries({}))).toBe("OK");
    expect(await codeOf(ledger.getTrialBalance({ ledger: 1 }))).toBe("PermissionDenied");
  });

  it("gets play money by the faucet, and no token by the one click that others have", async () => {
    const visitor = newVisitor();
    const key = newKey();
    await visitor.signIn(key);
    const { token } = await visitor.token(walletOf(key));
    const faucet = await fetch(`${origin}/dev/faucet`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ amount: "100" }),
    });
    expect(await faucet.json()).toMatchObject({ intentId: expect.any(String) });
    for (const path of ["/dev/challenge", "/dev/token"])
      expect(reasonOf(await visitor.post(path, { body: { wallet: walletOf(key) } }))).toBe(
        "METHOD_NOT_FOUND",
      );
  });

  it("has ten sessions at most, and the eleventh ends the one that was not used for longest", async () => {
    const key = newKey();
    const visitors = Array.from({ length: 11 }, newVisitor);
    for (const visitor of visitors) await visitor.signIn(key);
    const reasons = await Promise.all(visitors.map((one) => one.tokenReason(walletOf(key))));
    expect(reasons).toEqual(["SESSION_EXPIRED", ...Array.from({ length: 10 }, () => "")]);
  });
});

describe("a person", () => {
  it.each(personRoles)("who is %s may do what that role says", async (role) => {
    const visitor = newVisitor();
    const back = await visitor.signInAs(role);
    expect(back.status).toBe(200);
    expect(await sessionOf(visitor)).toMatchObject({ subject: `oidc:${role}`, roles: [role] });
    const { token, claims } = await visitor.token();
    expect(claims["wallet"]).toBeUndefined();
    expect(String(claims["scope"]).split(" ").sort()).toEqual(
      [...(findRole(role)?.scopes ?? [])].sort(),
    );
    const { ledger, attestor } = clientsWith(token);
    expect(await codeOf(ledger.getTrialBalance({ ledger: 1 }))).toBe("OK");
    // Whoever may read proposals is told about the field; the others that they may not.
    expect(await codeOf(attestor.proposeIntent({}))).toBe(
      role === "treasurer" ? "InvalidArgument" : "PermissionDenied",
    );
  });

  it("of two roles may do what both say, and of none is let in nowhere", async () => {
    const visitor = newVisitor();
    await visitor.signInAs("two");
    const { claims } = await visitor.token();
    expect(String(claims["scope"])).toMatch(/checkout\.admin checkout\.refund clearing\.batch/);
    const nobody = newVisitor();
    const refusedPage = await nobody.signInAs("nobody");
    expect(refusedPage.status).toBe(403);
    expect(refusedPage.text).toMatch(/Nora Nobody has no role here.*SIGN_IN_REFUSED/);
    expect(await nobody.tokenReason()).toBe("SESSION_EXPIRED");
  });

  it("who cancels at the provider comes back to a page that says so", async () => {
    const cancelled = await newVisitor().signInAs("");
    expect(cancelled.status).toBe(403);
    expect(cancelled.text).toContain("The provider said: access_denied.");
  });

  it("signs out here, and is led to where that is done at the provider", async () => {
    const visitor = newVisitor();
    await visitor.signInAs("viewer");
    const stolen = sessionCookie(visitor);
    const out = await visitor.post("/sign-in/out");
    expect(JSON.parse(out.text)).toMatchObject({ next: expect.stringMatching(/\/session\/end\?/) });
    expect(out.cookies).toEqual([expect.stringMatching(/^sovr-session=; Path=\/; Max-Age=0;/)]);
    visitor.jar.set("sovr-session /", { path: "/", value: stolen });
    expect(await visitor.tokenReason()).toBe("SESSION_EXPIRED");
  });
});

describe("nobody gets in", () => {
  it("by another site's page, by no page at all, or by a form", async () => {
    const visitor = newVisitor();
    const key = newKey();
    await visitor.signIn(key);
    const body = { wallet: walletOf(key) };
    for (const from of ["https://evil.example.com", "null", `${origin}.example.com`, null])
      for (const path of ["/sign-in/token", "/sign-in/out", "/sign-in/wallet/challenge"])
        expect([from, path, reasonOf(await visitor.post(path, { body, origin: from }))]).toEqual([
          from,
          path,
          "SIGN_IN_REFUSED",
        ]);
    for (const contentType of ["text/plain", "application/x-www-form-urlencoded"])
      expect(reasonOf(await visitor.post("/sign-in/token", { body, contentType }))).toBe(
        "INVALID_FIELD",
      );
    const read = await fetch(`${origin}/sign-in/session`, {
      headers: { origin: "https://evil.example.com" },
    });
    expect(read.headers.get("access-control-allow-credentials")).toBeNull();
    expect(await visitor.tokenReason(walletOf(key))).toBe("");
  });

  it("by what another browser brought back, or by bringing it back twice", async () => {
    const victim = newVisitor();
    const callback = await victim.toCallback("operator");
    const thief = newVisitor();
    expect((await thief.get(callback)).status).toBe(403);
    await thief.get("/sign-in/oidc"); // with an attempt of its own
    expect((await thief.get(callback)).status).toBe(403);
    expect(await thief.tokenReason()).toBe("SESSION_EXPIRED");
    const attempt = new Map(victim.jar);
    expect((await victim.get(callback)).status).toBe(200);
    for (const [name, cookie] of attempt) victim.jar.set(name, cookie);
    expect((await victim.get(callback)).status).toBe(403);
  });

  it("by another state, or by another code", async () => {
    for (const [name, value] of [
      ["state", "x".repeat(43)],
      ["code", "made-up"],
      ["iss", "https://evil.example.com"],
    ] as const) {
      const visitor = newVisitor();
      const url = new URL(await visitor.toCallback("operator"));
      url.searchParams.set(name, value);
      const answer = await visitor.get(url.href);
      expect([name, answer.status]).toEqual([name, 403]);
      expect(answer.text).toContain("SIGN_IN_REFUSED");
      expect(await visitor.tokenReason()).toBe("SESSION_EXPIRED");
    }
  });

  it("by a session that somebody put there, or that is nobody's", async () => {
    const visitor = newVisitor();
    const planted = "ab".repeat(32);
    visitor.jar.set("sovr-session /", { path: "/", value: planted });
    expect(await visitor.tokenReason()).toBe("SESSION_EXPIRED");
    await visitor.signInAs("viewer");
    expect(sessionCookie(visitor)).not.toBe(planted);
    const thief = newVisitor();
    thief.jar.set("sovr-session /", { path: "/", value: planted });
    expect(await thief.tokenReason()).toBe("SESSION_EXPIRED");
    const first = sessionCookie(visitor);
    await visitor.signIn(newKey());
    thief.jar.set("sovr-session /", { path: "/", value: first });
    expect(await thief.tokenReason()).toBe("SESSION_EXPIRED");
  });

  it("by what is malformed: each is refused by its name", async () => {
    const visitor = newVisitor();
    const wrong: readonly (readonly [string, object | string, string])[] = [
      ["/sign-in/wallet/challenge", {}, "INVALID_FIELD"],
      ["/sign-in/wallet/challenge", { wallet: "0x12" }, "INVALID_FIELD"],
      ["/sign-in/wallet/challenge", "not json", "INVALID_FIELD"],
      ["/sign-in/wallet/challenge", { wallet: "x".repeat(4_000) }, "INVALID_FIELD"],
      ["/sign-in/wallet", { nonce: "0".repeat(32) }, "INVALID_FIELD"],
      [
        "/sign-in/wallet",
        { nonce: "'; drop", signature: `0x${"1b".repeat(65)}` },
        "SIGN_IN_REFUSED",
      ],
      [
        "/sign-in/wallet",
        { nonce: "\u0000", signature: `0x${"1b".repeat(65)}` },
        "SIGN_IN_REFUSED",
      ],
      ["/sign-in/token", {}, "INVALID_FIELD"],
      ["/sign-in/elsewhere", {}, "METHOD_NOT_FOUND"],
    ];
    for (const [path, body, reason] of wrong) {
      const answer = await visitor.post(path, { body: body as string });
      expect([path, body, reasonOf(answer)]).toEqual([path, body, reason]);
    }
    expect(reasonOf(await visitor.get("/sign-in/token"))).toBe("METHOD_NOT_FOUND");
  });
});

it("docs/sign-in.md does what its block says", async () => {
  const page = readFileSync(join(repositoryRoot, "docs/sign-in.md"), "utf8");
  const [block, ...others] = codeBlocks(page).filter(({ language }) => language === "sh");
  expect(others).toEqual([]);
  // The mesh that it starts is there already.
  const here = block?.code.replaceAll("127.0.0.1:8080", mesh.address) ?? "";
  const options = { cwd: repositoryRoot, env: mesh.environment };
  const { stdout } = await promisify(execFile)("sh", ["-eu", "-c", here], options);
  for (const pattern of [/already running/, /^ {2}identity .* serving /m, /\{"session":null\}/])
    expect(stdout).toMatch(pattern);
});

describe("what is kept", () => {
  it("is a hash of a session, and Studio's login reads nothing else", async () => {
    const visitor = newVisitor();
    await visitor.signInAs("auditor");
    const url = readFileSync(keyFiles(mesh.settings).databaseLogins.studio.url, "utf8");
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      const { rows } = await client.query("select * from studio_session");
      const text = JSON.stringify(rows);
      expect(text).toContain("oidc:auditor");
      expect(text).not.toContain(sessionCookie(visitor));
      for (const table of ["evidence", "checkout_order", "attestation_intent"])
        await expect(client.query(`select * from ${table}`)).rejects.toMatchObject({
          code: "42501",
        });
    } finally {
      await client.end();
    }
  });

  it("outlives a server that is killed", async () => {
    const visitor = newVisitor();
    await visitor.signInAs("viewer");
    const { pid } = mesh.part("studio");
    mesh.kill("studio");
    await expect.poll(() => mesh.part("studio").pid, { timeout: 30_000 }).not.toBe(pid);
    await expect
      .poll(() => visitor.tokenReason().catch(() => "away"), { timeout: 30_000 })
      .toBe("");
  });

  it("says that the provider is away, and lets in nobody meanwhile", async () => {
    const visitor = newVisitor();
    const callback = await visitor.toCallback("operator");
    const other = newVisitor();
    await other.signInAs("viewer");
    mesh.kill("identity", "SIGSTOP");
    try {
      const answer = await visitor.get(callback);
      expect(answer.status).toBe(503);
      expect(answer.text).toContain("SIGN_IN_UNAVAILABLE");
      expect(await visitor.tokenReason()).toBe("SESSION_EXPIRED");
      expect(await other.tokenReason()).toBe("");
    } finally {
      mesh.kill("identity", "SIGCONT");
    }
  });
});
