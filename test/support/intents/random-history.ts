import { setTimeout as sleep } from "node:timers/promises";
import type { Posting } from "#common/intent/intent.ts";
import type { LedgerModel } from "../ledger/ledger-model.ts";
import { chart, funding, houseIntentOf, intentOf, posting, purchase, transfer } from "./intents.ts";
import type { Seed, Seeded } from "./seed.ts";

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface HistoryOptions {
  readonly seed: Seed;
  readonly model: LedgerModel;
  readonly random: () => number;
  /** Opened before. */
  readonly wallets: readonly string[];
  /** How long to go on, in milliseconds: longer than a second, or nothing ever expires. */
  readonly durationMs: number;
  /** It goes on beyond that until so many are written: on a slow machine too everything comes to pass. Default 0. */
  readonly chainsMin?: number;
  /** The longest pause between two chains, in milliseconds. */
  readonly pauseMsMax: number;
}

const goods = [chart.milk, chart.eggs, chart.bread];

/**
 * Writes whatever may happen to a ledger, one chain after another, and tells the model: fundings, purchases of
 * several legs, transfers, reservations with and without an end, their posts in full, in part and of nothing, voids,
 * and chains that the ledger refuses. Several may write to one ledger, each with reservations of its own.
 */
export async function writeRandomHistory(options: HistoryOptions): Promise<void> {
  const { seed, model, random, durationMs, chainsMin = 0 } = options;
  const open: Seeded[] = [];
  const endMs = Date.now() + durationMs;
  for (let chains = 0; Date.now() < endMs || chains < chainsMin; chains += 1) {
    const seeded = await seed.clear(nextIntent(options, open));
    model.add(seeded);
    if (seeded.committed && seeded.intent.phase === "PENDING") open.push(seeded);
    const pauseMs = Math.floor(random() * (options.pauseMsMax + 1));
    if (pauseMs > 0) await sleep(pauseMs);
  }
}

function nextIntent(options: HistoryOptions, open: Seeded[]) {
  const { random, wallets } = options;
  const pick = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(random() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  };
  const amount = () => 1n + BigInt(Math.floor(random() * 500));
  const wallet = pick(wallets);
  const purchases = (): Posting[] =>
    Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
      purchase(wallet, amount(), pick(goods)),
    );
  const kind = random();
  if (kind < 0.2) return houseIntentOf({ postings: [funding(wallet, 5n * amount())] });
  if (kind < 0.35) return intentOf({ wallet, postings: purchases() });
  if (kind < 0.45) {
    const other = pick(wallets.filter((candidate) => candidate !== wallet));
    return intentOf({ wallet, postings: [transfer(wallet, other, amount())] });
  }
  if (kind < 0.5) {
    const [debitAccountId, creditAccountId] = [chart.fees, chart.stripe];
    const fee = posting({ debitAccountId, creditAccountId, amount: amount(), code: 11 });
    return houseIntentOf({ postings: [fee] });
  }
  if (kind < 0.75 || open.length === 0) {
    const timeoutSeconds = Math.floor(random() * 4);
    return intentOf({ wallet, phase: "PENDING", timeoutSeconds, postings: purchases() });
  }
  return resolution(random, open);
}

/** Posts or voids a reservation, which may have expired meanwhile: then the ledger refuses. */
function resolution(random: () => number, open: Seeded[]) {
  const [pending] = open.splice(Math.floor(random() * open.length), 1);
  if (pending === undefined) throw new Error("nothing is open");
  const { intentId, postings } = pending.intent;
  const fields = { pendingIntentId: intentId };
  if (random() < 0.4) return houseIntentOf({ ...fields, phase: "VOID_PENDING", postings });
  const share = halves(random);
  return houseIntentOf({
    ...fields,
    phase: "POST_PENDING",
    postings: postings.map((item) => ({ ...item, amount: (item.amount * share) / 2n })),
  });
}

/** Nothing, half or all of it, in halves. */
function halves(random: () => number): bigint {
  return BigInt(Math.floor(random() * 3));
}
