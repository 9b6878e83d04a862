import {
  type Account,
  type AccountFilter,
  type Client,
  CreateAccountStatus,
  CreateTransferStatus,
  type QueryFilter,
  type Transfer,
  TransferFlags,
} from "tigerbeetle-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type BehaviourCheck, type BehaviourStep, behaviours } from "./testing/behaviours.ts";
import { emptyAccount, emptyTransfer } from "./testing/empty-rows.ts";
import {
  startEmbedded,
  startTigerBeetle,
  type TestEngine,
  tigerbeetleBinary,
} from "./testing/engines.ts";
import { MAX } from "./testing/fuzz-script.ts";

const engines = [
  { name: "the embedded engine", start: async () => startEmbedded(), skip: false },
  {
    name: "TigerBeetle",
    start: () => startTigerBeetle("development"),
    skip: tigerbeetleBinary() === undefined,
  },
];

const patience = { timeout: 20_000 };

let cases = 0n;

/** Moves a behaviour's small ids to ids nobody has used. */
function mover(): (id: bigint) => bigint {
  cases += 1n;
  const base = (BigInt(Date.now()) << 64n) + (cases << 32n);
  return (id) => (id === 0n || id === MAX ? id : base + id);
}

function account(move: (id: bigint) => bigint, fields: Partial<Account>): Account {
  const event = { ...emptyAccount(0n), ledger: 1, code: 1, ...fields };
  return { ...event, id: move(event.id) };
}

function transfer(move: (id: bigint) => bigint, fields: Partial<Transfer>): Transfer {
  const event = { ...emptyTransfer(0n), ledger: 1, code: 1, ...fields };
  return {
    ...event,
    id: move(event.id),
    debit_account_id: move(event.debit_account_id),
    credit_account_id: move(event.credit_account_id),
    pending_id: move(event.pending_id),
  };
}

const numbers = (record: Readonly<Record<number, unknown>>): bigint[] =>
  Object.keys(record).map(BigInt);

async function runStep(
  client: Client,
  move: (id: bigint) => bigint,
  step: BehaviourStep,
  beganMs: number,
) {
  if ("accounts" in step) {
    const results = await client.createAccounts(step.accounts.map(([row]) => account(move, row)));
    const names = results.map((result) => CreateAccountStatus[result.status]);
    expect(names).toEqual(step.accounts.map(([, status]) => status));
  } else if ("transfers" in step) {
    const batch = step.transfers.map(([row]) => transfer(move, row));
    const results = await client.createTransfers(batch);
    const names = results.map((result) => CreateTransferStatus[result.status]);
    expect(names).toEqual(step.transfers.map(([, status]) => status));
  } else if ("atFirst" in step) {
    await runCheck(client, move, step.atFirst).catch((error: unknown) => {
      if (performance.now() - beganMs < 1_000) throw error;
    });
  } else if ("eventually" in step) {
    await vi.waitFor(() => runCheck(client, move, step.eventually), patience);
  } else {
    await runCheck(client, move, step);
  }
}

async function runCheck(client: Client, move: (id: bigint) => bigint, step: BehaviourCheck) {
  if ("balances" in step || "closed" in step) {
    const expected = "balances" in step ? step.balances : step.closed;
    const found = await client.lookupAccounts(numbers(expected).map(move));
    for (const [id, value] of Object.entries(expected)) {
      const row = found.find((a) => a.id === move(BigInt(id)));
      if (value === null) expect(row).toBeUndefined();
      else if (typeof value === "boolean") expect((row?.flags ?? 0) & 32, id).toBe(value ? 32 : 0);
      else {
        const { debits_pending, debits_posted, credits_pending, credits_posted } = row ?? {};
        expect([debits_pending, debits_posted, credits_pending, credits_posted], id).toEqual(value);
      }
    }
    return;
  }
  const expected: Readonly<Record<number, bigint | null | Partial<Transfer>>> =
    "amounts" in step ? step.amounts : step.stored;
  const found = await client.lookupTransfers(numbers(expected).map(move));
  for (const [id, value] of Object.entries(expected)) {
    const row = found.find((t) => t.id === move(BigInt(id)));
    if (value === null || typeof value === "bigint") expect(row?.amount ?? null, id).toBe(value);
    else {
      const fields = { ...value };
      if (fields.debit_account_id) fields.debit_account_id = move(fields.debit_account_id);
      if (fields.credit_account_id) fields.credit_account_id = move(fields.credit_account_id);
      if (fields.pending_id) fields.pending_id = move(fields.pending_id);
      expect(row).toMatchObject(fields);
    }
  }
}

describe.each(engines)("$name", ({ start, skip }) => {
  let engine: TestEngine;
  let client: Client;
  beforeAll(async () => {
    if (skip) return;
    engine = await start();
    client = engine.client;
  });
  afterAll(async () => {
    await engine?.stop();
  });

  it.skipIf(skip).each(behaviours)("$name", { timeout: 60_000 }, async ({ steps }) => {
    const move = mover();
    const beganMs = performance.now();
    for (const step of steps) await runStep(client, move, step, beganMs);
  });

  it.skipIf(skip)(
    "answers lookups in order, with repetitions, without what is missing",
    async () => {
      const move = mover();
      await client.createAccounts([account(move, { id: 1n }), account(move, { id: 2n })]);
      const ids = [2n, 9n, 1n, 2n, 0n, MAX].map(move);
      const found = await client.lookupAccounts(ids);
      expect(found.map((a) => a.id)).toEqual([2n, 1n, 2n].map(move));
      await expect(client.lookupTransfers([])).resolves.toEqual([]);
      await expect(client.createTransfers([])).resolves.toEqual([]);
      await expect(client.createAccounts([])).resolves.toEqual([]);
    },
  );

  it.skipIf(skip)("gives every event its own timestamp, and exists the first one's", async () => {
    const move = mover();
    const first = await client.createAccounts([
      account(move, { id: 1n }),
      account(move, { id: 0n }),
      account(move, { id: 2n }),
    ]);
    const base = first[0]?.timestamp ?? 0n;
    expect(first.map((r) => r.timestamp - base)).toEqual([0n, 1n, 2n]);
    const again = await client.createAccounts([
      account(move, { id: 2n }),
      account(move, { id: 0n }),
      account(move, { id: 1n }),
    ]);
    expect(again[0]?.timestamp).toBe(base + 2n);
    expect(again[2]?.timestamp).toBe(base);
    expect(again[1]?.timestamp).toBeGreaterThan(base + 2n);
    const [probe] = await client.createTransfers([transfer(move, { id: 0n })]);
    expect(probe?.status).toBe(CreateTransferStatus.id_must_not_be_zero);
    expect(probe?.timestamp).toBeGreaterThan(again[1]?.timestamp ?? 0n);
  });

  describe.skipIf(skip)("queries", () => {
    const move = mover();
    const t0: Transfer[] = [];
    const filter: QueryFilter = {
      user_data_128: 0n,
      user_data_64: 0n,
      user_data_32: 0,
      ledger: 0,
      code: 0,
      timestamp_min: 0n,
      timestamp_max: 0n,
      limit: 200,
      flags: 0,
    };
    const accountFilter = (fields: Partial<AccountFilter>): AccountFilter => {
      const { ledger: _, ...rest } = filter;
      return { ...rest, account_id: move(1n), flags: 3, ...fields };
    };
    const short = (rows: { timestamp: bigint }[]): number[] =>
      rows.map((row) => t0.findIndex((t) => t.timestamp === row.timestamp) + 1);

    let seeded = false;
    const seed = async (): Promise<void> => {
      if (seeded) return;
      seeded = true;
      const HISTORY = 8;
      await client.createAccounts([
        account(move, { id: 1n, flags: HISTORY }),
        account(move, { id: 2n, flags: HISTORY }),
        account(move, { id: 3n }),
      ]);
      const pair = (d: bigint, c: bigint) => ({ debit_account_id: d, credit_account_id: c });
      const rows: Partial<Transfer>[] = [
        {
          ...pair(1n, 2n),
          amount: 10n,
          user_data_128: 1000n,
          user_data_64: 10n,
          user_data_32: 1,
          code: 1,
        },
        {
          ...pair(2n, 1n),
          amount: 3n,
          user_data_128: 1000n,
          user_data_64: 20n,
          user_data_32: 2,
          code: 2,
        },
        {
          ...pair(1n, 3n),
          amount: 2n,
          user_data_128: 2000n,
          user_data_64: 10n,
          user_data_32: 1,
          code: 2,
        },
        {
          ...pair(1n, 2n),
          amount: 5n,
          user_data_128: 1000n,
          user_data_64: 10n,
          flags: TransferFlags.pending,
        },
        { pending_id: 4n, amount: 4n, flags: TransferFlags.post_pending_transfer },
        { ...pair(3n, 2n), amount: 1n },
      ];
      const batch = rows.map((row, i) => transfer(move, { id: BigInt(i + 1), ...row }));
      const results = await client.createTransfers(batch);
      expect(results.every((r) => r.status === CreateTransferStatus.created)).toBe(true);
      t0.push(...(await client.lookupTransfers(batch.map((t) => t.id))));
      filter.timestamp_min = t0[0]?.timestamp ?? 0n;
    };

    it("finds an account's debits, credits or both, in both directions, up to the limit", async () => {
      await seed();
      const get = async (fields: Partial<AccountFilter>) =>
        short(await client.getAccountTransfers(accountFilter(fields)));
      expect(await get({})).toEqual([1, 2, 3, 4, 5]);
      expect(await get({ flags: 1 })).toEqual([1, 3, 4, 5]);
      expect(await get({ flags: 2 })).toEqual([2]);
      expect(await get({ flags: 7 })).toEqual([5, 4, 3, 2, 1]);
      expect(await get({ flags: 5, limit: 2 })).toEqual([5, 4]);
      expect(await get({ limit: 2 })).toEqual([1, 2]);
      expect(await get({ user_data_128: 1000n })).toEqual([1, 2, 4, 5]);
      expect(await get({ user_data_128: 1000n, code: 1 })).toEqual([1, 4, 5]);
      expect(await get({ user_data_64: 10n, user_data_32: 1 })).toEqual([1, 3]);
      expect(await get({ user_data_64: 11n })).toEqual([]);
      expect(await get({ account_id: move(99n) })).toEqual([]);
    });

    it("bounds timestamps on both ends, inclusively", async () => {
      await seed();
      const [, second, , fourth] = t0.map((t) => t.timestamp);
      if (!second || !fourth) throw new Error("no transfers");
      const range = { timestamp_min: second, timestamp_max: fourth };
      expect(short(await client.getAccountTransfers(accountFilter(range)))).toEqual([2, 3, 4]);
      expect(short(await client.queryTransfers({ ...filter, ...range }))).toEqual([2, 3, 4]);
      const open = { timestamp_min: second + 1n, timestamp_max: fourth - 1n };
      expect(short(await client.queryTransfers({ ...filter, ...open }))).toEqual([3]);
      const one = { timestamp_min: second, timestamp_max: second };
      expect(short(await client.queryTransfers({ ...filter, ...one }))).toEqual([2]);
    });

    it("combines the conditions of a query", async () => {
      await seed();
      const get = async (fields: Partial<QueryFilter>) =>
        short(await client.queryTransfers({ ...filter, ...fields }));
      expect(await get({})).toEqual([1, 2, 3, 4, 5, 6]);
      expect(await get({ flags: 1, limit: 3 })).toEqual([6, 5, 4]);
      expect(await get({ user_data_128: 1000n, user_data_64: 10n })).toEqual([1, 4, 5]);
      expect(await get({ user_data_32: 1, code: 2, ledger: 1 })).toEqual([3]);
      expect(await get({ ledger: 7 })).toEqual([]);
      expect(await get({ code: 2, flags: 1 })).toEqual([3, 2]);
    });

    it("keeps the balances after each transfer of an account with history", async () => {
      await seed();
      const rows = await client.getAccountBalances(accountFilter({}));
      expect(short(rows)).toEqual([1, 2, 3, 4, 5]);
      expect(rows.map((r) => [r.debits_pending, r.debits_posted, r.credits_posted])).toEqual([
        [0n, 10n, 0n],
        [0n, 10n, 3n],
        [0n, 12n, 3n],
        [5n, 12n, 3n],
        [0n, 16n, 3n],
      ]);
      const last = await client.getAccountBalances(accountFilter({ flags: 7, limit: 1 }));
      expect(short(last)).toEqual([5]);
      expect(await client.getAccountBalances(accountFilter({ account_id: move(3n) }))).toEqual([]);
      expect(await client.getAccountBalances(accountFilter({ account_id: move(9n) }))).toEqual([]);
    });

    it("answers an invalid filter with nothing", async () => {
      await seed();
      const now = filter.timestamp_min;
      const invalid: Partial<AccountFilter & QueryFilter>[] = [
        { limit: 0 },
        { flags: 8 },
        { flags: 0xffff_fff0 },
        { timestamp_min: 1n << 63n },
        { timestamp_max: (1n << 64n) - 1n },
        { timestamp_min: now + 1n, timestamp_max: now },
      ];
      for (const fields of invalid) {
        const flags = fields.flags ?? 3;
        const queryFlags = fields.flags ?? 0;
        expect(await client.getAccountTransfers(accountFilter({ ...fields, flags }))).toEqual([]);
        expect(await client.getAccountBalances(accountFilter({ ...fields, flags }))).toEqual([]);
        expect(await client.queryTransfers({ ...filter, ...fields, flags: queryFlags })).toEqual(
          [],
        );
        expect(await client.queryAccounts({ ...filter, ...fields, flags: queryFlags })).toEqual([]);
      }
      for (const account_id of [0n, MAX]) {
        expect(await client.getAccountTransfers(accountFilter({ account_id }))).toEqual([]);
      }
      expect(await client.getAccountTransfers(accountFilter({ flags: 0 }))).toEqual([]);
      expect(await client.getAccountTransfers(accountFilter({ flags: 4 }))).toEqual([]);
      expect(await client.queryTransfers({ ...filter, flags: 2 })).toEqual([]);
    });
  });

  describe.skipIf(skip)("arguments", () => {
    const bad: readonly (readonly [string, (c: Client) => Promise<unknown>])[] = [
      ["id must be positive", (c) => c.createAccounts([emptyAccount(-1n)])],
      ["id must fit in 128 bits", (c) => c.createTransfers([emptyTransfer(1n << 128n)])],
      ["id must be a BigInt", (c) => c.createTransfers([{ ...emptyTransfer(1n), id: 1 as never }])],
      [
        "user_data_64 conversion was lossy",
        (c) => c.createTransfers([{ ...emptyTransfer(1n), user_data_64: -1n }]),
      ],
      [
        "user_data_64 must be an unsigned 64-bit BigInt",
        (c) => c.createTransfers([{ ...emptyTransfer(1n), user_data_64: 1 as never }]),
      ],
      ["code must be a u16.", (c) => c.createTransfers([{ ...emptyTransfer(1n), code: 65_536 }])],
      [
        "ledger must be a number",
        (c) => c.createTransfers([{ ...emptyTransfer(1n), ledger: 1n as never }]),
      ],
      ["lookup must be a BigInt", (c) => c.lookupAccounts(["1" as never])],
      ["Array argument must be an [object Array].", (c) => c.createAccounts({} as never)],
      ["account_id must be a BigInt", (c) => c.getAccountTransfers({} as never)],
      ["user_data_128 must be a BigInt", (c) => c.queryTransfers({} as never)],
      ["Cannot convert undefined or null to object", (c) => c.queryTransfers(null as never)],
    ];
    it.each(bad)("refuses: %s", async (message, call) => {
      await expect(call(client)).rejects.toThrow(message);
    });

    it("takes numbers modulo 2^32, as the native client does", async () => {
      const move = mover();
      const row = account(move, { id: 1n, ledger: 2 ** 32 + 1, user_data_32: -1 });
      await client.createAccounts([row]);
      const [stored] = await client.lookupAccounts([row.id]);
      expect(stored).toMatchObject({ ledger: 1, user_data_32: 0xffff_ffff });
    });

    it("refuses more than 8189 events and limits", async () => {
      const ids = Array.from({ length: 8190 }, () => 1n);
      await expect(client.lookupAccounts(ids)).rejects.toMatchObject({
        name: "RequestError",
        code: "ERR_TOO_MUCH_DATA",
      });
      const filter = { ...emptyTransfer(0n), limit: 8190, timestamp_min: 0n, timestamp_max: 0n };
      await expect(client.queryTransfers(filter)).rejects.toMatchObject({
        code: "ERR_TOO_MUCH_DATA",
      });
    });
  });

  it.skipIf(skip)(
    "answers or rejects what waits when it is destroyed, and rejects what follows",
    async () => {
      const own = engine.connect();
      const waiting = [
        own.lookupAccounts([1n]),
        own.createTransfers([emptyTransfer(0n)]),
        own.lookupTransfers([1n]),
      ];
      own.destroy();
      own.destroy();
      for (const settled of await Promise.allSettled(waiting)) {
        if (settled.status === "fulfilled") continue;
        expect(settled.reason).toMatchObject({ name: "RequestError", code: "ERR_CLIENT_CLOSED" });
      }
      await expect(own.lookupAccounts([1n])).rejects.toMatchObject({
        code: "ERR_CLIENT_CLOSED",
      });
    },
  );
});
