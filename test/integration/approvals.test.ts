// Goal: nobody alone moves house money, not with a token, nor with the Attestor's key, nor with the approvals of all but one.
// Method: the real Attestor and the real Clearing over one PostgreSQL, on both engines; the thief makes attestations by hand.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { zeroWallet } from "#common/address.ts";
import { type IntentDomain, intentDomain } from "#common/intent/digest.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { createLogger } from "#common/process/logger.ts";
import { attestorConfig } from "../../services/attestor/config.ts";
import { type AttestorDeps, createAttestorDeps } from "../../services/attestor/deps.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import {
  type ApprovalFields,
  approve,
  approvers,
  policyText,
  stranger,
} from "../support/approval/approvals.ts";
import { reasonOfResult, startClearingProcess, toProto } from "../support/clearing/process.ts";
import {
  type ClearingWorld,
  chart,
  clearAll,
  clearOne,
  kindOf,
  posting,
  refusalOf,
  soon,
  startClearingWorld,
  type TestKey,
} from "../support/clearing/world.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";
import { createTokenIssuer } from "../support/rpc/token-issuer.ts";

const [a, b, c] = approvers;
const verifyingContract = "0x5FbDB2315678afecb367f032d93F642f64180aa3";
const caller = {
  scopes: new Set(["attest", "attest.house"]),
  wallet: undefined,
  subject: "treasurer",
};
const required = { kind: "APPROVAL_REQUIRED" };

describeOnEngines("Approvals", (engine) => {
  let records: TestDatabase;
  let pool: Pool;
  let world: ClearingWorld;
  let domain: IntentDomain;
  let attestor: AttestorDeps;
  let clearing: ClearingDeps;
  let other: ClearingDeps;
  let alice: TestKey;
  let policyPath: string;

  const openAttestor = () =>
    createAttestorDeps(
      attestorConfig({
        ...world.environment(),
        ATTESTOR_PRIVATE_KEY: Buffer.from(world.signer.privateKey).toString("hex"),
      }),
      { logger: createLogger("attestor", "silent") },
    );

  beforeAll(async () => {
    records = await openDatabase();
    pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
    const settings: Record<string, string> = {};
    world = await startClearingWorld(engine, records.databaseUrl, settings);
    policyPath = join(world.signersFile, "../approvals.json");
    writeFileSync(policyPath, policyText());
    settings["APPROVALS_PATH"] = policyPath;
    domain = intentDomain({
      environment: "test",
      clusterId: world.engine.config.clusterId,
      chainId: 31_337n,
      verifyingContract,
    });
    attestor = await openAttestor();
    clearing = await world.openReplica();
    other = await world.openReplica();
    alice = await world.openFunded(clearing, 0n);
  });
  afterAll(async () => {
    await attestor?.close();
    await pool?.end();
    await world?.close();
    await records?.stop();
  });

  /** What the day has counted is forgotten, as a day later. */
  const nextDay = async () => {
    for (const table of ["attestation_day_sum", "clearing_day_sum"]) {
      await pool.query(
        `alter table ${table} disable trigger all; delete from ${table};
         alter table ${table} enable trigger all`,
      );
    }
  };

  const funding = (amount: bigint, draft: Partial<Intent> = {}) =>
    world.intent({
      postings: [
        posting(chart.cash, walletAccountId(alice.address, 1), amount, postingCodes.FUNDING),
      ],
      ...draft,
    });
  const signedBy = (intent: Intent, keys: readonly TestKey[], fields: ApprovalFields = {}) =>
    keys.map((key) => approve(world.digest(intent), key, { domain, ...fields }));
  /** As a thief makes it who has the Attestor's key. */
  const forged = (intent: Intent, keys: readonly TestKey[] = [], fields: ApprovalFields = {}) => {
    const request = world.attest(intent);
    return withApprovals(request, signedBy(intent, keys, fields));
  };
  const withApprovals = (
    request: ClearRequest,
    approvals: NonNullable<Attestation["approvals"]>,
  ): ClearRequest => ({ ...request, attestation: { ...request.attestation, approvals } });
  const attestOf = (intent: Intent, approvals = signedBy(intent, []), validateOnly = false) =>
    attestor.attestor.attest({
      intent,
      approvals,
      walletSignature: "",
      validateOnly,
      caller,
      limit: soon(),
    });
  const evidenceCount = async (intentId: string) =>
    (await pool.query("select from evidence where intent_id = $1", [intentId])).rowCount;

  it("are asked for, and two of three are enough from end to end", async () => {
    const intent = funding(10_001n);
    await expect(attestOf(intent)).rejects.toMatchObject({
      ...required,
      metadata: { rule: "FUNDING_FROM_CASH", needs: "2", of: "3", approved: "0", from: "10001" },
    });
    await expect(attestOf(intent, signedBy(intent, [a]))).rejects.toMatchObject(required);
    const approvals = signedBy(intent, [a, c]);
    const attestation = await attestOf(intent, approvals);
    expect(attestation.approvals).toEqual(approvals);
    expect(await attestor.attestor.verify(intent, attestation)).toMatchObject({
      reason: undefined,
    });
    const request = { intent, attestation, validateOnly: false };
    expect((await clearOne(clearing, request)).replayed).toBe(false);
    const { evidence } = await clearing.clearing.read(
      intent.intentId,
      { wallet: undefined },
      soon(),
    );
    expect(evidence.attestation).toEqual(attestation);
    // Whoever asks again is answered with what was attested, approvals and all.
    expect(await attestOf(intent)).toEqual(attestation);
  });

  it("with the Attestor's key and all approvers but one nothing clears", async () => {
    const large = funding(10_001n);
    const adjustment = world.intent({
      reference: "slip",
      postings: [posting(5_000_001n, 5_000_002n, 1n, postingCodes.ADJUSTMENT)],
    });
    for (const intent of [large, adjustment, { ...large, phase: "PENDING" as const }]) {
      for (const keys of [[], [a], [a, a], [a, stranger], [stranger, stranger]]) {
        expect(await refusalOf(clearing, forged(intent, keys))).toMatchObject(required);
      }
      expect(await evidenceCount(intent.intentId)).toBe(0);
    }
    const rejected = withApprovals(world.attest(large), [
      ...signedBy(large, [a, b]),
      ...signedBy(large, [c], { decision: "REJECT" }),
    ]);
    expect(await refusalOf(clearing, rejected)).toMatchObject({ kind: "APPROVAL_REJECTED" });
    const ofAnother = withApprovals(world.attest(large), signedBy(funding(10_001n), [a, b]));
    expect(await refusalOf(clearing, ofAnother)).toMatchObject({
      kind: "APPROVAL_INVALID",
      metadata: { state: "SIGNATURE" },
    });
    expect((await clearOne(clearing, forged(adjustment, [a, b]))).state).toBe("CLEARED");
  });

  it("thousand small ones pass only up to the sum of the day, over replicas and in batches", async () => {
    await nextDay();
    const before = await world.available(walletAccountId(alice.address, 1));
    const batch = () =>
      Array.from({ length: 100 }, (_, index) =>
        forged(funding(1_000n), index % 2 === 0 ? [] : [a]),
      );
    const lists = await Promise.all([
      clearAll(clearing, batch()),
      clearAll(other, batch()),
      ...batch().map((request) => clearOne(clearing, request).catch((error: Error) => error)),
    ]);
    const kinds = lists.flat().map(kindOf);
    // 500.00 in all: one more would reach 500.01 or pass it.
    expect(kinds.filter((kind) => kind === "CLEARED")).toHaveLength(50);
    expect(new Set(kinds)).toEqual(new Set(["CLEARED", "APPROVAL_REQUIRED"]));
    const moved = (await world.available(walletAccountId(alice.address, 1))) - before;
    expect(moved).toBe(50_000n);
    const one = funding(1n);
    expect(await refusalOf(other, forged(one))).toMatchObject({
      ...required,
      metadata: { what: "amount per day", from: "50001" },
    });
    expect(await refusalOf(other, { ...forged(one), validateOnly: true })).toMatchObject(required);
    // What is approved takes nothing of the day, and passes when nothing is left.
    expect((await clearOne(other, forged(one, [b, c]))).state).toBe("CLEARED");
    await nextDay();
    expect((await clearOne(other, forged(funding(1n)))).state).toBe("CLEARED");
  });

  it("replays and refusals take nothing of the day", async () => {
    await nextDay();
    const first = forged(funding(10_000n));
    for (let turn = 0; turn < 7; turn += 1) await clearOne(turn % 2 ? other : clearing, first);
    const unopened = walletAccountId(stranger.address, 1);
    const nowhere = funding(10_000n, {
      postings: [posting(chart.cash, unopened, 10_000n, postingCodes.FUNDING)],
    });
    for (let turn = 0; turn < 7; turn += 1) {
      expect(await refusalOf(clearing, forged(nowhere))).toMatchObject({
        kind: "ACCOUNT_NOT_FOUND",
      });
      await clearOne(clearing, { ...forged(funding(10_000n)), validateOnly: true });
    }
    for (let turn = 0; turn < 4; turn += 1) await clearOne(clearing, forged(funding(10_000n)));
    expect(await refusalOf(clearing, forged(funding(1n)))).toMatchObject(required);
  });

  it("the Attestor counts the day when it binds, once an intent", async () => {
    await nextDay();
    const first = funding(10_000n);
    for (let turn = 0; turn < 7; turn += 1) {
      await attestOf(first);
      await attestOf(funding(10_000n), [], true);
    }
    const rest = await Promise.allSettled(
      Array.from({ length: 20 }, () => attestOf(funding(10_000n))),
    );
    expect(rest.filter(({ status }) => status === "fulfilled")).toHaveLength(4);
    await expect(attestOf(funding(1n), [], true)).rejects.toMatchObject({
      ...required,
      metadata: { what: "amount per day" },
    });
    const approved = funding(1n);
    expect((await attestOf(approved, signedBy(approved, [a, b]))).approvals).toHaveLength(2);
    expect(await attestOf(first)).toMatchObject({ digest: world.digest(first) });
  });

  it("expiry is judged when the evidence is stored, and never again", async () => {
    await nextDay();
    const nowSeconds = BigInt(Math.floor(Date.now() / 1_000));
    const intent = funding(10_001n);
    const ended = { issueTime: nowSeconds - 600n, expireTime: nowSeconds - 1n };
    const expired = forged(intent, [a, b], ended);
    expect(await refusalOf(clearing, expired)).toMatchObject(required);
    await clearOne(clearing, forged(intent, [a, b]));
    // The same intent: its evidence is there, whatever comes with it now.
    expect((await clearOne(other, expired)).replayed).toBe(true);
    expect((await clearOne(other, forged(intent))).replayed).toBe(true);
    const verdict = await attestor.attestor.verify(intent, expired.attestation);
    expect(verdict).toMatchObject({ reason: undefined });
    const fresh = funding(10_001n);
    expect(
      await attestor.attestor.verify(fresh, forged(fresh, [a, b], ended).attestation),
    ).toMatchObject({ reason: "APPROVAL_REQUIRED" });
  });

  it("what has expired without approvals is dead, and is no evidence", async () => {
    const issueTime = BigInt(Math.floor(world.nowMs() / 1_000)) - 60n;
    const intent = funding(10_001n, { issueTime, expireTime: issueTime + 30n });
    expect(await refusalOf(clearing, forged(intent))).toMatchObject({ kind: "INTENT_EXPIRED" });
    expect(await evidenceCount(intent.intentId)).toBe(0);
    expect(await refusalOf(clearing, forged(intent, [a, b]))).toMatchObject({
      kind: "INTENT_EXPIRED",
    });
  });

  it("are asked for in a batch, whose intents clear on threads", async () => {
    const issuer = await createTokenIssuer();
    const process = await startClearingProcess(world, issuer);
    try {
      const large = funding(10_001n);
      const approved = funding(10_001n);
      const requests = [forged(large), forged(large, [a, stranger]), forged(approved, [a, b])];
      const { results } = await process.client.clearBatch({ requests: requests.map(toProto) });
      expect(results.map(reasonOfResult)).toEqual([
        "APPROVAL_REQUIRED",
        "APPROVAL_REQUIRED",
        "CLEARED",
      ]);
    } finally {
      await process.stop();
      issuer[Symbol.dispose]();
    }
  });

  it("POST and VOID within what was approved need none", async () => {
    const pending = funding(10_001n, { phase: "PENDING", wallet: zeroWallet });
    await clearOne(clearing, forged(pending, [a, b]));
    const post = world.resolve(pending, "POST_PENDING", pending.postings);
    expect((await clearOne(clearing, post)).state).toBe("CLEARED");
    const second = funding(10_001n, { phase: "PENDING" });
    await clearOne(clearing, forged(second, [b, c]));
    const voided = world.resolve(second, "VOID_PENDING", second.postings);
    expect((await clearOne(clearing, voided)).state).toBe("CLEARED");
  });

  it("who is revoked approves nothing more, within a second", async () => {
    const revokeTime = new Date(Math.floor(Date.now() / 1_000) * 1_000).toISOString();
    const before = funding(10_001n);
    const request = forged(before, [a, c]);
    await clearOne(clearing, request);
    writeFileSync(policyPath, policyText({ revokeTime }));
    await expect
      .poll(() => refusalOf(clearing, forged(funding(10_001n), [a, c])).then(kindOf, String), {
        timeout: 60_000,
      })
      .toBe("APPROVAL_REQUIRED");
    expect((await clearOne(clearing, request)).replayed).toBe(true);
    expect((await clearOne(clearing, forged(funding(10_001n), [a, b]))).state).toBe("CLEARED");
  });
});
