// Goal: one intent id means one digest, for ever, whatever dies and however many replicas there are.
// Method: real PostgreSQL; replicas are separate sets of dependencies over one database, each with its own pool.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ScopedCaller } from "#common/caller.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import { packPostings, phaseNumbers, unhex } from "#common/postgres/evidence.ts";
import { migrate } from "#common/postgres/migrate.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import type { AttestRequest } from "../../services/attestor/attestation.ts";
import type { AttestorConfig } from "../../services/attestor/config.ts";
import { type AttestorDeps, createAttestorDeps } from "../../services/attestor/deps.ts";
import { createLocalKeys } from "../../services/attestor/drivers/local-keys.ts";
import { createSignOnceStore } from "../../services/attestor/drivers/postgres.ts";
import {
  alice,
  attest,
  attestorKey,
  bob,
  digestIntent,
  houseIntentOf,
  intentOf,
  posting,
  purchase,
  signIntent,
  type TestKey,
  testDomain,
  testKey,
  transfer,
} from "../support/intents/intents.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";

const operator: ScopedCaller = { scopes: new Set(["attest", "attest.house"]), wallet: undefined };
const nextKey = testKey(0xa77f);
const longAgo = "2026-01-01T00:00:00Z";

let postgres: TestPostgres;
let folder: string;
let databaseUrl: string;
let signersFile: string;
const opened: AttestorDeps[] = [];
const pools: Pool[] = [];

beforeAll(async () => {
  // Commits must survive the death of the server, or a restart would forget and the test be to blame.
  postgres = await startPostgres({ fsync: true });
  folder = await mkdtemp(join(tmpdir(), "sovr-attestor-"));
});

beforeEach(async () => {
  const admin = createPool({ databaseUrl: postgres.databaseUrl, applicationName: "test" });
  const name = `t${randomUUID().replaceAll("-", "")}`;
  await admin.query(`create database ${name}`);
  await admin.end();
  databaseUrl = postgres.databaseUrl.replace(/[^/]+$/, name);
  signersFile = join(folder, `${name}.json`);
  await writeSigners([{ address: attestorKey.address, activateTime: longAgo }]);
  return async () => {
    await Promise.all(opened.splice(0).map((deps) => deps.close()));
    await Promise.all(pools.splice(0).map((pool) => pool.end()));
  };
});

afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

interface SignerEntry {
  readonly address: string;
  readonly activateTime: string;
  readonly retireTime?: string;
  readonly revokeTime?: string;
}

function writeSigners(entries: readonly SignerEntry[]): Promise<void> {
  return writeFile(signersFile, JSON.stringify(entries));
}

interface ReplicaOptions {
  readonly keys?: readonly TestKey[];
  readonly signersFile?: string;
  readonly approvalsPath?: string;
  /** How far the replica's clock is ahead, in milliseconds. */
  readonly aheadMs?: () => number;
  readonly intentsPerWalletAndMinute?: number;
}

async function openReplica(options: ReplicaOptions = {}): Promise<AttestorDeps> {
  const keys = createLocalKeys((options.keys ?? [attestorKey]).map((key) => key.privateKey));
  const config: AttestorConfig = {
    runtime: {
      name: "attestor",
      environment: "test",
      grpc: { host: "127.0.0.1", port: 0 },
      connect: { host: "127.0.0.1", port: 0 },
      metrics: { host: "127.0.0.1", port: 0 },
      wire: { tls: undefined, plaintext: [] },
      auth: { jwks: { kind: "file", path: "" }, issuer: "sovr", audience: "sovr-mesh" },
      drainDelayMs: 0,
      drainGraceMs: 0,
      unaryTimeoutMs: 10_000,
      streamAgeMsMax: 1_800_000,
      streamStallMs: 30_000,
      dependencyAgeMsMax: 10_000,
      streamsPerSubjectMax: 32,
      logLevel: "fatal",
      logFormat: "json",
    },
    domain: testDomain,
    limits: { unitsMax: 1_000_000n },
    signersFile: options.signersFile ?? signersFile,
    approvalsPath: options.approvalsPath,
    databaseUrl,
    openKeys: async () => ({ keys, close: () => undefined }),
    signaturesPerMinute: 600_000,
    intentsPerWalletAndMinute: options.intentsPerWalletAndMinute ?? 600,
  };
  const deps = await createAttestorDeps(config, {
    nowMs: () => Date.now() + (options.aheadMs?.() ?? 0),
    logger: pino({ level: "silent" }),
  });
  opened.push(deps);
  return deps;
}

function openPool(): Pool {
  const pool = createPool({ databaseUrl, applicationName: "test" });
  pools.push(pool);
  return pool;
}

function requestOf(intent: Intent, fields: Partial<AttestRequest> = {}): AttestRequest {
  const signs = intent.wallet === alice.address && intent.phase !== "VOID_PENDING";
  return {
    intent,
    walletSignature: signs ? signIntent(intent, alice) : "",
    validateOnly: false,
    caller: operator,
    limit: { deadlineMs: Date.now() + 60_000 },
    ...fields,
  };
}

function kind(name: string) {
  return expect.objectContaining({ kind: name });
}

async function rowsOf(table: string): Promise<number> {
  const { rows } = await openPool().query<{ count: string }>(`select count(*) from ${table}`);
  return Number(rows[0]?.count);
}

describe("sign once", () => {
  test("the same intent again gives the same attestation, which the signer and the wallet signed", async () => {
    const { attestor } = await openReplica();
    const intent = intentOf();
    const first = await attestor.attest(requestOf(intent));
    expect(first).toEqual(attest(intent, alice));
    expect(recoverAddress(digestIntent(intent), first.signature)).toBe(attestorKey.address);
    expect(await attestor.attest(requestOf(intent))).toEqual(first);
  });

  test("what is attested in a tree is answered for ever, by any replica, together and alone", async () => {
    const options = { intentsPerWalletAndMinute: 5_000 };
    const [mine, other] = [await openReplica(options), await openReplica(options)];
    const intents = Array.from({ length: 600 }, () => intentOf());
    const requests = intents.map((intent) => requestOf(intent));
    const limit = { deadlineMs: Date.now() + 60_000 };
    // They race for the same ids: whoever keeps an attestation first is answered by both.
    const [first, second] = await Promise.all([
      mine.attestMany(requests, limit),
      other.attestMany(requests.toReversed(), limit),
    ]);
    expect(second.toReversed()).toEqual(first);
    expect(await rowsOf("attestation_signature")).toBe(600);
    const replica = await openReplica();
    for (const index of [0, 299, 599]) {
      const request = requests[index] ?? requestOf(intentOf());
      const attestation = await replica.attestor.attest(request);
      expect(attestation).toEqual(first[index]);
      expect(attestation.tree).toBeDefined();
      expect(await replica.attestor.verify(request.intent, attestation)).toEqual({
        digest: digestIntent(request.intent),
        signer: attestorKey.address,
        reason: undefined,
      });
      const { tree: _none, ...bare } = attestation;
      expect(await replica.attestor.verify(request.intent, bare)).toMatchObject({
        reason: "ATTESTATION_INVALID",
      });
    }
    const alone = await replica.attestMany([requestOf(intentOf())], limit);
    expect(alone).toMatchObject([{ signer: attestorKey.address }]);
    expect(alone[0]).not.toHaveProperty("tree");
  });

  test("one attestation answers two replicas that race with different keys", async () => {
    await writeSigners([{ address: nextKey.address, activateTime: longAgo }]);
    const otherFile = join(folder, `${randomUUID()}.json`);
    const mine = [{ address: attestorKey.address, activateTime: longAgo }];
    await writeFile(otherFile, JSON.stringify(mine));
    const replicas = [
      await openReplica({ keys: [nextKey] }),
      await openReplica({ keys: [attestorKey], signersFile: otherFile }),
    ];
    const intents = Array.from({ length: 100 }, () => intentOf());
    const answers = await Promise.all(
      intents.map((intent) =>
        Promise.all(replicas.map(({ attestor }) => attestor.attest(requestOf(intent)))),
      ),
    );
    for (const [a, b] of answers) expect(a).toEqual(b);
    expect(await rowsOf("attestation_signature")).toBe(100);
  });

  test("of many intents that race for one id over two replicas one is signed, and the others are told so", async () => {
    const replicas = [await openReplica(), await openReplica()];
    for (let round = 0; round < 10; round += 1) {
      const { intentId } = intentOf();
      const rivals = Array.from({ length: 20 }, (_, i) =>
        intentOf({ intentId, reference: `r${i}` }),
      );
      const outcomes = await Promise.allSettled(
        rivals.map((rival, i) => replicas[i % 2]?.attestor.attest(requestOf(rival))),
      );
      const digests = outcomes.flatMap((o) => (o.status === "fulfilled" ? [o.value?.digest] : []));
      expect(digests).toHaveLength(1);
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") {
          expect(outcome.reason).toMatchObject({
            kind: "INTENT_ID_REUSED",
            metadata: { intentId, storedDigest: digests[0] },
          });
        }
      }
    }
    expect(await rowsOf("attestation_intent")).toBe(10);
    expect(await rowsOf("attestation_signature")).toBe(10);
  });

  test("calls that share a statement are answered each for itself", async () => {
    const { attestor } = await openReplica();
    const taken = intentOf();
    await attestor.attest(requestOf(taken));
    const fresh = Array.from({ length: 50 }, () => intentOf());
    const all = [...fresh, { ...taken, reference: "another" }, taken, ...fresh];
    const outcomes = await Promise.allSettled(
      all.map((intent) => attestor.attest(requestOf(intent))),
    );
    for (const [index, outcome] of outcomes.entries()) {
      const intent = all[index] as Intent;
      if (intent.reference === "another") {
        expect(outcome).toMatchObject({ status: "rejected", reason: { kind: "INTENT_ID_REUSED" } });
      } else {
        expect(outcome).toEqual({ status: "fulfilled", value: attest(intent, alice) });
      }
    }
  });

  test("a restart forgets nothing", async () => {
    const intent = intentOf();
    const before = await openReplica();
    const first = await before.attestor.attest(requestOf(intent));
    const after = await openReplica({ keys: [attestorKey, nextKey] });
    expect(await after.attestor.attest(requestOf(intent))).toEqual(first);
    const altered = { ...intent, reference: "altered" };
    await expect(after.attestor.attest(requestOf(altered))).rejects.toEqual(
      kind("INTENT_ID_REUSED"),
    );
  });

  test("death between the two commits: the same intent completes, another is refused", async () => {
    const { attestor } = await openReplica();
    const intent = intentOf();
    const died = createSignOnceStore(openPool());
    const bound = { digest: digestIntent(intent), attestation: undefined };
    expect(await died.bind(intent.intentId, bound.digest)).toEqual({ ...bound, isNew: true });
    expect(await died.bind(intent.intentId, bound.digest)).toEqual({ ...bound, isNew: false });
    expect(await died.find(intent.intentId)).toEqual({
      digest: digestIntent(intent),
      attestation: undefined,
    });

    const altered = { ...intent, reference: "altered" };
    await expect(attestor.attest(requestOf(altered))).rejects.toEqual(kind("INTENT_ID_REUSED"));
    expect(await attestor.attest(requestOf(intent))).toEqual(attest(intent, alice));
  });

  test("death after the signature, before the second commit: the first signature stored is the answer", async () => {
    const intent = intentOf();
    const { attestor } = await openReplica();
    const store = createSignOnceStore(openPool());
    await store.bind(intent.intentId, digestIntent(intent));
    const stored = attest(intent, alice, nextKey);
    expect(await store.keep(intent.intentId, stored)).toEqual(stored);
    expect(await store.keep(intent.intentId, attest(intent, alice))).toEqual(stored);
    expect(await attestor.attest(requestOf(intent))).toEqual(stored);
  });

  test("nothing that was signed can be changed or deleted", async () => {
    const { attestor } = await openReplica();
    await attestor.attest(requestOf(intentOf()));
    const pool = openPool();
    for (const sql of [
      "update attestation_intent set digest = digest",
      "delete from attestation_intent",
      "truncate attestation_intent cascade",
      "update attestation_signature set signer = signer",
      "delete from attestation_signature",
      "truncate attestation_signature",
    ]) {
      await expect(pool.query(sql), sql).rejects.toThrow("append-only");
    }
  });

  test("validate_only stores nothing and signs nothing", async () => {
    const { attestor } = await openReplica();
    const intent = intentOf();
    const answer = await attestor.attest(requestOf(intent, { validateOnly: true }));
    expect(answer).toEqual({ ...attest(intent, alice), signature: "" });
    expect(await rowsOf("attestation_intent")).toBe(0);
    const altered = { ...intent, reference: "altered" };
    expect(await attestor.attest(requestOf(altered))).toEqual(attest(altered, alice));
    await expect(attestor.attest(requestOf(intent, { validateOnly: true }))).rejects.toEqual(
      kind("INTENT_ID_REUSED"),
    );
  });

  test("answers the stored attestation when its time is over, and signs nothing new then", async () => {
    let aheadMs = 0;
    const { attestor } = await openReplica({ aheadMs: () => aheadMs });
    const intent = intentOf();
    const first = await attestor.attest(requestOf(intent));
    aheadMs = 301_000;
    expect(await attestor.attest(requestOf(intent))).toEqual(first);
    await expect(attestor.attest(requestOf(intentOf()))).rejects.toMatchObject({
      kind: "INVALID_FIELD",
      metadata: { field: "intent.issue_time" },
    });
    aheadMs = 3_601_000;
    expect(await attestor.attest(requestOf(intent))).toEqual(first);
    await expect(attestor.attest(requestOf(intentOf()))).rejects.toEqual(kind("INTENT_EXPIRED"));
  });
});

describe("signers", () => {
  test("a revoked signer signs no more, and its attestations are not trusted any more", async () => {
    const { attestor, signers } = await openReplica({ keys: [attestorKey, nextKey] });
    const intent = intentOf();
    const before = await attestor.attest(requestOf(intent));
    expect(await attestor.verify(intent, before)).toMatchObject({ reason: undefined });

    const revokeTime = new Date(Date.now() - 1_000).toISOString();
    await writeSigners([
      { address: attestorKey.address, activateTime: longAgo, revokeTime },
      { address: nextKey.address, activateTime: longAgo },
    ]);
    await waitFor(() => signers().length === 2);

    expect(await attestor.verify(intent, before)).toMatchObject({
      reason: "SIGNER_NOT_TRUSTED",
      signer: attestorKey.address,
    });
    const later = intentOf();
    const after = await attestor.attest(requestOf(later));
    expect(after).toEqual(attest(later, alice, nextKey));
    expect(await attestor.verify(later, after)).toMatchObject({ reason: undefined });
    expect(await attestor.attest(requestOf(intent))).toEqual(before);
  });

  test("the signer of an intent is the one that was active when it was issued", async () => {
    const now = BigInt(Math.floor(Date.now() / 1000));
    const switchTime = new Date(Number(now - 60n) * 1000).toISOString();
    await writeSigners([
      { address: attestorKey.address, activateTime: longAgo, retireTime: switchTime },
      { address: nextKey.address, activateTime: switchTime },
    ]);
    const { attestor } = await openReplica({ keys: [attestorKey, nextKey] });
    const old = intentOf({ issueTime: now - 61n });
    const young = intentOf({ issueTime: now - 60n });
    expect((await attestor.attest(requestOf(old))).signer).toBe(attestorKey.address);
    expect((await attestor.attest(requestOf(young))).signer).toBe(nextKey.address);
  });

  test("a start without the active signer's key fails, names the signer, and shows no key", async () => {
    const start = openReplica({ keys: [bob] });
    await expect(start).rejects.toMatchObject({
      name: "ConfigError",
      variable: "ATTESTOR_PRIVATE_KEY",
    });
    await expect(start).rejects.toThrow(attestorKey.address);
    await expect(start).rejects.not.toThrow(Buffer.from(bob.privateKey).toString("hex"));
  });

  test("a start without a readable signers file fails and names the file", async () => {
    const missing = join(folder, "missing.json");
    await expect(openReplica({ signersFile: missing })).rejects.toThrow(
      `SIGNERS_FILE is "${missing}"`,
    );
  });

  test("a replica that lacks the key when its signer becomes active is not ready and signs nothing", async () => {
    const { attestor, signers, dependencies } = await openReplica();
    const key = dependencies.find(({ name }) => name === "signing-key");
    const signal = AbortSignal.timeout(10_000);
    await expect(key?.probe(signal)).resolves.toBeUndefined();
    await writeSigners([
      { address: attestorKey.address, activateTime: longAgo },
      { address: nextKey.address, activateTime: "2026-01-02T00:00:00Z" },
    ]);
    await waitFor(() => signers().length === 2);
    await expect(key?.probe(signal)).rejects.toThrow(nextKey.address);
    await expect(attestor.attest(requestOf(intentOf()))).rejects.toThrow(nextKey.address);
    expect(await rowsOf("attestation_intent")).toBe(0);
  });
});

describe("access", () => {
  const shopper: ScopedCaller = { scopes: new Set(["attest"]), wallet: alice.address };
  const service: ScopedCaller = { scopes: new Set(["attest"]), wallet: undefined };

  test("house entries need attest.house, on a replay too", async () => {
    const { attestor } = await openReplica();
    const intent = houseIntentOf();
    const refusal = { kind: "SCOPE_MISSING", metadata: { scope: "attest.house" } };
    await expect(attestor.attest(requestOf(intent, { caller: service }))).rejects.toMatchObject(
      refusal,
    );
    expect(await rowsOf("attestation_intent")).toBe(0);
    await attestor.attest(requestOf(intent));
    await expect(attestor.attest(requestOf(intent, { caller: service }))).rejects.toMatchObject(
      refusal,
    );
  });

  test("a credential bound to a wallet attests that wallet's intents and no others", async () => {
    const { attestor } = await openReplica();
    const own = intentOf();
    expect(await attestor.attest(requestOf(own, { caller: shopper }))).toEqual(attest(own, alice));
    const others = intentOf({ wallet: bob.address, postings: [purchase(bob.address)] });
    const walletSignature = signIntent(others, bob);
    await expect(
      attestor.attest(requestOf(others, { caller: shopper, walletSignature })),
    ).rejects.toMatchObject({ kind: "SCOPE_MISSING", metadata: { wallet: alice.address } });
  });
});

describe("evidence", () => {
  const clearingMigrations = new URL("../../services/clearing/migrations/", import.meta.url);

  async function storeEvidence(intent: Intent, attestation: Attestation): Promise<void> {
    const pool = openPool();
    await migrate(pool, "clearing", clearingMigrations);
    await pool.query(
      `insert into evidence (intent_id, digest, phase, wallet, merchant_id, reference, postings, corrects,
         pending_intent_id, timeout_seconds, issue_time, expire_time, signature, signer, wallet_signature)
       values ($1, $2, $3, $4, $5, $6, $7, null, null, $8, $9, $10, $11, $12, $13)`,
      [
        intent.intentId,
        unhex(attestation.digest),
        phaseNumbers[intent.phase],
        unhex(intent.wallet),
        intent.merchantId,
        intent.reference,
        packPostings(intent.postings),
        intent.timeoutSeconds,
        intent.issueTime.toString(),
        intent.expireTime.toString(),
        unhex(attestation.signature),
        unhex(attestation.signer),
        attestation.walletSignature === "" ? null : unhex(attestation.walletSignature),
      ],
    );
  }

  function voidOf(pending: Intent): Intent {
    return intentOf({
      phase: "VOID_PENDING",
      pendingIntentId: pending.intentId,
      postings: pending.postings,
    });
  }

  test("POST and VOID are judged by the stored pending intent", async () => {
    const { attestor } = await openReplica();
    const pending = intentOf({ phase: "PENDING", timeoutSeconds: 60 });
    const before = attestor.attest(requestOf(voidOf(pending)));
    await expect(before, "Clearing has made no table yet").rejects.toEqual(
      kind("PENDING_NOT_FOUND"),
    );

    await storeEvidence(pending, attest(pending, alice));
    const voids = voidOf(pending);
    expect(await attestor.attest(requestOf(voids))).toEqual(attest(voids));
    const post = intentOf({
      phase: "POST_PENDING",
      pendingIntentId: pending.intentId,
      postings: [purchase(alice.address, 351n)],
    });
    await expect(attestor.attest(requestOf(post, { walletSignature: "" }))).rejects.toMatchObject({
      kind: "PENDING_AMOUNT_EXCEEDED",
      metadata: { pendingAmount: "350" },
    });
    const elsewhere = { ...voidOf(pending), postings: [transfer(alice.address, bob.address)] };
    await expect(attestor.attest(requestOf(elsewhere))).rejects.toEqual(
      kind("POSTING_NOT_ALLOWED"),
    );
  });

  test("REFUND is judged by the stored intent that it corrects", async () => {
    const { attestor } = await openReplica();
    const bought = intentOf();
    await storeEvidence(bought, attest(bought, alice));
    const refund = (amount: bigint) =>
      intentOf({
        corrects: digestIntent(bought),
        postings: [posting({ debitAccountId: 4_000_001n, amount, code: postingCodes.REFUND })],
      });
    const whole = refund(350n);
    const attestation = await attestor.attest(requestOf(whole));
    expect(await attestor.verify(whole, attestation)).toMatchObject({ reason: undefined });
    await expect(attestor.attest(requestOf(refund(351n)))).rejects.toEqual(
      kind("POSTING_NOT_ALLOWED"),
    );
  });
});

describe("PostgreSQL away", () => {
  test("is RECORDS_UNAVAILABLE, and passes by itself", async () => {
    const { attestor, dependencies } = await openReplica();
    const intent = intentOf();
    const first = await attestor.attest(requestOf(intent));
    await postgres.kill();
    try {
      await expect(attestor.attest(requestOf(intentOf()))).rejects.toEqual(
        kind("RECORDS_UNAVAILABLE"),
      );
      await expect(dependencies[0]?.probe(AbortSignal.timeout(10_000))).rejects.toEqual(
        kind("RECORDS_UNAVAILABLE"),
      );
    } finally {
      await postgres.restart();
    }
    expect(await attestor.attest(requestOf(intent))).toEqual(first);
  });
});

async function waitFor(condition: () => boolean): Promise<void> {
  await expect.poll(condition).toBe(true);
}
