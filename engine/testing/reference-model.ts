import {
  type Account,
  type AccountBalance,
  type AccountFilter,
  AccountFilterFlags,
  AccountFlags,
  CreateAccountStatus as AccountStatus,
  type Client,
  type CreateAccountResult,
  type CreateTransferResult,
  TransferFlags as F,
  type QueryFilter,
  QueryFilterFlags,
  type Transfer,
  CreateTransferStatus as TransferStatus,
} from "tigerbeetle-node";

/**
 * A second, naive implementation of the same rules: bigints, maps and full scans, nothing shared
 * with the engine. The fuzzer compares the engine with it where no TigerBeetle is installed.
 */
const MAX = (1n << 128n) - 1n;
const TIME_MAX = (1n << 63n) - 1n;

type Pending = "pending" | "posted" | "voided" | "expired";

type State = {
  accounts: Map<bigint, Account>;
  transfers: Map<bigint, Transfer>;
  failed: Set<bigint>;
  pendings: Map<bigint, Pending>;
  balances: Map<string, AccountBalance>;
};

function clone(state: State): State {
  return {
    accounts: new Map([...state.accounts].map(([id, account]) => [id, { ...account }])),
    transfers: new Map(state.transfers),
    failed: new Set(state.failed),
    pendings: new Map(state.pendings),
    balances: new Map(state.balances),
  };
}

const has = (flags: number, flag: number): boolean => (flags & flag) !== 0;

type Event = { flags: number; timestamp: bigint; id: bigint };
type Outcome = { timestamp: bigint; status: number };
type Rule<E> = (state: State, event: E, timestamp: bigint) => [number, bigint];

class Model {
  state: State = {
    accounts: new Map(),
    transfers: new Map(),
    failed: new Set(),
    pendings: new Map(),
    balances: new Map(),
  };
  readonly #now: () => bigint;
  #last = 0n;

  constructor(now: () => bigint) {
    this.#now = now;
  }

  expire(): void {
    const time = this.#now() > this.#last ? this.#now() : this.#last;
    for (const [id, status] of this.state.pendings) {
      const p = must(this.state.transfers.get(id));
      if (status !== "pending" || p.timeout === 0) continue;
      if (p.timestamp + BigInt(p.timeout) * 1_000_000_000n > time) continue;
      release(this.state, p, true);
      this.state.pendings.set(id, "expired");
    }
  }

  run<E extends Event>(batch: E[], rule: Rule<E>, transient: ReadonlySet<number>): Outcome[] {
    this.expire();
    const base = this.#now() > this.#last ? this.#now() : this.#last + 1n;
    const results: Outcome[] = [];
    let start = -1;
    let broken = false;
    let before: State | undefined;
    for (const [i, event] of batch.entries()) {
      const at = base + 1n + BigInt(i);
      const linked = has(event.flags, 1);
      if (linked && start < 0) {
        start = i;
        before = clone(this.state);
      }
      let result: [number, bigint];
      if (linked && i === batch.length - 1) result = [2, at];
      else if (broken) result = [1, at];
      else if (event.timestamp !== 0n) result = [3, at];
      else result = rule(this.state, event, at);
      results.push({ status: result[0], timestamp: result[1] });
      if (result[0] !== AccountStatus.created) {
        if (start >= 0 && !broken) {
          broken = true;
          this.state = must(before);
          for (let j = start; j < i; j++) must(results[j]).status = 1;
        }
        if (transient.has(result[0])) this.state.failed.add(event.id);
      }
      if (start >= 0 && (!linked || result[0] === 2)) {
        start = -1;
        broken = false;
      }
    }
    this.#last = base + BigInt(batch.length);
    return results.map((result) => ({ ...result, reserved: 0 }));
  }

  transfersOf(filter: AccountFilter): Transfer[] {
    const flags = filter.flags;
    const valid =
      filter.account_id !== 0n &&
      filter.account_id !== MAX &&
      validRange(filter) &&
      has(flags, AccountFilterFlags.debits | AccountFilterFlags.credits) &&
      (flags & ~7) === 0;
    if (!valid) return [];
    const { account_id } = filter;
    const rows = [...this.state.transfers.values()].filter(
      (t) =>
        (has(flags, AccountFilterFlags.debits) && t.debit_account_id === account_id) ||
        (has(flags, AccountFilterFlags.credits) && t.credit_account_id === account_id),
    );
    return cut(
      rows.filter((t) => matches(t, { ...filter, ledger: 0 })),
      filter,
      has(flags, AccountFilterFlags.reversed),
    );
  }

  balancesOf(filter: AccountFilter): AccountBalance[] {
    const account = this.state.accounts.get(filter.account_id);
    if (!account || !has(account.flags, AccountFlags.history)) return [];
    return this.transfersOf(filter).map((t) =>
      must(this.state.balances.get(`${account.id} ${t.timestamp}`)),
    );
  }
}

function query<R extends Account | Transfer>(rows: Iterable<R>, filter: QueryFilter): R[] {
  if (!validRange(filter) || (filter.flags & ~1) !== 0) return [];
  return cut(
    [...rows].filter((row) => matches(row, filter)),
    filter,
    has(filter.flags, QueryFilterFlags.reversed),
  );
}

/** Creates the model; `now` is its clock in nanoseconds. */
export function createModelClient(now: () => bigint): Client {
  const model = new Model(now);
  const answer = async <R>(work: (state: State) => R): Promise<R> => {
    model.expire();
    return structuredClone(work(model.state));
  };
  return {
    createAccounts: async (batch) =>
      model.run(batch, createAccount, new Set()) as unknown as CreateAccountResult[],
    createTransfers: async (batch) =>
      model.run(batch, createTransfer, TRANSIENT) as unknown as CreateTransferResult[],
    lookupAccounts: (ids) => answer((s) => ids.flatMap((id) => s.accounts.get(id) ?? [])),
    lookupTransfers: (ids) => answer((s) => ids.flatMap((id) => s.transfers.get(id) ?? [])),
    getAccountTransfers: (filter) => answer(() => model.transfersOf(filter)),
    getAccountBalances: (filter) => answer(() => model.balancesOf(filter)),
    queryAccounts: (filter) => answer((s) => query(s.accounts.values(), filter)),
    queryTransfers: (filter) => answer((s) => query(s.transfers.values(), filter)),
    destroy: () => undefined,
  };
}

const TRANSIENT: ReadonlySet<number> = new Set([
  TransferStatus.debit_account_not_found,
  TransferStatus.credit_account_not_found,
  TransferStatus.pending_transfer_not_found,
  TransferStatus.exceeds_credits,
  TransferStatus.exceeds_debits,
  TransferStatus.debit_account_already_closed,
  TransferStatus.credit_account_already_closed,
]);

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the model lost something");
  return value;
}

function validRange(f: { timestamp_min: bigint; timestamp_max: bigint; limit: number }): boolean {
  return (
    f.timestamp_min <= TIME_MAX &&
    f.timestamp_max <= TIME_MAX &&
    (f.timestamp_max === 0n || f.timestamp_min <= f.timestamp_max) &&
    f.limit !== 0
  );
}

function matches(row: Account | Transfer, filter: Omit<QueryFilter, "limit" | "flags">): boolean {
  return (
    row.timestamp >= filter.timestamp_min &&
    (filter.timestamp_max === 0n || row.timestamp <= filter.timestamp_max) &&
    (filter.user_data_128 === 0n || row.user_data_128 === filter.user_data_128) &&
    (filter.user_data_64 === 0n || row.user_data_64 === filter.user_data_64) &&
    (filter.user_data_32 === 0 || row.user_data_32 === filter.user_data_32) &&
    (filter.ledger === 0 || row.ledger === filter.ledger) &&
    (filter.code === 0 || row.code === filter.code)
  );
}

function cut<R extends { timestamp: bigint }>(
  rows: R[],
  filter: { limit: number },
  reversed: boolean,
): R[] {
  rows.sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
  if (reversed) rows.reverse();
  return rows.slice(0, filter.limit);
}

type Check = readonly [boolean, keyof typeof AccountStatus];

function createAccount(state: State, a: Account, timestamp: bigint): [number, bigint] {
  const checks: Check[] = [
    [a.reserved !== 0, "reserved_field"],
    [a.flags > 63, "reserved_flag"],
    [a.id === 0n, "id_must_not_be_zero"],
    [a.id === MAX, "id_must_not_be_int_max"],
  ];
  const e = state.accounts.get(a.id);
  if (e) {
    checks.push(
      [a.flags !== e.flags, "exists_with_different_flags"],
      [a.user_data_128 !== e.user_data_128, "exists_with_different_user_data_128"],
      [a.user_data_64 !== e.user_data_64, "exists_with_different_user_data_64"],
      [a.user_data_32 !== e.user_data_32, "exists_with_different_user_data_32"],
      [a.ledger !== e.ledger, "exists_with_different_ledger"],
      [a.code !== e.code, "exists_with_different_code"],
      [true, "exists"],
    );
  }
  checks.push(
    [(a.flags & 6) === 6, "flags_are_mutually_exclusive"],
    [a.debits_pending !== 0n, "debits_pending_must_be_zero"],
    [a.debits_posted !== 0n, "debits_posted_must_be_zero"],
    [a.credits_pending !== 0n, "credits_pending_must_be_zero"],
    [a.credits_posted !== 0n, "credits_posted_must_be_zero"],
    [a.ledger === 0, "ledger_must_not_be_zero"],
    [a.code === 0, "code_must_not_be_zero"],
  );
  const failed = checks.find(([fails]) => fails);
  if (failed) {
    const time = failed[1] === "exists" && e ? e.timestamp : timestamp;
    return [AccountStatus[failed[1]], time];
  }
  state.accounts.set(a.id, { ...a, timestamp });
  return [AccountStatus.created, timestamp];
}

/** Thrown inside the transfer rules; carries the status. */
class Refused extends Error {
  readonly status: number;
  constructor(status: number) {
    super();
    this.status = status;
  }
}

function refuseIf(fails: boolean, status: keyof typeof TransferStatus): void {
  if (fails) throw new Refused(TransferStatus[status]);
}

function createTransfer(state: State, t: Transfer, timestamp: bigint): [number, bigint] {
  try {
    refuseIf(t.flags > 511, "reserved_flag");
    refuseIf(t.id === 0n, "id_must_not_be_zero");
    refuseIf(t.id === MAX, "id_must_not_be_int_max");
    const e = state.transfers.get(t.id);
    if (e) {
      compareExisting(state, t, e);
      return [TransferStatus.exists, e.timestamp];
    }
    refuseIf(state.failed.has(t.id), "id_already_failed");
    if (has(t.flags, F.post_pending_transfer | F.void_pending_transfer)) {
      resolve(state, t, timestamp);
    } else {
      move(state, t, timestamp);
    }
    return [TransferStatus.created, timestamp];
  } catch (error) {
    if (error instanceof Refused) return [error.status, timestamp];
    throw error;
  }
}

function compareExisting(state: State, t: Transfer, e: Transfer): void {
  refuseIf(t.flags !== e.flags, "exists_with_different_flags");
  refuseIf(t.pending_id !== e.pending_id, "exists_with_different_pending_id");
  refuseIf(t.timeout !== e.timeout, "exists_with_different_timeout");
  const isVoid = has(t.flags, F.void_pending_transfer);
  const resolves = isVoid || has(t.flags, F.post_pending_transfer);
  const balances = has(t.flags, F.balancing_debit | F.balancing_credit);
  // What the event leaves out stands for the pending transfer's value.
  const p = resolves ? must(state.transfers.get(t.pending_id)) : undefined;
  const or = <V>(value: V, empty: V, inherited: V | undefined): V =>
    p && value === empty ? (inherited as V) : value;
  const debit = or(t.debit_account_id, 0n, e.debit_account_id);
  refuseIf(debit !== e.debit_account_id, "exists_with_different_debit_account_id");
  const credit = or(t.credit_account_id, 0n, e.credit_account_id);
  refuseIf(credit !== e.credit_account_id, "exists_with_different_credit_account_id");
  const amount = or(t.amount, isVoid ? 0n : MAX, p?.amount);
  refuseIf(balances ? amount < e.amount : amount !== e.amount, "exists_with_different_amount");
  const u128 = or(t.user_data_128, 0n, p?.user_data_128);
  refuseIf(u128 !== e.user_data_128, "exists_with_different_user_data_128");
  const u64 = or(t.user_data_64, 0n, p?.user_data_64);
  refuseIf(u64 !== e.user_data_64, "exists_with_different_user_data_64");
  const u32 = or(t.user_data_32, 0, p?.user_data_32);
  refuseIf(u32 !== e.user_data_32, "exists_with_different_user_data_32");
  refuseIf(or(t.ledger, 0, e.ledger) !== e.ledger, "exists_with_different_ledger");
  refuseIf(or(t.code, 0, e.code) !== e.code, "exists_with_different_code");
}

function move(state: State, t: Transfer, timestamp: bigint): void {
  const pending = has(t.flags, F.pending);
  refuseIf(t.debit_account_id === 0n, "debit_account_id_must_not_be_zero");
  refuseIf(t.debit_account_id === MAX, "debit_account_id_must_not_be_int_max");
  refuseIf(t.credit_account_id === 0n, "credit_account_id_must_not_be_zero");
  refuseIf(t.credit_account_id === MAX, "credit_account_id_must_not_be_int_max");
  refuseIf(t.debit_account_id === t.credit_account_id, "accounts_must_be_different");
  refuseIf(t.pending_id !== 0n, "pending_id_must_be_zero");
  refuseIf(!pending && t.timeout !== 0, "timeout_reserved_for_pending_transfer");
  const closes = has(t.flags, F.closing_debit | F.closing_credit);
  refuseIf(!pending && closes, "closing_transfer_must_be_pending");
  refuseIf(t.ledger === 0, "ledger_must_not_be_zero");
  refuseIf(t.code === 0, "code_must_not_be_zero");
  const dr = state.accounts.get(t.debit_account_id);
  const cr = state.accounts.get(t.credit_account_id);
  refuseIf(dr === undefined, "debit_account_not_found");
  refuseIf(cr === undefined, "credit_account_not_found");
  if (!dr || !cr) return;
  refuseIf(dr.ledger !== cr.ledger, "accounts_must_have_the_same_ledger");
  refuseIf(t.ledger !== dr.ledger, "transfer_must_have_the_same_ledger_as_accounts");
  refuseIf(has(dr.flags, AccountFlags.closed), "debit_account_already_closed");
  refuseIf(has(cr.flags, AccountFlags.closed), "credit_account_already_closed");

  const atMost = (amount: bigint, room: bigint): bigint =>
    room < 0n ? 0n : room < amount ? room : amount;
  let amount = t.amount;
  if (has(t.flags, F.balancing_debit)) {
    amount = atMost(amount, dr.credits_posted - dr.debits_posted - dr.debits_pending);
  }
  if (has(t.flags, F.balancing_credit)) {
    amount = atMost(amount, cr.debits_posted - cr.credits_posted - cr.credits_pending);
  }
  refuseIf(pending && dr.debits_pending + amount > MAX, "overflows_debits_pending");
  refuseIf(pending && cr.credits_pending + amount > MAX, "overflows_credits_pending");
  refuseIf(dr.debits_posted + amount > MAX, "overflows_debits_posted");
  refuseIf(cr.credits_posted + amount > MAX, "overflows_credits_posted");
  const debits = dr.debits_pending + dr.debits_posted + amount;
  const credits = cr.credits_pending + cr.credits_posted + amount;
  refuseIf(debits > MAX, "overflows_debits");
  refuseIf(credits > MAX, "overflows_credits");
  const expiry = timestamp + BigInt(t.timeout) * 1_000_000_000n;
  refuseIf(expiry > TIME_MAX, "overflows_timeout");
  refuseIf(has(dr.flags, 2) && debits > dr.credits_posted, "exceeds_credits");
  refuseIf(has(cr.flags, 4) && credits > cr.debits_posted, "exceeds_debits");

  if (pending) {
    dr.debits_pending += amount;
    cr.credits_pending += amount;
    if (has(t.flags, F.closing_debit)) dr.flags |= AccountFlags.closed;
    if (has(t.flags, F.closing_credit)) cr.flags |= AccountFlags.closed;
    state.pendings.set(t.id, "pending");
  } else {
    dr.debits_posted += amount;
    cr.credits_posted += amount;
  }
  record(state, { ...t, amount, timestamp });
}

function resolve(state: State, t: Transfer, timestamp: bigint): void {
  const posts = has(t.flags, F.post_pending_transfer);
  const others =
    F.pending | F.balancing_debit | F.balancing_credit | F.closing_debit | F.closing_credit;
  const both = posts && has(t.flags, F.void_pending_transfer);
  refuseIf(both || has(t.flags, others), "flags_are_mutually_exclusive");
  refuseIf(t.pending_id === 0n, "pending_id_must_not_be_zero");
  refuseIf(t.pending_id === MAX, "pending_id_must_not_be_int_max");
  refuseIf(t.pending_id === t.id, "pending_id_must_be_different");
  refuseIf(t.timeout !== 0, "timeout_reserved_for_pending_transfer");
  const p = state.transfers.get(t.pending_id);
  refuseIf(p === undefined, "pending_transfer_not_found");
  if (!p) return;
  refuseIf(!has(p.flags, F.pending), "pending_transfer_not_pending");
  const differs = <V>(value: V, empty: V, stored: V): boolean =>
    value !== empty && value !== stored;
  refuseIf(
    differs(t.debit_account_id, 0n, p.debit_account_id),
    "pending_transfer_has_different_debit_account_id",
  );
  refuseIf(
    differs(t.credit_account_id, 0n, p.credit_account_id),
    "pending_transfer_has_different_credit_account_id",
  );
  refuseIf(differs(t.ledger, 0, p.ledger), "pending_transfer_has_different_ledger");
  refuseIf(differs(t.code, 0, p.code), "pending_transfer_has_different_code");
  const amount = t.amount === (posts ? MAX : 0n) ? p.amount : t.amount;
  refuseIf(amount > p.amount, "exceeds_pending_transfer_amount");
  refuseIf(!posts && amount < p.amount, "pending_transfer_has_different_amount");
  const status = state.pendings.get(p.id);
  refuseIf(status === "posted", "pending_transfer_already_posted");
  refuseIf(status === "voided", "pending_transfer_already_voided");
  const expiry = p.timestamp + BigInt(p.timeout) * 1_000_000_000n;
  refuseIf(
    status === "expired" || (p.timeout > 0 && expiry <= timestamp),
    "pending_transfer_expired",
  );
  const dr = must(state.accounts.get(p.debit_account_id));
  const cr = must(state.accounts.get(p.credit_account_id));
  refuseIf(posts && has(dr.flags, AccountFlags.closed), "debit_account_already_closed");
  refuseIf(posts && has(cr.flags, AccountFlags.closed), "credit_account_already_closed");

  release(state, p, !posts);
  state.pendings.set(p.id, posts ? "posted" : "voided");
  if (posts) {
    dr.debits_posted += amount;
    cr.credits_posted += amount;
  }
  record(state, {
    ...p,
    id: t.id,
    amount,
    pending_id: t.pending_id,
    user_data_128: t.user_data_128 || p.user_data_128,
    user_data_64: t.user_data_64 || p.user_data_64,
    user_data_32: t.user_data_32 || p.user_data_32,
    timeout: 0,
    flags: t.flags,
    timestamp,
  });
}

function release(state: State, p: Transfer, reopen: boolean): void {
  const dr = must(state.accounts.get(p.debit_account_id));
  const cr = must(state.accounts.get(p.credit_account_id));
  dr.debits_pending -= p.amount;
  cr.credits_pending -= p.amount;
  if (reopen && has(p.flags, F.closing_debit)) dr.flags &= ~AccountFlags.closed;
  if (reopen && has(p.flags, F.closing_credit)) cr.flags &= ~AccountFlags.closed;
}

function record(state: State, row: Transfer): void {
  state.transfers.set(row.id, row);
  for (const id of [row.debit_account_id, row.credit_account_id]) {
    const account = must(state.accounts.get(id));
    const { debits_pending, debits_posted, credits_pending, credits_posted } = account;
    state.balances.set(`${id} ${row.timestamp}`, {
      debits_pending,
      debits_posted,
      credits_pending,
      credits_posted,
      timestamp: row.timestamp,
    });
  }
}
