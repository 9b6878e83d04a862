// Goal: whatever clients do and however often Clearing dies, every acknowledged clearing exists once, none is doubled and
// none is half there; and what is written past Clearing is found. Method: clients of single calls and of batches send new
// intents, retries, duplicates and two intents under one id, while Clearing is killed with -9 and started again ten
// times; then every answer is held against the ledger, and the audit reads it all.
// FAULT_SEED repeats a run, FAULT_SECONDS makes it longer.
import { setTimeout as sleep } from "node:timers/promises";
import { CreateTransferStatus } from "tigerbeetle-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Intent } from "#common/intent/intent.ts";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { openClient } from "#common/tigerbeetle/open-client.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import { auditConfig } from "../../cli/audit/config.ts";
import type { Finding } from "../../cli/audit/finding.ts";
import { runAudit } from "../../cli/audit/run.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import { ClearingAnswers } from "../support/clearing/answers.ts";
import {
  type ClearingProcess,
  startClearingProcess,
  toProto,
} from "../support/clearing/process.ts";
import {
  type ClearingWorld,
  chart,
  newKey,
  posting,
  startClearingWorld,
  type TestKey,
} from "../support/clearing/world.ts";
import { createRandom } from "../support/intents/random-history.ts";
import { everyTransferIn } from "../support/ledger/every-transfer.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";
import { createTokenIssuer, type TokenIssuer } from "../support/rpc/token-issuer.ts";

const { FAULT_SEED, FAULT_SECONDS } = process.env;
const randomSeed = Number(FAULT_SEED ?? 20_261_124);
/** How long Clearing is up in all. */
const seconds = Number(FAULT_SECONDS ?? 4);
const killsCount = 10;
const singlesCount = 4;
const batchersCount = 2;
const batchMax = 40;
const goods = [chart.milk, chart.eggs, chart.bread];

/** Clearing from a start to a kill. */
interface Life {
  readonly process: ClearingProcess;
  readonly over: AbortController;
}

describeOnEngines(`Clearing killed over and over (FAULT_SEED=${randomSeed})`, (engine) => {
  let records: TestDatabase;
  let world: ClearingWorld;
  let issuer: TokenIssuer;
  const answers = new ClearingAnswers();
  /** Everything that anyone has sent, to be sent again. */
  const sent: ClearRequest[] = [];
  const keys = new Map<string, TestKey>();
  /** The one that lives now, or that is about to. */
  let life: Promise<Life>;

  beforeAll(async () => {
    issuer = await createTokenIssuer();
    records = await openDatabase();
    world = await startClearingWorld(engine, records.databaseUrl);
    life = live();
    await life;
  });
  afterAll(async () => {
    await (await life)?.process.stop();
    await world?.close();
    await records?.stop();
    issuer?.[Symbol.dispose]();
  });

  async function live(): Promise<Life> {
    return { process: await startClearingProcess(world, issuer), over: new AbortController() };
  }

  /** What was under way ends with an error at once: nobody will answer it, and a retry would meet nobody either. */
  async function die({ process, over }: Life): Promise<void> {
    await process.kill();
    over.abort();
  }

  /** One client, with a wallet and reservations of its own. */
  class Sender {
    readonly key: TestKey = newKey();
    readonly #random: () => number;
    readonly #reserved: Intent[] = [];

    constructor(random: () => number) {
      this.#random = random;
    }

    async openWallet(): Promise<void> {
      keys.set(this.key.address, this.key);
      const { client } = (await life).process;
      await client.openWallet({ wallet: this.key.address, ledger: 1 });
      await single(this.#register(world.funding(this.key.address, 3_000n)));
    }

    /** What it sends next: mostly one request, sometimes the same twice or two under one id. */
    next(): ClearRequest[] {
      const kind = this.#random();
      const earlier = sent[this.#upTo(sent.length)];
      if (kind < 0.2 && earlier !== undefined) return [earlier];
      if (kind < 0.3 && earlier !== undefined) return [this.#rival(earlier)];
      const request = this.#register(this.#make());
      if (kind < 0.4) return [request, request];
      if (kind < 0.5) return [request, this.#rival(request)];
      return [request];
    }

    /** More than anybody here ever has. */
    overspend(): ClearRequest {
      return this.#register(world.purchase(this.key, 1_000_000n));
    }

    #make(): ClearRequest {
      const kind = this.#random();
      const { key } = this;
      if (kind < 0.1) return world.funding(key.address, 10n * this.#amount());
      const [pending] =
        kind < 0.3 ? this.#reserved.splice(this.#upTo(this.#reserved.length), 1) : [];
      if (pending !== undefined) {
        const phase = this.#random() < 0.5 ? "POST_PENDING" : "VOID_PENDING";
        // Now and then another one resolves it too, and one of the two must lose.
        if (this.#random() < 0.3) this.#reserved.push(pending);
        return world.resolve(pending, phase, pending.postings);
      }
      const account = walletAccountId(key.address, 1);
      const legs = goods.slice(0, 1 + this.#upTo(goods.length));
      const postings = legs.map((good) => posting(account, good, this.#amount(), 2));
      const reserves = kind < 0.6;
      const request = world.purchase(key, 0n, {
        postings,
        ...(reserves ? { phase: "PENDING", timeoutSeconds: this.#upTo(3) } : {}),
      });
      if (reserves) this.#reserved.push(request.intent);
      return request;
    }

    /** Another intent under the id of one, as genuine as the first. */
    #rival({ intent }: ClearRequest): ClearRequest {
      const other = { ...intent, reference: `${intent.reference}!` };
      return this.#register(world.attest(other, keys.get(intent.wallet)));
    }

    #register(request: ClearRequest): ClearRequest {
      sent.push(request);
      answers.send(request);
      return request;
    }

    #amount(): bigint {
      return BigInt(1 + this.#upTo(99));
    }

    #upTo(count: number): number {
      return Math.floor(this.#random() * count);
    }
  }

  async function single(request: ClearRequest): Promise<void> {
    const call = answers.nextCall();
    const { process, over } = await life;
    try {
      const response = await process.client.clear(toProto(request), { signal: over.signal });
      if (response.clearing === undefined) throw new Error("Clear answered nothing");
      answers.take(request, call, response.clearing);
    } catch (error) {
      answers.fail([request], error);
    }
  }

  async function batch(requests: readonly ClearRequest[]): Promise<void> {
    const call = answers.nextCall();
    const { process, over } = await life;
    try {
      const { results } = await process.client.clearBatch(
        { requests: requests.map(toProto) },
        { signal: over.signal },
      );
      expect(results.length).toBe(requests.length);
      for (const [index, request] of requests.entries()) {
        const outcome = results[index]?.outcome;
        if (outcome !== undefined) answers.take(request, call, outcome);
      }
    } catch (error) {
      answers.fail(requests, error);
    }
  }

  async function sendSingles(sender: Sender, isOver: () => boolean): Promise<void> {
    while (!isOver()) await Promise.all(sender.next().map(single));
  }

  async function sendBatches(sender: Sender, random: () => number, isOver: () => boolean) {
    while (!isOver()) {
      const size = 1 + Math.floor(random() * batchMax);
      const requests: ClearRequest[] = [];
      while (requests.length < size) requests.push(...sender.next());
      await batch(requests);
    }
  }

  /** Lets it live for a while, and kills it once it has answered something. */
  async function killOver(random: () => number): Promise<void> {
    for (let kill = 0; kill < killsCount; kill += 1) {
      const before = answers.count;
      await sleep((seconds / killsCount) * 2_000 * random());
      await expect.poll(() => answers.count).toBeGreaterThan(before);
      const dead = life.then(die);
      life = dead.then(live);
      await life;
    }
  }

  const everyTransfer = () => everyTransferIn(world.engine.config);

  async function audit() {
    const findings: Finding[] = [];
    const result = await runAudit(auditConfig(world.environment()), {
      findingsMax: 100,
      onFinding: (finding) => findings.push(finding),
      onProgress: () => undefined,
    });
    return { ...result, findings };
  }

  test(
    "clears what it acknowledged once and whole, and nothing else",
    async () => {
      const random = createRandom(randomSeed);
      const senders = Array.from(
        { length: singlesCount + batchersCount },
        (_, index) => new Sender(createRandom(randomSeed + index + 1)),
      );
      await Promise.all(senders.map((sender) => sender.openWallet()));
      let over = false;
      const isOver = () => over;
      const sending = senders.map((sender, index) =>
        index < singlesCount
          ? sendSingles(sender, isOver)
          : sendBatches(sender, createRandom(randomSeed - index), isOver),
      );
      // On a slow machine little is told meanwhile, and all goes on for as long as it takes.
      const told = async () => {
        await killOver(random);
        await expect
          .poll(async () => {
            // Chance alone spends too much sooner or later, and here that must be told.
            const [sender] = senders;
            if (sender !== undefined) await single(sender.overspend());
            return Object.keys(answers.summary());
          })
          .toEqual(expect.arrayContaining(["CLEARED", "INTENT_ID_REUSED", "INSUFFICIENT_FUNDS"]));
      };
      await told().finally(() => {
        over = true;
      });
      await Promise.all(sending);
      expect(answers.cut).toBeGreaterThan(0);
      expect(answers.check(await everyTransfer())).toEqual([]);

      // Whoever was not told asks again, and is told.
      const open = answers.unanswered();
      for (let first = 0; first < open.length; first += batchMax) {
        await batch(open.slice(first, first + batchMax));
      }
      expect(answers.unanswered()).toEqual([]);
      expect(answers.check(await everyTransfer())).toEqual([]);
    },
    (seconds + 240) * 1_000,
  );

  test("leaves a ledger that the audit and the trial balance bear out", async () => {
    expect((await audit()).findings).toEqual([]);
    const { debitsPosted, creditsPosted, debitsPending, creditsPending } = await world.totals();
    expect(debitsPosted).toBe(creditsPosted);
    expect(debitsPending).toBe(creditsPending);
    expect(debitsPosted).toBeGreaterThan(0n);
  });

  test("has whatever is written past it named by the audit", async () => {
    const { intent, attestation } = answers.someCleared();
    const [row] = transferRows(intent, attestation.digest).map(formatTransfer);
    if (row === undefined) throw new Error("a clearing without legs");
    const bare = { ...row, user_data_128: 0n, user_data_64: 0n, user_data_32: 0, flags: 0 };
    const copy = {
      ...row,
      debit_account_id: chart.cash,
      credit_account_id: chart.stripe,
      flags: 0,
    };
    const client = await openClient(world.engine.config);
    const results = await client.createTransfers([
      { ...bare, id: 77n, debit_account_id: chart.cash, credit_account_id: chart.stripe },
      { ...copy, id: 78n },
    ]);
    client.destroy();
    const { created } = CreateTransferStatus;
    expect(results.map(({ status }) => status)).toEqual([created, created]);
    const { findings, counts, balanced } = await audit();
    expect(findings.map(({ kind, transfer }) => [kind, transfer?.id])).toEqual([
      ["NO_EVIDENCE", 77n],
      ["NOT_A_LEG", 78n],
    ]);
    expect(counts).toEqual({ unattested: 2 });
    expect(balanced).toBe(true);
  });
});
