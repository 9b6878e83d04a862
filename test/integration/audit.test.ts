import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Account,
  AccountFlags,
  type Client,
  CreateTransferStatus,
  type Transfer,
  TransferFlags,
} from "tigerbeetle-node";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { walletAccountId, walletUserData } from "#common/ledger/wallet-account.ts";
import { packPostings, unhex } from "#common/postgres/evidence.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import type { AuditResult } from "../../cli/audit/audit-ledger.ts";
import { auditConfig } from "../../cli/audit/config.ts";
import type { Finding, FindingKind } from "../../cli/audit/finding.ts";
import { runAudit } from "../../cli/audit/run.ts";
import { summaryText } from "../../cli/audit/text.ts";
import { readSettings } from "../../cli/state/settings.ts";
import { emptyAccount, emptyTransfer } from "../../engine/testing/empty-rows.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import {
  ClearingWorld,
  chart,
  clearOne,
  newKey,
  posting,
  type TestKey,
} from "../support/clearing/world.ts";
import { insertEvidence } from "../support/intents/seed.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { runMeshCommand } from "../support/mesh/mesh.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";

interface Audited extends AuditResult {
  readonly findings: readonly Finding[];
}

// Goal: an audit is clean over whatever Clearing does, and names everything that anyone does past it.
// Method: a Clearing in this process writes; the tests then write to the ledger with a client of their own, and to the
// records as the superuser that no trigger holds back. A ledger takes seconds to start, so tests share one: what an
// earlier test left in it is known, and an audit of a test tells the rest.
describeOnEngines("./mesh audit", (engine) => {
  let records: TestDatabase;
  let pool: Pool;
  let world: ClearingWorld;
  let replica: ClearingDeps;
  let client: Client;
  /** What the audits of earlier tests found in the ledger, and what the last one of this test did. */
  let known: ReadonlySet<string>;
  let lastFound: ReadonlySet<string>;

  /** Gives a group of tests a ledger and records of its own. */
  const ownLedger = () => {
    beforeAll(async () => {
      records = await openDatabase();
      const { databaseUrl } = records;
      pool = createPool({ databaseUrl, applicationName: "test" });
      const running = await engine.start();
      world = new ClearingWorld(running, databaseUrl);
      replica = await world.openReplica();
      client = await openClient(running.config);
      lastFound = new Set();
    });
    beforeEach(() => {
      known = lastFound;
    });
    afterAll(async () => {
      client?.destroy();
      await pool?.end();
      await world?.close();
      await records?.stop();
    });
  };

  const audit = async (checkpointFile?: string): Promise<Audited> => {
    const findings: Finding[] = [];
    const result = await runAudit(auditConfig(world.environment()), {
      findingsMax: 100,
      onFinding: (finding) => findings.push(finding),
      onProgress: () => undefined,
      checkpointFile,
    });
    expect(findings.length).toBe(result.findingCount);
    lastFound = new Set(findings.map(keyOf));
    return { ...result, findings: findings.filter((finding) => !known.has(keyOf(finding))) };
  };

  /** What an audit finds, each as the kind and the transfer's or account's id. */
  const found = async (): Promise<[FindingKind, bigint | undefined][]> =>
    (await audit()).findings.map(({ kind, transfer, accountId }) => [
      kind,
      transfer?.id ?? accountId,
    ]);

  const write = async (...transfers: readonly Transfer[]): Promise<void> => {
    const results = await client.createTransfers([...transfers]);
    const statuses = results.map(({ status }) => CreateTransferStatus[status]);
    expect(statuses).toEqual(transfers.map(() => "created"));
  };

  const rowsOf = ({ intent, attestation }: ClearRequest): Transfer[] =>
    transferRows(intent, attestation.digest).map(formatTransfer);

  /** Evidence and chain as Clearing would store them, without its checks. */
  const force = async (request: ClearRequest): Promise<bigint> => {
    await insertEvidence(pool, request);
    await write(...rowsOf(request));
    return rowsOf(request)[0]?.id ?? 0n;
  };

  /** Changes evidence as only a superuser can. */
  const tamper = async (intentId: string, change: string, value: unknown): Promise<void> => {
    await pool.query("alter table evidence disable trigger all");
    await pool.query(`update evidence set ${change} = $2 where intent_id = $1`, [intentId, value]);
    await pool.query("alter table evidence enable trigger all");
  };

  const forget = async ({ intent }: ClearRequest): Promise<void> => {
    await pool.query("alter table evidence disable trigger all");
    await pool.query("delete from evidence where intent_id = $1", [intent.intentId]);
    await pool.query("alter table evidence enable trigger all");
  };

  const foreign = (fields: Partial<Transfer> = {}): Transfer => ({
    ...emptyTransfer(77n),
    debit_account_id: chart.cash,
    credit_account_id: chart.stripe,
    amount: 5n,
    ledger: 1,
    code: 10,
    ...fields,
  });

  const house = (amount: bigint) =>
    world.attest(world.intent({ postings: [posting(chart.cash, chart.stripe, amount, 10)] }));

  /** Everything that a mesh does in a day. */
  const aDay = async (): Promise<{ key: TestKey; expiring: ClearRequest }> => {
    const key = await world.openFunded(replica, 10_000n);
    const account = walletAccountId(key.address, 1);
    const bundle = [chart.milk, chart.eggs, chart.bread].map((goods, index) =>
      posting(account, goods, BigInt(100 + index), 2),
    );
    const bought = world.purchase(key, 0n, { postings: bundle });
    await clearOne(replica, bought);
    const refund = [posting(chart.milk, account, 60n, 5), posting(account, chart.stripe, 60n, 5)];
    await clearOne(
      replica,
      world.attest(
        world.intent({
          wallet: key.address,
          postings: refund,
          corrects: bought.attestation.digest,
        }),
      ),
    );
    for (const phase of ["POST_PENDING", "VOID_PENDING"] as const) {
      const pending = world.purchase(key, 0n, { phase: "PENDING", postings: bundle });
      await clearOne(replica, pending);
      const amountOf = (amount: bigint) => (phase === "POST_PENDING" ? amount - 50n : amount);
      const resolved = bundle.map((leg) => ({ ...leg, amount: amountOf(leg.amount) }));
      await clearOne(replica, world.resolve(pending.intent, phase, resolved));
    }
    const expiring = world.purchase(key, 70n, { phase: "PENDING", timeoutSeconds: 1 });
    await clearOne(replica, expiring);
    await clearOne(replica, world.purchase(key, 30n, { phase: "PENDING", timeoutSeconds: 3_600 }));
    const many = Array.from({ length: 64 }, (_, leg) =>
      posting(chart.cash, account, BigInt(leg + 1), 1),
    );
    await clearOne(replica, world.attest(world.intent({ wallet: key.address, postings: many })));
    return { key, expiring };
  };

  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "sovr-audit-"));
    file = join(folder, "checkpoint.json");
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  describe("over what Clearing does", () => {
    ownLedger();

    it("is clean over an empty ledger", async () => {
      const result = await audit();
      expect(summaryText(result)).toBe(
        "0 transfers, 0 unattested, 0 altered, balanced; 0 evidence, 0 lost; 0 orders, 0 lost",
      );
    });

    it("is clean over all phases, expiries and chains, before, while and after they expire", async () => {
      const { key } = await aDay();
      const transfers = 1 + 3 + 2 + 2 * (3 + 3) + 1 + 1 + 64;
      const first = await audit();
      expect(first.findings).toEqual([]);
      const intents = 1 + 1 + 1 + 2 * 2 + 1 + 1 + 1;
      expect(summaryText(first)).toBe(
        `${transfers} transfers, 0 unattested, 0 altered, balanced; ${intents} evidence, 0 lost; 0 orders, 0 lost`,
      );
      await sleep(1_200);
      expect((await audit()).findings).toEqual([]);
      await clearOne(replica, world.purchase(key, 10n));
      const last = await audit();
      expect(last.findings).toEqual([]);
      expect(last.transfers).toBe(transfers + 1);
      expect(last.accounts).toBeGreaterThan(10);
    });

    it("is clean over intents that one signature stands for, and sees what is changed about it", async () => {
      const { address } = await world.openFunded(replica, 0n);
      const requests = world.inTree(
        Array.from({ length: 5 }, (_, index) => world.funding(address, BigInt(index + 1))),
      );
      for (const request of requests) await clearOne(replica, request);
      expect((await audit()).findings).toEqual([]);
      const [first = house(1n), second = first] = requests;
      const { rows } = await pool.query<{ tree: Buffer }>(
        "select tree from evidence where intent_id = $1",
        [first.intent.intentId],
      );
      const tree = rows[0]?.tree ?? Buffer.alloc(0);
      const changes = [
        // A bit of the time and of the path, a shorter path, none.
        ...[7, 16].map((at) => tree.with(at, (tree[at] ?? 0) ^ 1)),
        tree.subarray(0, -32),
        null,
      ];
      const transferId = transferRows(first.intent, first.attestation.digest)[0]?.id;
      for (const change of changes) {
        known = new Set();
        await tamper(first.intent.intentId, "tree", change === null ? null : Buffer.from(change));
        expect(await found()).toEqual([["ATTESTATION_INVALID", transferId]]);
      }
      await tamper(first.intent.intentId, "tree", tree);
      expect(await found()).toEqual([]);
      expect(second.attestation.signature).toBe(first.attestation.signature);
    });

    it("is clean and of one instant while the ledger goes on", async () => {
      const key = await world.openFunded(replica, 1_000_000n);
      let stopped = false;
      let rounds = 0;
      const clearings = (async () => {
        for (; !stopped && rounds < 100_000; rounds += 1) {
          // What is posted below has the time for it on any machine; what is not runs out.
          const timeoutSeconds = rounds % 2 === 0 ? 600 : 1;
          const pending = world.purchase(key, 5n, { phase: "PENDING", timeoutSeconds });
          await Promise.all([
            clearOne(replica, world.purchase(key, 3n)),
            clearOne(replica, pending),
            clearOne(replica, house(7n)),
          ]);
          if (rounds % 2 === 0) {
            await clearOne(
              replica,
              world.resolve(pending.intent, "POST_PENDING", pending.intent.postings),
            );
          }
        }
      })();
      const counts: number[] = [];
      try {
        for (let audits = 0; audits < 3; audits += 1) {
          const before = rounds;
          await sleep(300);
          await expect.poll(() => rounds).toBeGreaterThan(before + 1);
          const result = await audit();
          expect(result.findings).toEqual([]);
          counts.push(result.transfers);
        }
      } finally {
        stopped = true;
      }
      await clearings;
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
      expect(counts.at(-1)).toBeGreaterThan(counts[0] ?? 0);
      expect((await audit()).findings).toEqual([]);
    });

    it("is a command with an exit code, a line for people and JSON for programs", async () => {
      await clearOne(replica, house(5n));
      const { transfers, evidence } = await audit();
      const records = `${evidence} evidence, 0 lost; 0 orders, 0 lost`;
      const command = (...words: string[]) =>
        runMeshCommand(readSettings({}), { ...process.env, ...world.environment() }, [
          "audit",
          ...words,
        ]);
      const clean = await command();
      expect(clean.stdout).toBe(
        `${transfers} transfers, 0 unattested, 0 altered, balanced; ${records}\n`,
      );
      expect(clean.code).toBe(0);
      await write(foreign(), foreign({ id: 78n }));
      const found = await command("--findings", "1");
      expect(found.code).toBe(1);
      const [first, more, summary] = found.stdout.split("\n");
      expect(first).toMatch(
        /^NO_EVIDENCE: transfer 77 of .*Z, 0.05 USD from CASH_ODFI to STRIPE_SETTLEMENT \(STRIPE_PAYOUT\): no evidence has the digest 0x0/,
      );
      expect(more).toMatch(/^… and 1 more findings/);
      expect(summary).toBe(
        `${transfers + 2} transfers, 2 unattested, 0 altered, balanced; ${records}`,
      );
      const json = await command("--json");
      const lines = json.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
      expect(lines).toMatchObject([
        { finding: { kind: "NO_EVIDENCE", transfer: { id: "77", amount: "5", code: 10 } } },
        { finding: { kind: "NO_EVIDENCE", transfer: { id: "78" } } },
        {
          summary: {
            transfers: transfers + 2,
            findingCount: 2,
            counts: { unattested: 2 },
            balanced: true,
            evidence,
            evidenceCounts: { cleared: evidence, lost: 0 },
            orders: 0,
            givenUp: [],
          },
        },
      ]);
      expect(json.code).toBe(1);
      expect(await command("--nonsense")).toMatchObject({ code: 1, stdout: "" });
    });
  });

  describe("over what others do", () => {
    ownLedger();

    describe("finds a transfer written past Clearing", () => {
      it("that carries no digest", async () => {
        await aDay();
        await write(foreign());
        expect(await found()).toEqual([["NO_EVIDENCE", 77n]]);
        expect(summaryText(await audit())).toMatch(
          /, 1 unattested, 0 altered, balanced; [0-9]+ evidence, 0 lost; 0 orders, 0 lost$/,
        );
      });

      it("that copies the digest of a real one", async () => {
        const real = house(5n);
        await clearOne(replica, real);
        const [row] = rowsOf(real);
        await write({ ...foreign(), ...row, id: 78n });
        expect(await found()).toEqual([["NOT_A_LEG", 78n]]);
      });

      it("into the middle of a real chain, and the chain for what is missing", async () => {
        const postings = [1n, 2n, 3n].map((amount) =>
          posting(chart.cash, chart.stripe, amount, 10),
        );
        const request = world.attest(world.intent({ postings }));
        const [first, second, third] = rowsOf(request);
        if (first === undefined || second === undefined || third === undefined) throw new Error();
        await insertEvidence(pool, request);
        await write(first, foreign({ id: 79n, flags: TransferFlags.linked }), third);
        expect(await found()).toEqual([
          ["NO_EVIDENCE", 79n],
          ["CHAIN_INCOMPLETE", first.id],
          ["CHAIN_INCOMPLETE", third.id],
        ]);
      });

      it("with another amount than its intent says", async () => {
        const request = house(5n);
        await insertEvidence(pool, request);
        const [row] = rowsOf(request);
        await write({ ...foreign(), ...row, amount: 6n });
        const { findings } = await audit();
        expect(findings).toMatchObject([
          { kind: "ROW_ALTERED", detail: "amount is 6 in the ledger and 5 by its intent" },
        ]);
      });

      it("that balances, closes or reserves", async () => {
        await write(
          foreign({
            id: 1_001n,
            flags: TransferFlags.balancing_debit,
            debit_account_id: chart.cash,
          }),
          foreign({
            id: 1_002n,
            flags: TransferFlags.pending | TransferFlags.closing_debit,
            debit_account_id: 5_000_001n,
            amount: 0n,
          }),
        );
        expect(await found()).toEqual([
          ["NO_EVIDENCE", 1_001n],
          ["NO_EVIDENCE", 1_002n],
        ]);
      });
    });

    it("finds a chain without its last leg", async () => {
      const postings = [1n, 2n].map((amount) => posting(chart.cash, chart.stripe, amount, 10));
      const request = world.attest(world.intent({ postings }));
      await insertEvidence(pool, request);
      const [first] = rowsOf(request);
      await write({ ...foreign(), ...first, flags: 0 });
      const { findings } = await audit();
      expect(findings.map(({ kind }) => kind)).toEqual(["ROW_ALTERED", "CHAIN_INCOMPLETE"]);
    });

    describe("finds evidence", () => {
      it("whose amount was changed", async () => {
        const request = house(5n);
        await clearOne(replica, request);
        const postings = packPostings([posting(chart.cash, chart.stripe, 4n, 10)]);
        await tamper(request.intent.intentId, "postings", postings);
        expect(await found()).toEqual([["EVIDENCE_ALTERED", rowsOf(request)[0]?.id]]);
      });

      it("whose amount and digest were changed", async () => {
        const request = house(5n);
        await clearOne(replica, request);
        const changed = {
          ...request.intent,
          postings: [posting(chart.cash, chart.stripe, 4n, 10)],
        };
        const { intentId } = request.intent;
        await tamper(intentId, "postings", packPostings(changed.postings));
        await tamper(intentId, "digest", unhex(world.digest(changed)));
        expect(await found()).toEqual([["NO_EVIDENCE", rowsOf(request)[0]?.id]]);
      });

      it("that was deleted", async () => {
        const request = house(5n);
        await clearOne(replica, request);
        await forget(request);
        expect(await found()).toEqual([["NO_EVIDENCE", rowsOf(request)[0]?.id]]);
      });

      it("that a stranger signed", async () => {
        const request = world.attest(
          world.intent({ postings: [posting(chart.cash, chart.stripe, 5n, 10)] }),
          undefined,
          newKey(),
        );
        const id = await force(request);
        expect(await found()).toEqual([["SIGNER_NOT_TRUSTED", id]]);
      });

      it("under which another signature stands than its signer's", async () => {
        const request = house(5n);
        await clearOne(replica, request);
        await tamper(request.intent.intentId, "signature", unhex(house(6n).attestation.signature));
        expect(await found()).toEqual([["ATTESTATION_INVALID", rowsOf(request)[0]?.id]]);
      });

      it("of a purchase that the wallet did not sign", async () => {
        const key = await world.openFunded(replica, 100n);
        const { intent } = world.purchase(key, 10n);
        const unsigned = await force(world.attest(intent));
        const other = await force(world.attest(world.purchase(key, 10n).intent, newKey()));
        expect(await found()).toEqual([
          ["WALLET_SIGNATURE_INVALID", unsigned],
          ["WALLET_SIGNATURE_INVALID", other],
        ]);
      });

      it("of postings that the rules do not allow, of refunds above what was bought", async () => {
        const key = await world.openFunded(replica, 1_000n);
        const account = walletAccountId(key.address, 1);
        const seized = await force(
          world.attest(world.intent({ postings: [posting(account, chart.cash, 5n, 9)] })),
        );
        const bought = world.purchase(key, 10n);
        await clearOne(replica, bought);
        await clearOne(replica, world.purchase(key, 500n));
        const refund = (corrects: string) =>
          world.attest(
            world.intent({
              wallet: key.address,
              postings: [posting(chart.milk, account, 11n, 5)],
              corrects,
            }),
          );
        const tooMuch = await force(refund(bought.attestation.digest));
        const ofNothing = await force(refund(`0x${"ab".repeat(32)}`));
        expect(await found()).toEqual([
          ["RULE_BROKEN", seized],
          ["RULE_BROKEN", tooMuch],
          ["RULE_BROKEN", ofNothing],
        ]);
      });

      it("that posts other than the pending intent reserves", async () => {
        const key = await world.openFunded(replica, 1_000n);
        const pending = world.purchase(key, 10n, { phase: "PENDING" });
        await clearOne(replica, pending);
        const resolve = world.resolve(pending.intent, "POST_PENDING", pending.intent.postings);
        await clearOne(replica, resolve);
        expect(await found()).toEqual([]);
        // As if the reservation had been of less, and had been signed so.
        const less = world.attest(
          {
            ...pending.intent,
            postings: [posting(walletAccountId(key.address, 1), chart.milk, 9n, 2)],
          },
          key,
        );
        const { intentId } = pending.intent;
        await tamper(intentId, "postings", packPostings(less.intent.postings));
        await tamper(intentId, "digest", unhex(less.attestation.digest));
        expect(await found()).toEqual([
          ["NO_EVIDENCE", rowsOf(pending)[0]?.id],
          ["RULE_BROKEN", rowsOf(resolve)[0]?.id],
        ]);
      });

      it("that was dated back, unless the Attestor or Clearing saw it when it was issued", async () => {
        const issueTime = BigInt(Math.floor(Date.now() / 1_000)) - 1_200n;
        const postings = [posting(chart.cash, chart.stripe, 5n, 10)];
        const draft = { postings, issueTime, expireTime: issueTime + 7_200n };
        const [stolen, bound, stored] = [1, 2, 3].map(() => world.attest(world.intent(draft)));
        if (!stolen || !bound || !stored) throw new Error("three intents are needed");
        const id = await force(stolen);
        await force(stored);
        await force(bound);
        const then = new Date(Number(issueTime + 1n) * 1_000);
        await tamper(stored.intent.intentId, "insert_time", then);
        // The Attestor's table, as its first start makes it.
        await pool.query(
          "create table attestation_intent (intent_id uuid primary key, digest bytea, insert_time timestamptz)",
        );
        await pool.query("insert into attestation_intent values ($1, $2, $3)", [
          bound.intent.intentId,
          unhex(bound.attestation.digest),
          then,
        ]);
        expect(await found()).toEqual([["DATED_BACK", id]]);
      });

      it("that cleared long after it had expired", async () => {
        const now = BigInt(Math.floor(Date.now() / 1_000));
        const postings = [posting(chart.cash, chart.stripe, 5n, 10)];
        const draft = { postings, issueTime: now - 1_000n, expireTime: now - 400n };
        const late = await force(world.attest(world.intent(draft)));
        expect(await found()).toEqual([["CLEARED_OUT_OF_TIME", late]]);
      });
    });

    it("finds accounts that are not Clearing's, and names what is wrong with others", async () => {
      const key = newKey();
      const account = (fields: Partial<Account>): Account => ({
        ...emptyAccount(0n),
        ledger: 1,
        code: 20,
        flags: AccountFlags.history,
        ...fields,
      });
      const { userData128, userData32 } = walletUserData(key.address);
      const owned = { user_data_128: userData128, user_data_32: userData32 };
      const id = walletAccountId(key.address, 1);
      const wrongId = walletAccountId(key.address, 2);
      await client.createAccounts([
        account({ id: 1n }),
        account({ id, ...owned }),
        account({ id: wrongId, ledger: 1, ...owned }),
      ]);
      const { findings } = await audit();
      expect(findings.map(({ kind, accountId }) => [kind, accountId])).toEqual([
        ["ACCOUNT_UNKNOWN", 1n],
        ["ACCOUNT_ALTERED", id],
        ["ACCOUNT_UNKNOWN", wrongId],
      ]);
      expect(findings[1]?.detail).toMatch(/it may be overdrawn$/);
    });

    it("goes on from a checkpoint, with what it found and what was reserved", async () => {
      const { key, expiring } = await aDay();
      await write(foreign({ id: 80n }));
      const first = await audit(file);
      expect(first.findings.map(({ kind }) => kind)).toEqual(["NO_EVIDENCE"]);
      // What was audited is not read again: this would be found otherwise.
      await forget(expiring);
      await sleep(1_200);
      const request = world.purchase(key, 10n);
      await clearOne(replica, request);
      await write(foreign({ id: 81n }));
      const second = await audit(file);
      expect(second.findings.map(({ kind, transfer }) => [kind, transfer?.id])).toEqual([
        ["NO_EVIDENCE", 80n],
        ["NO_EVIDENCE", 81n],
      ]);
      expect(second.transfers).toBe(first.transfers + 2);
      rmSync(file);
      expect((await audit(file)).findings.length).toBe(3);
    });
  });

  describe("when signers change", () => {
    ownLedger();

    it("trusts a revoked signer in what cleared before the revocation, and not after", async () => {
      const before = house(5n);
      await clearOne(replica, before);
      await sleep(1_100);
      world.writeSigners({ revokeTime: new Date().toISOString() });
      expect(await found()).toEqual([]);
      await sleep(1_100);
      const after = await force(house(6n));
      expect(await found()).toEqual([["SIGNER_NOT_TRUSTED", after]]);
      world.writeSigners({ revokeTime: "2020-01-01T00:00:00Z" });
      expect(await found()).toEqual([
        ["SIGNER_NOT_TRUSTED", rowsOf(before)[0]?.id],
        ["SIGNER_NOT_TRUSTED", after],
      ]);
    });

    it("does not go on from a checkpoint of another mesh, a damaged one, or after a signer was withdrawn", async () => {
      world.writeSigners({});
      await audit(file);
      world.writeSigners({ revokeTime: "2020-01-01T00:00:00Z" });
      await expect(audit(file)).rejects.toThrow(/was withdrawn as of a time/);
      world.writeSigners({ revokeTime: "2099-01-01T00:00:00Z" });
      expect((await audit(file)).findings).toEqual([]);
      writeFileSync(file, '{"version":1,"scope":{"clusterId":"9n"}}');
      await expect(audit(file)).rejects.toThrow(/belongs to another mesh/);
      writeFileSync(file, "{");
      await expect(audit(file)).rejects.toThrow(/is damaged/);
      expect(existsSync(`${file}.new`)).toBe(false);
    });
  });
});

/** What tells one finding of a ledger from the others. */
function keyOf({ kind, transfer, accountId, ledger }: Finding): string {
  return [kind, transfer?.id, accountId, ledger].join(" ");
}
