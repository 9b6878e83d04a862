import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DomainError } from "#common/domain-error.ts";
import type { Intent, Posting } from "#common/intent/intent.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { createPool, type Pool } from "#common/postgres/pool.ts";
import type { ClearResult } from "../../services/clearing/batch/clear-list.ts";
import { Attempt } from "../../services/clearing/core/attempt.ts";
import type { ClearRequest } from "../../services/clearing/core/clearing.ts";
import type { ClearingDeps } from "../../services/clearing/deps.ts";
import { createEvidenceStore } from "../../services/clearing/drivers/postgres.ts";
import { ClearingModel, type Expected } from "../support/clearing/model.ts";
import {
  type ClearingWorld,
  chart,
  kindOf,
  operator,
  posting,
  resultOf,
  soon,
  startClearingWorld,
  type TestKey,
} from "../support/clearing/world.ts";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { openDatabase } from "../support/postgres/database.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";

type Step =
  | {
      readonly kind: "new";
      readonly what: What;
      readonly amounts: readonly number[];
      readonly lifeSeconds: number;
    }
  | {
      readonly kind: "resolve";
      readonly which: number;
      readonly post: boolean;
      readonly shares: readonly number[];
    }
  | { readonly kind: "retry"; readonly which: number }
  /** A first call when the clock has jumped past the intent's life, and a second when it has jumped back. */
  | {
      readonly kind: "jump";
      readonly amounts: readonly number[];
      readonly lifeSeconds: number;
    }
  /** At one replica and then at the other, whose clock may say something else. */
  | { readonly kind: "everywhere"; readonly which: number }
  | { readonly kind: "burst"; readonly which: number; readonly times: number }
  | { readonly kind: "alter"; readonly which: number }
  | { readonly kind: "die"; readonly amounts: readonly number[] }
  | { readonly kind: "clock"; readonly replica: number; readonly seconds: number }
  | { readonly kind: "restart"; readonly replica: number };
type What = "fund" | "buy" | "reserve";

const amounts = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 4 });
const which = fc.nat({ max: 1_000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("new" as const),
      what: fc.constantFrom<What>("fund", "buy", "reserve"),
      amounts,
      lifeSeconds: fc.integer({ min: 1, max: 2_000 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("resolve" as const),
      which,
      post: fc.boolean(),
      shares: fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 4, maxLength: 4 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("retry" as const), which }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("everywhere" as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("burst" as const),
      which,
      times: fc.integer({ min: 2, max: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("jump" as const),
      amounts,
      lifeSeconds: fc.integer({ min: 1, max: 2_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("alter" as const), which }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("die" as const), amounts }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("clock" as const),
      replica: fc.nat({ max: 1 }),
      seconds: fc.integer({ min: -3_000, max: 4_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("restart" as const), replica: fc.nat({ max: 1 }) }),
  },
);
/** A history: steps, each taken at one of two replicas. */
const history = fc.array(fc.record({ step, at: fc.nat({ max: 1 }) }), {
  minLength: 5,
  maxLength: 40,
});

/** The clocks of two replicas. They stand still while one call is under way, so that the model reads what the replica did. */
class Clocks {
  /** Seconds by which each is off. */
  readonly offsets = [0, 0];
  #atMs = Date.now();

  nowMs(replica: number): number {
    return this.#atMs + (this.offsets[replica] ?? 0) * 1000;
  }

  goOn(): void {
    this.#atMs = Date.now();
  }
}

/** One history on its own wallet, beside its model. */
class Run {
  readonly model = new ClearingModel();
  readonly requests: ClearRequest[] = [];
  readonly #world: ClearingWorld;
  readonly #replicas: ClearingDeps[];
  readonly #clocks: Clocks;
  readonly #key: TestKey;

  constructor(world: ClearingWorld, replicas: ClearingDeps[], clocks: Clocks, key: TestKey) {
    this.#world = world;
    this.#replicas = replicas;
    this.#clocks = clocks;
    this.#key = key;
  }

  /** A request of the step's, or undefined if the step makes none. */
  request(step: Step, at: number): ClearRequest | undefined {
    switch (step.kind) {
      case "new":
        return this.#add(this.#draft(step.what, step.amounts, at, BigInt(step.lifeSeconds)));
      case "jump":
        return this.#add(this.#draft("fund", step.amounts, at, BigInt(step.lifeSeconds)));
      case "die":
        return this.#add(this.#draft("buy", step.amounts, at, 3_600n));
      case "resolve":
        return this.#resolve(step, at);
      case "retry":
      case "everywhere":
      case "burst":
        return this.#pick(step.which);
      case "alter": {
        const picked = this.#pick(step.which);
        const altered = picked && { ...picked.intent, reference: `${picked.intent.reference}!` };
        return altered && this.#world.attest(altered, this.#signerOf(altered));
      }
      default:
        return undefined;
    }
  }

  nowAt(at: number): bigint {
    return BigInt(Math.floor(this.#clocks.nowMs(at) / 1000));
  }

  replica(at: number): ClearingDeps {
    const replica = this.#replicas[at];
    if (replica === undefined) throw new Error(`there is no replica ${at}`);
    return replica;
  }

  get accountId(): bigint {
    return walletAccountId(this.#key.address, 1);
  }

  #pick(index: number): ClearRequest | undefined {
    return this.requests[index % Math.max(1, this.requests.length)];
  }

  #add(intent: Intent): ClearRequest {
    const request = this.#world.attest(intent, this.#signerOf(intent));
    this.requests.push(request);
    if (intent.phase === "PENDING") this.model.noteReservation(intent);
    return request;
  }

  #signerOf(intent: Intent): TestKey | undefined {
    const houseOnly =
      intent.pendingIntentId !== "" || intent.postings.every(({ code }) => code === 1);
    return houseOnly ? undefined : this.#key;
  }

  #draft(what: What, cents: readonly number[], at: number, life: bigint): Intent {
    const own = this.accountId;
    const postings = cents.map((amount) =>
      what === "fund"
        ? posting(chart.cash, own, BigInt(amount), 1)
        : posting(own, chart.milk, BigInt(amount), 2),
    );
    const issueTime = this.nowAt(at);
    const phase = what === "reserve" ? "PENDING" : "IMMEDIATE";
    const wallet = this.#key.address;
    return this.#world.intent({ wallet, phase, postings, issueTime, expireTime: issueTime + life });
  }

  #resolve(step: Extract<Step, { kind: "resolve" }>, at: number): ClearRequest | undefined {
    const reservations = this.requests.filter(({ intent }) => intent.phase === "PENDING");
    const pending = reservations[step.which % Math.max(1, reservations.length)]?.intent;
    if (pending === undefined) return undefined;
    const share = ({ amount, ...rest }: Posting, leg: number): Posting => ({
      ...rest,
      amount: step.post ? (amount * BigInt(step.shares[leg] ?? 0)) / 100n : amount,
    });
    const issueTime = this.nowAt(at);
    return this.#add(
      this.#world.intent({
        phase: step.post ? "POST_PENDING" : "VOID_PENDING",
        wallet: pending.wallet,
        pendingIntentId: pending.intentId,
        postings: pending.postings.map(share),
        issueTime,
        expireTime: issueTime + 3_600n,
      }),
    );
  }
}

// Goal: no history of intents, retries, deaths and clock steps makes two replicas answer other than the contract.
// Method: random histories against a model of one page; every answer and every state is compared, then the balance.
describeOnEngines("Clearing against its model", (engine) => {
  let records: TestDatabase;
  let world: ClearingWorld;
  let pool: Pool;
  const replicas: ClearingDeps[] = [];
  const clocks = new Clocks();
  const { offsets } = clocks;

  const openReplica = (at: number) => world.openReplica({ nowMs: () => clocks.nowMs(at) });

  beforeAll(async () => {
    records = await openDatabase();
    world = await startClearingWorld(engine, records.databaseUrl);
    pool = createPool({ databaseUrl: records.databaseUrl, applicationName: "test" });
    replicas.push(await openReplica(0), await openReplica(1));
  });
  afterAll(async () => {
    await pool?.end();
    await world?.close();
    await records?.stop();
  });

  it("answers every call as the model", { timeout: 240_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(history, async (steps) => {
        offsets.fill(0);
        const [first] = replicas;
        if (first === undefined) throw new Error("no replica is open");
        const run = new Run(world, replicas, clocks, await world.openFunded(first, 0n));
        for (const { step, at } of steps) await take(run, step, at);
        expect(await world.available(run.accountId)).toBe(run.model.available);
      }),
      { seed: 20_261_124, numRuns: 60 },
    );
  });

  async function take(run: Run, step: Step, at: number): Promise<void> {
    if (step.kind === "clock") {
      offsets[step.replica] = (offsets[step.replica] ?? 0) + step.seconds;
    } else if (step.kind === "restart") {
      const old = replicas[step.replica];
      if (old !== undefined) await world.closeReplica(old);
      replicas[step.replica] = await openReplica(step.replica);
    } else {
      const request = run.request(step, at);
      if (request === undefined) return;
      if (step.kind === "die") await storeEvidenceOnly(run, request);
      else if (step.kind === "burst") await burst(run, request, step.times, at);
      else if (step.kind === "jump") await jump(run, request, step.lifeSeconds, at);
      else await one(run, request, at);
      if (step.kind === "everywhere") await one(run, request, 1 - at);
      await compareState(run, request, at);
    }
  }

  async function one(run: Run, request: ClearRequest, at: number): Promise<void> {
    clocks.goOn();
    const expected = run.model.clear(request, run.nowAt(at));
    const result = await resultOf(run.replica(at), request);
    expect(describe(result)).toEqual(expected);
  }

  async function jump(run: Run, request: ClearRequest, seconds: number, at: number): Promise<void> {
    offsets[at] = (offsets[at] ?? 0) + seconds;
    await one(run, request, at);
    offsets[at] = (offsets[at] ?? 0) - seconds;
    await one(run, request, at);
  }

  /** The same request many times at once, at one replica: one is first, whichever, and the rest learn what it did. */
  async function burst(run: Run, request: ClearRequest, times: number, at: number): Promise<void> {
    clocks.goOn();
    const expected = Array.from({ length: times }, () => run.model.clear(request, run.nowAt(at)));
    const results = await Promise.all(expected.map(() => resultOf(run.replica(at), request)));
    const [first, second] = expected;
    const firstReason = first?.kind === "INTENT_FAILED" ? undefined : second?.firstReason;
    const answers = results.map((result): Expected => {
      const answer = describe(result);
      // Who asks while the first records why may be told no reason; who asks later is told.
      const isUntold = answer.kind === "INTENT_FAILED" && answer.firstReason === undefined;
      return isUntold && firstReason !== undefined ? { ...answer, firstReason } : answer;
    });
    const sorted = (list: readonly Expected[]) => list.map((item) => JSON.stringify(item)).sort();
    expect(sorted(answers)).toEqual(sorted(expected));
  }

  async function storeEvidenceOnly(run: Run, request: ClearRequest): Promise<void> {
    await createEvidenceStore(pool, () => {}).store(request, new Attempt());
    run.model.storeEvidence(request);
  }

  async function compareState(run: Run, request: ClearRequest, at: number): Promise<void> {
    const { intentId } = request.intent;
    const state = await run
      .replica(1 - at)
      .clearing.read(intentId, operator, soon())
      .then(
        ({ clearing }) => clearing.state,
        (error: unknown) => (error instanceof DomainError ? error.kind : String(error)),
      );
    expect(state).toBe(run.model.stateOf(intentId));
  }
});

function describe(result: ClearResult | undefined): Expected {
  const kind = kindOf(result);
  if (result instanceof DomainError) {
    const { firstReason } = result.metadata;
    return firstReason === undefined ? { kind } : { kind, firstReason };
  }
  return result === undefined || result instanceof Error
    ? { kind }
    : { kind, replayed: result.replayed };
}
