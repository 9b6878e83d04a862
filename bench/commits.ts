import { setTimeout as sleep } from "node:timers/promises";
import type { Client, Transfer } from "tigerbeetle-node";
import { walletBytes } from "#common/address.ts";
import { transferRows } from "#common/ledger/transfer-rows.ts";
import { clearedChannel, packPostings, phaseNumbers, unhex } from "#common/postgres/evidence.ts";
import type { Pool } from "#common/postgres/pool.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import {
  alice,
  attest,
  digestIntent,
  intentOf,
  purchase,
} from "../test/support/intents/intents.ts";

/** Where intents are committed past Clearing, as it would. */
export interface Books {
  readonly ledger: Client;
  readonly pool: Pool;
  readonly batchMax: number;
  /** Transfers of an intent. */
  readonly legs: number;
}

/** Inserts evidence of many intents at once, as Clearing does. */
async function insertAll(pool: Pool, items: readonly ReturnType<typeof attested>[]): Promise<void> {
  await pool.query(
    `insert into evidence (intent_id, digest, phase, wallet, merchant_id, reference, postings,
       timeout_seconds, issue_time, expire_time, signature, signer)
     select i, d, ${phaseNumbers.IMMEDIATE}, $3, 'market-1', 'A-17', p, 0, $4, $5, $6, $7
     from unnest($1::uuid[], $2::bytea[], $8::bytea[]) as t(i, d, p)`,
    [
      items.map(({ intent }) => intent.intentId),
      items.map(({ digest }) => unhex(digest)),
      walletBytes(alice.address),
      items[0]?.intent.issueTime,
      items[0]?.intent.expireTime,
      unhex(attest(intentOf()).signature),
      walletBytes(alice.address),
      items.map(({ intent }) => packPostings(intent.postings)),
    ],
  );
}

const issueTime = BigInt(Math.floor(Date.now() / 1_000));

/** An intent of `legs` purchases. */
function attested(legs: number) {
  const intent = intentOf({
    issueTime,
    postings: Array.from({ length: legs }, () => purchase(alice.address, 1n)),
  });
  return { intent, digest: digestIntent(intent) };
}

interface Batch {
  readonly items: readonly ReturnType<typeof attested>[];
  readonly transfers: readonly Transfer[];
}

function batchOf(count: number, legs: number): Batch {
  const items = Array.from({ length: count }, () => attested(legs));
  const rows = items.flatMap(({ intent, digest }) => transferRows(intent, digest));
  return { items, transfers: rows.map(formatTransfer) };
}

/** What `commitAt` has done. */
export interface Commits {
  /** When each intent was committed, in milliseconds of `performance.now()`. */
  readonly at: ReadonlyMap<string, number>;
  readonly perSecond: number;
}

/** The most batches on their way at once: the next one need not wait for the one before. */
const batchesMax = 4;

/** Commits at a rate, in batches of at most ten milliseconds' worth, all made before the first. */
export async function commitAt(
  books: Books,
  perSecond: number,
  forSeconds: number,
): Promise<Commits> {
  const tickMs = Math.max(10, 1_000 / perSecond);
  const perTick = Math.max(1, Math.round((perSecond * tickMs) / 1_000));
  const batches = Array.from({ length: Math.ceil((forSeconds * 1_000) / tickMs) }, () =>
    batchOf(perTick, books.legs),
  );
  const at = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  const startMs = performance.now();
  for (const [tick, batch] of batches.entries()) {
    await sleep(Math.max(0, startMs + tick * tickMs - performance.now()));
    while (underWay.size >= batchesMax) await Promise.race(underWay);
    const write = commitBatch(books, batch, at).finally(() => underWay.delete(write));
    underWay.add(write);
  }
  await Promise.all(underWay);
  return { at, perSecond: (at.size * 1_000) / (performance.now() - startMs) };
}

async function commitBatch(
  { pool, ledger }: Books,
  { items, transfers }: Batch,
  at: Map<string, number>,
): Promise<void> {
  await insertAll(pool, items);
  await ledger.createTransfers([...transfers]);
  const nowMs = performance.now();
  for (const { intent } of items) at.set(intent.intentId, nowMs);
  // As Clearing does it; what is lost with PostgreSQL is a notification.
  void pool.query(`set local synchronous_commit = off; notify ${clearedChannel}`);
}

/** Stores transfers as fast as it goes. */
export async function store(
  { pool, ledger, batchMax, legs }: Books,
  transfers: number,
): Promise<void> {
  const perBatch = Math.floor(Math.min(batchMax, 4_000) / legs);
  for (let stored = 0; stored < transfers; stored += perBatch * legs) {
    const { items, transfers: rows } = batchOf(perBatch, legs);
    await insertAll(pool, items);
    await ledger.createTransfers([...rows]);
  }
}
