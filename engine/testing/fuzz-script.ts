import fc from "fast-check";
import type { Account, Transfer } from "tigerbeetle-node";
import { emptyAccount } from "./empty-rows.ts";

/**
 * Random scripts for two engines. An id is a small number that becomes `base + number`, so that
 * every script starts on untouched ids of a server that has seen many; 0 and 2^128 − 1 stay.
 */
export const MAX = (1n << 128n) - 1n;

export type AccountSpec =
  | { kind: "new"; event: Account }
  | { kind: "again"; ref: number; change: AccountChange };
type AccountChange = { field: keyof Account | "none"; value: bigint };

export type TransferSpec =
  | { kind: "new"; event: Transfer }
  | { kind: "again"; ref: number; field: keyof Transfer | "none"; value: bigint }
  | { kind: "resolve"; ref: number; event: Transfer };

export type FilterSpec = {
  account: bigint;
  userData128: bigint;
  userData64: bigint;
  userData32: number;
  ledger: number;
  code: number;
  /** Index of an event whose timestamp bounds the range, and a shift; −1 for no bound. */
  from: { ref: number; shift: bigint };
  to: { ref: number; shift: bigint };
  limit: number;
  flags: number;
};

export type Step =
  | { op: "createAccounts"; batch: AccountSpec[] }
  | { op: "createTransfers"; batches: TransferSpec[][] }
  | { op: "lookupAccounts" | "lookupTransfers"; ids: bigint[] }
  | {
      op: "getAccountTransfers" | "getAccountBalances" | "queryAccounts" | "queryTransfers";
      filter: FilterSpec;
    }
  | { op: "wait" };

const accountId = fc.oneof(
  { weight: 30, arbitrary: fc.bigInt(1n, 6n) },
  { weight: 1, arbitrary: fc.constantFrom(0n, MAX, 99n) },
);
const transferId = fc.oneof(
  { weight: 30, arbitrary: fc.bigInt(1n, 200n) },
  { weight: 1, arbitrary: fc.constantFrom(0n, MAX) },
);
const amount = fc.oneof(
  { weight: 12, arbitrary: fc.bigInt(0n, 20n) },
  { weight: 3, arbitrary: fc.constantFrom(MAX, MAX - 1n, 1n << 127n, (1n << 127n) - 1n) },
  { weight: 2, arbitrary: fc.constantFrom(1n << 64n, (1n << 64n) - 1n, 1n << 32n, 1n << 96n) },
);
const rare = <T>(usual: T, ...others: T[]) =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
const userData128 = fc.constantFrom(0n, 0n, 1n, 2n, MAX);
const userData64 = fc.constantFrom(0n, 0n, 1n, 2n, (1n << 64n) - 1n);
const userData32 = fc.constantFrom(0, 0, 1, 2, 0xffff_ffff);
const ledger = rare(1, 2, 0);
const code = rare(1, 2, 0, 65_535);
const flagSet = (weights: readonly (readonly [number, number])[], padding: readonly number[]) =>
  fc
    .tuple(
      ...weights.map(([flag, weight]) =>
        fc.oneof(
          { weight: 100 - weight, arbitrary: fc.constant(0) },
          { weight, arbitrary: fc.constant(flag) },
        ),
      ),
      fc.oneof(
        { weight: 80, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.constantFrom(...padding) },
      ),
    )
    .map((flags) => flags.reduce((all, flag) => all | flag, 0));
// Never the imported flag (16 and 256): TigerBeetle can lose its file by it, the engine refuses it.
const accountFlags = flagSet(
  [
    [1, 20],
    [2, 25],
    [4, 20],
    [8, 50],
    [32, 3],
  ],
  [64, 0x8000],
);
const transferFlags = flagSet(
  [
    [1, 25],
    [2, 35],
    [16, 6],
    [32, 6],
    [64, 3],
    [128, 3],
    [4, 2],
    [8, 2],
  ],
  [512, 0x8000],
);
const resolveFlags = fc
  .tuple(
    fc.constantFrom(4, 4, 8),
    flagSet(
      [
        [1, 25],
        [2, 1],
        [4, 1],
        [8, 1],
        [16, 1],
        [32, 1],
        [64, 1],
        [128, 1],
      ],
      [512],
    ),
  )
  .map(([a, b]) => a | b);

const account = fc.record({
  id: accountId,
  debits_pending: rare(0n, 1n),
  debits_posted: rare(0n, 1n),
  credits_pending: rare(0n, 1n),
  credits_posted: rare(0n, 1n),
  user_data_128: userData128,
  user_data_64: userData64,
  user_data_32: userData32,
  reserved: fc.oneof(
    { weight: 40, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constant(1) },
  ),
  ledger,
  code,
  flags: accountFlags,
  timestamp: fc.oneof(
    { weight: 40, arbitrary: fc.constant(0n) },
    { weight: 1, arbitrary: fc.constant(1n) },
  ),
});

const timeout = fc.oneof(
  { weight: 12, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constantFrom(100_000, 0xffff_ffff) },
);
const transfer = fc.record({
  id: transferId,
  debit_account_id: accountId,
  credit_account_id: accountId,
  amount,
  pending_id: rare(0n, 1n, MAX),
  user_data_128: userData128,
  user_data_64: userData64,
  user_data_32: userData32,
  timeout,
  ledger,
  code,
  flags: transferFlags,
  timestamp: fc.oneof(
    { weight: 60, arbitrary: fc.constant(0n) },
    { weight: 1, arbitrary: fc.constant(1n) },
  ),
});
const sane = transfer.map((event) => ({
  ...event,
  pending_id: 0n,
  timeout: (event.flags & 2) !== 0 ? event.timeout : 0,
  flags: (event.flags & 2) !== 0 ? event.flags & ~12 : event.flags & ~(12 | 64 | 128),
}));
const resolution = fc.record({
  id: transferId,
  debit_account_id: fc.oneof(
    { weight: 10, arbitrary: fc.constant(0n) },
    { weight: 1, arbitrary: accountId },
  ),
  credit_account_id: fc.oneof(
    { weight: 10, arbitrary: fc.constant(0n) },
    { weight: 1, arbitrary: accountId },
  ),
  amount: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(0n, MAX) },
    { weight: 2, arbitrary: fc.bigInt(0n, 20n) },
  ),
  pending_id: fc.oneof(
    { weight: 20, arbitrary: fc.constant(1n) },
    { weight: 1, arbitrary: fc.constantFrom(0n, MAX, 7n) },
  ),
  user_data_128: userData128,
  user_data_64: userData64,
  user_data_32: userData32,
  timeout: rare(0, 1),
  ledger: rare(0, 1, 2),
  code: rare(0, 1, 2),
  flags: resolveFlags,
  timestamp: rare(0n, 0n, 1n),
});
const transferFields: readonly (keyof Transfer)[] = [
  "flags",
  "pending_id",
  "timeout",
  "debit_account_id",
  "credit_account_id",
  "amount",
  "user_data_128",
  "user_data_64",
  "user_data_32",
  "ledger",
  "code",
];
const accountFields: readonly (keyof Account)[] = [
  "flags",
  "user_data_128",
  "user_data_64",
  "user_data_32",
  "ledger",
  "code",
];
const ref = fc.nat(1000);
const smallValue = fc.bigInt(0n, 12n);

const accountSpec: fc.Arbitrary<AccountSpec> = fc.oneof(
  { weight: 4, arbitrary: account.map((event) => ({ kind: "new" as const, event })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(ref, fc.constantFrom("none" as const, ...accountFields), smallValue)
      .map(([r, field, value]) => ({ kind: "again" as const, ref: r, change: { field, value } })),
  },
);
const transferSpec: fc.Arbitrary<TransferSpec> = fc.oneof(
  { weight: 9, arbitrary: sane.map((event) => ({ kind: "new" as const, event })) },
  { weight: 2, arbitrary: transfer.map((event) => ({ kind: "new" as const, event })) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        ref,
        fc.constantFrom("none" as const, "none" as const, ...transferFields),
        fc.oneof(smallValue, fc.constant(MAX)),
      )
      .map(([r, field, value]) => ({ kind: "again" as const, ref: r, field, value })),
  },
  {
    weight: 5,
    arbitrary: fc
      .tuple(ref, resolution)
      .map(([r, event]) => ({ kind: "resolve" as const, ref: r, event })),
  },
);

const bound = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ ref: -1, shift: 0n }) },
  { weight: 2, arbitrary: fc.record({ ref, shift: fc.constantFrom(-1n, 0n, 1n) }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      { ref: -2, shift: 1n << 63n },
      { ref: -2, shift: (1n << 64n) - 1n },
      { ref: -2, shift: (1n << 63n) - 1n },
    ),
  },
);
const filter: fc.Arbitrary<FilterSpec> = fc.record({
  account: accountId,
  userData128: fc.constantFrom(0n, 0n, 0n, 1n, 2n, MAX),
  userData64: fc.constantFrom(0n, 0n, 0n, 1n, 2n, (1n << 64n) - 1n),
  userData32: fc.constantFrom(0, 0, 0, 1, 2, 0xffff_ffff),
  ledger: fc.constantFrom(0, 0, 1, 2, 3),
  code: fc.constantFrom(0, 0, 0, 1, 2, 65_535),
  from: bound,
  to: bound,
  limit: fc.constantFrom(1, 2, 3, 10, 100, 100, 253, 0),
  flags: fc.oneof(
    { weight: 20, arbitrary: fc.nat(7) },
    { weight: 1, arbitrary: fc.constantFrom(8, 0x8000_0000) },
  ),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant("createAccounts" as const),
      batch: fc.array(accountSpec, { minLength: 1, maxLength: 8 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      op: fc.constant("createTransfers" as const),
      batches: fc.array(fc.array(transferSpec, { minLength: 0, maxLength: 24 }), {
        minLength: 1,
        maxLength: 3,
      }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constantFrom("lookupAccounts" as const, "lookupTransfers" as const),
      ids: fc.array(transferId, { maxLength: 20 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constantFrom(
        "getAccountTransfers" as const,
        "getAccountBalances" as const,
        "queryAccounts" as const,
        "queryTransfers" as const,
      ),
      filter,
    }),
  },
);

/** The accounts with which most scripts begin, so that transfers have something to move. */
const opening: fc.Arbitrary<Step> = fc
  .array(
    fc.record({
      user_data_128: userData128,
      user_data_64: userData64,
      user_data_32: userData32,
      flags: accountFlags,
    }),
    { minLength: 6, maxLength: 6 },
  )
  .map((accounts) => ({
    op: "createAccounts" as const,
    batch: accounts.map((rest, i) => ({
      kind: "new" as const,
      event: {
        ...emptyAccount(BigInt(i + 1)),
        ledger: i === 5 ? 2 : 1,
        code: 1,
        ...rest,
        flags: (rest.flags & 6) === 6 ? rest.flags & 8 : rest.flags & ~1 & 63,
      },
    })),
  }));

/** A script: accounts first, then anything. */
export const script: fc.Arbitrary<Step[]> = fc
  .tuple(opening, fc.array(step, { minLength: 4, maxLength: 24 }))
  .map(([first, rest]) => [first, ...rest]);

/** A script in which pending transfers of one second expire during a wait in the middle. */
export const expiringScript: fc.Arbitrary<Step[]> = fc
  .tuple(
    opening,
    fc.array(step, { minLength: 2, maxLength: 6 }),
    fc.array(step, { minLength: 3, maxLength: 10 }),
  )
  .map(([first, before, after]) => [
    first,
    ...before.map(shorten),
    { op: "wait" as const },
    ...after,
  ]);

/** Gives every pending transfer a timeout of one second, unless it has none to spare. */
function shorten(s: Step): Step {
  if (s.op !== "createTransfers") return s;
  const shortened = (spec: TransferSpec): TransferSpec =>
    spec.kind === "new" && (spec.event.flags & 2) !== 0 && spec.event.timeout === 0
      ? { ...spec, event: { ...spec.event, timeout: 1 } }
      : spec;
  return { ...s, batches: s.batches.map((batch) => batch.map(shortened)) };
}
