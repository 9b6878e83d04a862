import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Posting } from "#common/intent/intent.ts";
import { transferId } from "#common/ledger/transfer-rows.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { clearedChannel } from "#common/postgres/evidence.ts";
import { newUuidV7 } from "#common/uuid.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import {
  type ClearingWorld,
  chart,
  clearAll,
  clearOne,
  evidenceOf,
  kindOf,
  newKey,
  operator,
  posting,
  refusalOf,
  resultOf,
  soon,
  startClearingWorld,
  type TestKey,
} from "../support/clearing/world.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";

// Goal: every answer of Clear is the one that design/2 promises, whichever engine stores the transfers.
// Method: two replicas in this process over one PostgreSQL and one ledger; balances are read back from the ledger.
describeOnEngines("Clearing", (engine) => {
  let records: TestDatabase;
  let world: ClearingWorld;
  let replica: ClearingDeps;
  let other: ClearingDeps;

  beforeAll(async () => {
    records = await openDatabase();
    world = await startClearingWorld(engine, records.databaseUrl);
    replica = await world.openReplica();
    other = await world.openReplica();
  });
  afterAll(async () => {
    await world?.close();
    await records?.stop();
  });

  const availableOf = (key: TestKey) => world.available(walletAccountId(key.address, 1));
  const stateOf = async (intentId: string) =>
    (await replica.clearing.read(intentId, operator, soon())).clearing;

  /** As many postings as legs, of 1, 2, 3 … cents. */
  const legsOf = (legs: number, from: bigint, to: bigint, code: number): Posting[] =>
    Array.from({ length: legs }, (_, leg) => posting(from, to, BigInt(leg + 1), code));

  describe.each([1, 2, 3, 63, 64])("a chain of %i legs", (legs) => {
    const sum = BigInt((legs * (legs + 1)) / 2);

    it("clears once, and its replay is answered with the first result", async () => {
      const key = await world.openFunded(replica, 0n);
      const postings = legsOf(legs, chart.cash, walletAccountId(key.address, 1), 1);
      const request = world.attest(world.intent({ wallet: key.address, postings }));
      const first = await clearOne(replica, request);
      expect(first).toMatchObject({ state: "CLEARED", replayed: false, failure: undefined });
      expect(first.transferIds).toEqual(
        postings.map((_, leg) => transferId(request.intent.intentId, leg)),
      );
      expect(await clearOne(other, request)).toEqual({ ...first, replayed: true });
      expect(await availableOf(key)).toBe(sum);
      const read = await replica.clearing.read(request.intent.intentId, operator, soon());
      expect(read).toEqual({
        clearing: { ...first, replayed: true },
        evidence: evidenceOf(request),
        masked: false,
        legs: postings.map((_, leg) => leg),
        legCount: legs,
      });
    });

    it("is reserved and posted in part, leg by leg, with nothing of the last", async () => {
      const key = await world.openFunded(replica, sum);
      const reserved = legsOf(legs, walletAccountId(key.address, 1), chart.eggs, 2);
      const pending = world.purchase(key, 1n, { phase: "PENDING", postings: reserved });
      expect(await clearOne(replica, pending)).toMatchObject({ state: "CLEARED" });
      expect(await availableOf(key)).toBe(0n);

      const postings = reserved.map((leg, index) => ({
        ...leg,
        amount: index === legs - 1 ? 0n : leg.amount,
      }));
      const post = world.resolve(pending.intent, "POST_PENDING", postings);
      const posted = await clearOne(replica, post);
      expect(posted).toMatchObject({ state: "CLEARED", phase: "POST_PENDING", replayed: false });
      expect(await clearOne(other, post)).toEqual({ ...posted, replayed: true });
      expect(await availableOf(key)).toBe(BigInt(legs));

      const again = world.resolve(pending.intent, "VOID_PENDING", reserved);
      expect(await refusalOf(replica, again)).toMatchObject({
        kind: "PENDING_ALREADY_POSTED",
        metadata: {
          intentId: again.intent.intentId,
          pendingIntentId: pending.intent.intentId,
        },
      });
      expect(await stateOf(again.intent.intentId)).toMatchObject({
        state: "FAILED",
        failure: { reason: "PENDING_ALREADY_POSTED" },
      });
    });

    it("is reserved and voided", async () => {
      const key = await world.openFunded(replica, sum);
      const reserved = legsOf(legs, walletAccountId(key.address, 1), chart.bread, 2);
      const pending = world.purchase(key, 1n, { phase: "PENDING", postings: reserved });
      await clearOne(replica, pending);
      const voids = world.resolve(pending.intent, "VOID_PENDING", reserved);
      const voided = await clearOne(replica, voids);
      expect(await clearOne(other, voids)).toEqual({ ...voided, replayed: true });
      expect(await availableOf(key)).toBe(sum);
      const late = world.resolve(pending.intent, "POST_PENDING", reserved);
      expect((await refusalOf(replica, late)).kind).toBe("PENDING_ALREADY_VOIDED");
    });

    it("dies whole when its last leg is not covered, and stays dead", async () => {
      const key = await world.openFunded(replica, sum - 1n);
      const postings = legsOf(legs, walletAccountId(key.address, 1), chart.milk, 2);
      const request = world.purchase(key, 1n, { postings });
      const refusal = await refusalOf(replica, request);
      expect(refusal).toMatchObject({
        kind: "INSUFFICIENT_FUNDS",
        metadata: { intentId: request.intent.intentId, leg: String(legs - 1) },
      });
      expect(await availableOf(key)).toBe(sum - 1n);
      await clearOne(replica, world.funding(key.address, 1000n));
      for (const one of [replica, other]) {
        expect(await refusalOf(one, request)).toMatchObject({
          kind: "INTENT_FAILED",
          metadata: { intentId: request.intent.intentId, firstReason: "INSUFFICIENT_FUNDS" },
        });
      }
      expect(await stateOf(request.intent.intentId)).toMatchObject({
        state: "FAILED",
        commitTimestamp: 0n,
        failure: { reason: "INSUFFICIENT_FUNDS" },
      });
    });
  });

  it("tells people what is missing", async () => {
    const key = await world.openFunded(replica, 100n);
    const refusal = await refusalOf(replica, world.purchase(key, 350n));
    expect(refusal.message).toBe(`wallet ${key.address} has 1.00 USD available and needs 3.50 USD`);
    expect(refusal.metadata).toMatchObject({
      available: "100",
      accountId: walletAccountId(key.address, 1).toString(),
    });
  });

  it("clears many identical requests at once, over two replicas, exactly once", async () => {
    const key = await world.openFunded(replica, 1000n);
    const request = world.purchase(key, 350n);
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, i) => clearOne(i % 2 === 0 ? replica : other, request)),
    );
    const { replayed: _, ...expected } = await stateOf(request.intent.intentId);
    for (const answer of answers) expect(answer).toMatchObject(expected);
    expect(answers.filter((answer) => !answer.replayed)).toHaveLength(1);
    expect(await availableOf(key)).toBe(650n);
  });

  it("lets one of two different intents with one id win, whichever replica they reach", async () => {
    const key = await world.openFunded(replica, 100_000n);
    for (let round = 0; round < 20; round += 1) {
      const intentId = newUuidV7();
      const requests = [350n, 250n].map((amount) => world.purchase(key, amount, { intentId }));
      const results = await Promise.all(
        requests.map(async (request, index) => {
          const one = (index + round) % 2 === 0 ? replica : other;
          return resultOf(one, request);
        }),
      );
      expect(results.map(kindOf).sort()).toEqual(["CLEARED", "INTENT_ID_REUSED"]);
      const winner = requests[results.findIndex((result) => kindOf(result) === "CLEARED")];
      const loser = requests.find((request) => request !== winner);
      expect(winner && loser).toBeDefined();
      if (winner === undefined || loser === undefined) return;
      expect(await refusalOf(replica, loser)).toMatchObject({
        kind: "INTENT_ID_REUSED",
        metadata: {
          intentId,
          digest: loser.attestation.digest,
          storedDigest: winner.attestation.digest,
        },
      });
    }
  });

  describe("in one batch", () => {
    it("each intent stands alone", async () => {
      const key = await world.openFunded(replica, 500n);
      const poor = await world.openFunded(replica, 0n);
      const good = world.purchase(key, 100n);
      const forged = world.attest(world.purchase(key, 1n).intent, newKey());
      const requests = [
        good,
        world.purchase(poor, 100n),
        forged,
        good,
        world.purchase(newKey(), 100n),
        world.purchase(key, 101n, { intentId: good.intent.intentId }),
        world.funding(key.address, 7n),
      ];
      const results = await clearAll(replica, requests);
      expect(results.map(kindOf)).toEqual([
        "CLEARED",
        "INSUFFICIENT_FUNDS",
        "WALLET_SIGNATURE_INVALID",
        "CLEARED",
        "ACCOUNT_NOT_FOUND",
        "INTENT_ID_REUSED",
        "CLEARED",
      ]);
      expect(results[3]).toEqual(results[0]);
      expect(await availableOf(key)).toBe(500n - 100n + 7n);
    });

    it("hundreds of chains share requests and none is split", async () => {
      const key = await world.openFunded(replica, 0n);
      const account = walletAccountId(key.address, 1);
      const requests = Array.from({ length: 300 }, (_, i) =>
        world.attest(
          world.intent({
            wallet: key.address,
            postings: legsOf((i * 7) % 20 || 20, chart.cash, account, 1),
          }),
        ),
      );
      const expected = requests
        .flatMap(({ intent }) => intent.postings)
        .reduce((sum, { amount }) => sum + amount, 0n);
      const results = await clearAll(replica, requests);
      expect(new Set(results.map(kindOf))).toEqual(new Set(["CLEARED"]));
      expect(await availableOf(key)).toBe(expected);
      const replayed = await clearAll(other, requests);
      expect(replayed).toEqual(results.map((result) => ({ ...result, replayed: true })));
      expect(await availableOf(key)).toBe(expected);
    });
  });

  describe("accounts", () => {
    it("an unknown one is refused and burns nothing", async () => {
      const key = newKey();
      const request = world.funding(key.address, 100n);
      const accountId = walletAccountId(key.address, 1);
      expect(await refusalOf(replica, request)).toMatchObject({
        kind: "ACCOUNT_NOT_FOUND",
        metadata: {
          accountId: accountId.toString(),
          field: "intent.postings[0].credit_account_id",
        },
      });
      await replica.clearing.openWallet(key.address, 1, operator, soon());
      expect((await clearOne(replica, request)).state).toBe("CLEARED");
    });

    it("one of another asset is refused before the write", async () => {
      const key = newKey();
      await replica.clearing.openWallet(key.address, 2, operator, soon());
      const foreign = walletAccountId(key.address, 2);
      const request = world.attest(
        world.intent({ postings: [posting(chart.cash, foreign, 100n, 1)] }),
      );
      expect(await refusalOf(replica, request)).toMatchObject({
        kind: "LEDGERS_DIFFER",
        metadata: { field: "intent.postings[0]", ledger: "1", accountLedger: "2" },
      });
      await expect(stateOf(request.intent.intentId)).rejects.toMatchObject({
        kind: "INTENT_NOT_FOUND",
      });
    });

    it("opens a wallet once, however many ask", async () => {
      const key = newKey();
      const opened = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          (i % 2 === 0 ? replica : other).clearing.openWallet(key.address, 1, operator, soon()),
        ),
      );
      expect(opened.filter((answer) => answer.opened)).toHaveLength(1);
      expect(new Set(opened.map((answer) => answer.accountId))).toEqual(
        new Set([walletAccountId(key.address, 1)]),
      );
    });
  });

  describe("a reservation", () => {
    it("expires", async () => {
      const key = await world.openFunded(replica, 350n);
      const pending = world.purchase(key, 350n, { phase: "PENDING", timeoutSeconds: 1 });
      const cleared = await clearOne(replica, pending);
      await world.untilLedgerTime(cleared.commitTimestamp + 1_000_000_000n);
      const post = world.resolve(pending.intent, "POST_PENDING", pending.intent.postings);
      expect((await refusalOf(replica, post)).kind).toBe("PENDING_EXPIRED");
      // That it expired changes nothing about the fact that it cleared.
      expect(await clearOne(other, pending)).toEqual({ ...cleared, replayed: true });
    });

    it("that never cleared cannot be posted", async () => {
      const key = await world.openFunded(replica, 0n);
      const pending = world.purchase(key, 350n, { phase: "PENDING" });
      const post = world.resolve(pending.intent, "POST_PENDING", pending.intent.postings);
      expect((await refusalOf(replica, post)).kind).toBe("PENDING_NOT_FOUND");
      expect((await refusalOf(replica, pending)).kind).toBe("INSUFFICIENT_FUNDS");
      expect(await refusalOf(replica, post)).toMatchObject({
        kind: "PENDING_NOT_FOUND",
        metadata: { pendingIntentId: pending.intent.intentId },
      });
      expect((await refusalOf(replica, post)).metadata["firstReason"]).toBe("PENDING_NOT_FOUND");
    });

    it("cannot be posted for more", async () => {
      const key = await world.openFunded(replica, 1000n);
      const pending = world.purchase(key, 350n, { phase: "PENDING" });
      await clearOne(replica, pending);
      const postings = pending.intent.postings.map((leg) => ({ ...leg, amount: 351n }));
      const post = world.resolve(pending.intent, "POST_PENDING", postings);
      expect(await refusalOf(replica, post)).toMatchObject({
        kind: "PENDING_AMOUNT_EXCEEDED",
        metadata: { pendingAmount: "350", amount: "351" },
      });
    });
  });

  it("wakes those who listen, after a commit and not after a refusal", async () => {
    // By a replica that has gone: what it announces after its answers would be heard below.
    const funder = await world.openReplica();
    const key = await world.openFunded(funder, 100n);
    await world.closeReplica(funder);
    const listener = new pg.Client(records.databaseUrl);
    await listener.connect();
    try {
      await listener.query(`listen ${clearedChannel}`);
      let heard = 0;
      listener.on("notification", () => {
        heard += 1;
      });
      expect((await refusalOf(replica, world.purchase(key, 500n))).kind).toBe("INSUFFICIENT_FUNDS");
      await listener.query("select 1");
      expect(heard).toBe(0);
      await clearOne(replica, world.purchase(key, 50n));
      await expect.poll(() => heard).toBe(1);
    } finally {
      await listener.end();
    }
  });

  it("validates without storing or moving anything", async () => {
    const key = await world.openFunded(replica, 100n);
    const request = world.purchase(key, 50n);
    const validated = await clearOne(replica, { ...request, validateOnly: true });
    expect(validated).toMatchObject({ state: "VALIDATED", commitTimestamp: 0n, replayed: false });
    expect(await availableOf(key)).toBe(100n);
    await expect(stateOf(request.intent.intentId)).rejects.toMatchObject({
      kind: "INTENT_NOT_FOUND",
    });
    const unknown = { ...world.purchase(newKey(), 50n), validateOnly: true };
    expect((await refusalOf(replica, unknown)).kind).toBe("ACCOUNT_NOT_FOUND");
    await clearOne(replica, request);
    const reused = world.purchase(key, 51n, { intentId: request.intent.intentId });
    expect((await refusalOf(replica, { ...reused, validateOnly: true })).kind).toBe(
      "INTENT_ID_REUSED",
    );
  });

  it("a wallet's credentials reach its own intents and accounts only", async () => {
    const key = await world.openFunded(replica, 100n);
    const stranger = { wallet: newKey().address };
    const request = world.purchase(key, 50n);
    const refused = await refusalOf(replica, request, soon(), stranger);
    expect(refused).toMatchObject({ kind: "SCOPE_MISSING", metadata: { wallet: stranger.wallet } });
    const cleared = await clearOne(replica, request, soon(), { wallet: key.address });
    expect(kindOf(cleared)).toBe("CLEARED");
    const { intentId } = request.intent;
    await expect(replica.clearing.read(intentId, stranger, soon())).rejects.toMatchObject({
      kind: "INTENT_NOT_FOUND",
    });
    await expect(
      replica.clearing.openWallet(key.address, 2, stranger, soon()),
    ).rejects.toMatchObject({ kind: "SCOPE_MISSING" });
  });

  it("refuses what a thief of a key could sign", async () => {
    const key = await world.openFunded(replica, 100n);
    const strange = newKey();
    const { intent } = world.purchase(key, 50n);
    const longLived = { ...intent, expireTime: intent.issueTime + 86_401n };
    const tooMuch = { ...world.funding(key.address, 100_000_001n).intent };
    const early = { ...intent, issueTime: intent.issueTime + 600n };
    const unsigned = world.attest(intent);
    const altered = { ...world.purchase(key, 50n), intent: { ...intent, reference: "altered" } };
    const house = { ...intent, postings: [posting(chart.cash, chart.milk, 5n, 2)] };
    const cases = [
      [world.attest(intent, key, strange), "SIGNER_NOT_TRUSTED"],
      [world.attest(longLived, key), "INVALID_FIELD"],
      [world.attest(tooMuch), "LIMIT_EXCEEDED"],
      [world.attest(early, key), "INTENT_NOT_YET_VALID"],
      [unsigned, "WALLET_SIGNATURE_INVALID"],
      [altered, "ATTESTATION_INVALID"],
      [world.attest(house), "POSTING_NOT_ALLOWED"],
    ] as const;
    const results = await clearAll(
      replica,
      cases.map(([request]) => request),
    );
    expect(results.map(kindOf)).toEqual(cases.map(([, kind]) => kind));
  });

  it("debits equal credits, posted and pending", async () => {
    const totals = await world.totals();
    expect(totals.debitsPosted).toBe(totals.creditsPosted);
    expect(totals.debitsPending).toBe(totals.creditsPending);
    expect(totals.debitsPosted).toBeGreaterThan(0n);
  });
});
