import { type Client, QueryFilterFlags, type Transfer, TransferFlags } from "tigerbeetle-node";

/** An event as a full scan of the ledger tells it: what every stream is held against. */
export interface TrueEvent {
  readonly eventId: string;
  readonly type: "CLEARED" | "PENDED" | "POSTED" | "VOIDED" | "EXPIRED" | "ACCOUNT_OPENED";
  /** Its place: nanoseconds, then 0 for commits and 1 for expiries, then the timestamp of the last pending leg. */
  readonly place: readonly [bigint, number, bigint];
  readonly transfers: readonly Transfer[];
  /** Of ACCOUNT_OPENED. */
  readonly accountId: bigint | undefined;
}

const second = 1_000_000_000n;

/**
 * Every event of a ledger up to an instant that the ledger told, in order: slow, and plain enough to be believed.
 * Shares nothing with the code that it judges.
 */
export async function scanEvents(
  client: Client,
  options: { clusterId: bigint; through: bigint; batchMax: number },
): Promise<TrueEvent[]> {
  const { clusterId, through, batchMax } = options;
  const transfers = await scan((filter) => client.queryTransfers(filter), through, batchMax);
  const accounts = await scan((filter) => client.queryAccounts(filter), through, batchMax);
  const resolved = new Map<bigint, bigint>();
  for (const row of transfers) {
    if (row.pending_id !== 0n) resolved.set(row.pending_id, row.timestamp);
  }
  const events: TrueEvent[] = accounts.map(({ id, timestamp }) => ({
    eventId: `${clusterId}-${timestamp}`,
    type: "ACCOUNT_OPENED",
    place: [timestamp, 0, 0n],
    transfers: [],
    accountId: id,
  }));
  let chain: Transfer[] = [];
  for (const row of transfers) {
    chain.push(row);
    if ((row.flags & TransferFlags.linked) !== 0) continue;
    events.push(...eventsOfChain(clusterId, chain, resolved, through));
    chain = [];
  }
  return events.sort(comparePlaces);
}

function eventsOfChain(
  clusterId: bigint,
  chain: readonly Transfer[],
  resolved: ReadonlyMap<bigint, bigint>,
  through: bigint,
): TrueEvent[] {
  const last = chain.at(-1);
  const first = chain[0];
  if (last === undefined || first === undefined) return [];
  const base = { transfers: chain, accountId: undefined };
  const events: TrueEvent[] = [
    {
      ...base,
      eventId: `${clusterId}-${last.timestamp}`,
      type: typeOf(first.flags),
      place: [last.timestamp, 0, 0n],
    },
  ];
  const expiry = last.timestamp + BigInt(last.timeout) * second;
  const open = chain.filter(({ id }) => !resolved.has(id));
  if (last.timeout === 0 || open.length === 0 || expiry > through) return events;
  events.push({
    ...base,
    transfers: open,
    eventId: `${clusterId}-${expiry}-EXPIRY-${last.timestamp}`,
    type: "EXPIRED",
    place: [expiry, 1, last.timestamp],
  });
  return events;
}

function typeOf(flags: number): TrueEvent["type"] {
  if ((flags & TransferFlags.pending) !== 0) return "PENDED";
  if ((flags & TransferFlags.post_pending_transfer) !== 0) return "POSTED";
  if ((flags & TransferFlags.void_pending_transfer) !== 0) return "VOIDED";
  return "CLEARED";
}

export function comparePlaces(a: Pick<TrueEvent, "place">, b: Pick<TrueEvent, "place">): number {
  for (const index of [0, 1, 2] as const) {
    if (a.place[index] !== b.place[index]) return a.place[index] < b.place[index] ? -1 : 1;
  }
  return 0;
}

type Query<Row> = (filter: Parameters<Client["queryTransfers"]>[0]) => Promise<Row[]>;

async function scan<Row extends { readonly timestamp: bigint }>(
  query: Query<Row>,
  through: bigint,
  limit: number,
): Promise<Row[]> {
  const found: Row[] = [];
  for (let timestampMin = 1n; ; ) {
    const page = await query({
      user_data_128: 0n,
      user_data_64: 0n,
      user_data_32: 0,
      ledger: 0,
      code: 0,
      timestamp_min: timestampMin,
      timestamp_max: through,
      limit,
      flags: QueryFilterFlags.none,
    });
    found.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < limit || last.timestamp >= through) return found;
    timestampMin = last.timestamp + 1n;
  }
}
