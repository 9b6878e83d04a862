import {
  type Account,
  type AccountBalance,
  type AccountFilter,
  type Client,
  CreateTransferStatus,
  type QueryFilter,
  type Transfer,
} from "tigerbeetle-node";
import { emptyAccount, emptyTransfer } from "./empty-rows.ts";
import {
  type AccountSpec,
  type FilterSpec,
  MAX,
  type Step,
  type TransferSpec,
} from "./fuzz-script.ts";

/** The amount that stands for "all of it" when a pending transfer is posted. */
export const MAX_AMOUNT = MAX;

type Row = Account | Transfer | AccountBalance;

/**
 * Runs a script on one engine and answers everything it said, with every timestamp replaced by
 * the name of the event that got it. Two engines that agree answer the same list.
 */
export async function runScript(
  client: Client,
  script: readonly Step[],
  base: bigint,
  wait: () => Promise<void>,
): Promise<unknown[]> {
  const run = new ScriptRun(client, base);
  const answers: unknown[] = [];
  for (const [index, step] of script.entries()) {
    if (step.op === "wait") await wait();
    else answers.push({ step: index, op: step.op, answer: await run.step(step, index) });
  }
  answers.push(await run.everything());
  return answers;
}

class ScriptRun {
  readonly #client: Client;
  readonly #base: bigint;
  readonly #accounts: Account[] = [];
  readonly #transfers: Transfer[] = [];
  readonly #names = new Map<bigint, string>();
  readonly #timestamps: bigint[] = [];
  #last = 0n;

  constructor(client: Client, base: bigint) {
    this.#client = client;
    this.#base = base;
  }

  async step(step: Exclude<Step, { op: "wait" }>, index: number): Promise<unknown> {
    const client = this.#client;
    switch (step.op) {
      case "createAccounts": {
        const batch = step.batch.map((spec) => this.#account(spec));
        return this.#results(await client.createAccounts(batch), `${index}`, 21);
      }
      case "createTransfers": {
        // Batches that wait together: the engines may let them share a request.
        const calls = step.batches.map((specs) => specs.map((spec) => this.#transfer(spec)));
        const answers = await Promise.all(calls.map((batch) => client.createTransfers(batch)));
        return answers.map((answer, i) =>
          this.#results(answer, `${index}.${i}`, CreateTransferStatus.exists),
        );
      }
      case "lookupAccounts":
        return this.#rows(await client.lookupAccounts(step.ids.map((id) => this.#id(id))));
      case "lookupTransfers":
        return this.#rows(await client.lookupTransfers(step.ids.map((id) => this.#id(id))));
      case "getAccountTransfers":
        return this.#rows(await client.getAccountTransfers(this.#accountFilter(step.filter)));
      case "getAccountBalances":
        return this.#rows(await client.getAccountBalances(this.#accountFilter(step.filter)));
      case "queryAccounts":
        return this.#rows(await client.queryAccounts(this.#queryFilter(step.filter)));
      case "queryTransfers":
        return this.#rows(await client.queryTransfers(this.#queryFilter(step.filter)));
    }
  }

  /** Every row and balance of the script, at its end. */
  async everything(): Promise<unknown> {
    const range = { timestamp_min: this.#timestamps[0] ?? 0n, timestamp_max: 0n, limit: 253 };
    const none = { user_data_128: 0n, user_data_64: 0n, user_data_32: 0, code: 0 };
    const histories = await Promise.all(
      [1n, 2n, 3n, 4n, 5n, 6n].map((id) =>
        this.#client.getAccountBalances({ ...none, ...range, account_id: this.#id(id), flags: 3 }),
      ),
    );
    const query = { ...none, ...range, ledger: 0, flags: 0 };
    return {
      accounts: this.#rows(await this.#client.queryAccounts(query)),
      transfers: this.#rows(await this.#client.queryTransfers(query)),
      balances: histories.map((rows) => this.#rows(rows)),
      // Expired or not, resolved or not: asked of every transfer, without changing anything.
      pendings: await this.#pendingStates(),
    };
  }

  async #pendingStates(): Promise<unknown> {
    const probes = this.#transfers
      .filter((t) => (t.flags & 2) !== 0 && t.id !== 0n && t.id !== MAX)
      .slice(0, 100)
      .map((t, i) => ({
        ...emptyTransfer(this.#base + 1_000_000n + BigInt(i)),
        pending_id: t.id,
        // Linked to what must fail: a post that would succeed is taken back.
        flags: 4 | 1,
        amount: MAX,
      }));
    const answers = [];
    for (const probe of probes) {
      const fail = { ...emptyTransfer(0n), flags: 0 };
      const results = await this.#client.createTransfers([probe, fail]);
      answers.push(results.map((result) => result.status));
    }
    return answers;
  }

  #id(id: bigint): bigint {
    return id === 0n || id === MAX ? id : this.#base + id;
  }

  #account(spec: AccountSpec): Account {
    let event: Account;
    if (spec.kind === "new") {
      event = { ...spec.event, id: this.#id(spec.event.id) };
    } else {
      const earlier = this.#accounts[spec.ref % Math.max(this.#accounts.length, 1)];
      event = { ...(earlier ?? { ...emptyAccount(this.#id(1n)) }) };
      if (spec.change.field !== "none") setField(event, spec.change.field, spec.change.value);
      event.flags &= ~16;
    }
    this.#accounts.push(event);
    return event;
  }

  #transfer(spec: TransferSpec): Transfer {
    let event: Transfer;
    if (spec.kind === "again") {
      const earlier = this.#transfers[spec.ref % Math.max(this.#transfers.length, 1)];
      event = { ...(earlier ?? emptyTransfer(this.#id(1n))) };
      if (spec.field !== "none") {
        const isId = spec.field.endsWith("_id");
        setField(event, spec.field, isId ? this.#id(spec.value) : spec.value);
      }
    } else {
      event = { ...spec.event, id: this.#id(spec.event.id) };
      event.debit_account_id = this.#id(event.debit_account_id);
      event.credit_account_id = this.#id(event.credit_account_id);
      event.pending_id = this.#id(event.pending_id);
      if (spec.kind === "resolve" && spec.event.pending_id === 1n) {
        const pendings = this.#transfers.filter((t) => (t.flags & 2) !== 0);
        const target = pendings[spec.ref % Math.max(pendings.length, 1)];
        if (target) event.pending_id = target.id;
      }
    }
    event.flags &= ~256;
    this.#transfers.push(event);
    return event;
  }

  #bound(bound: FilterSpec["from"]): bigint {
    if (bound.ref === -1) return 0n;
    if (bound.ref === -2) return bound.shift;
    const known = this.#timestamps[bound.ref % Math.max(this.#timestamps.length, 1)];
    return known === undefined ? 0n : known + bound.shift;
  }

  #accountFilter(spec: FilterSpec): AccountFilter {
    return {
      account_id: this.#id(spec.account),
      user_data_128: spec.userData128,
      user_data_64: spec.userData64,
      user_data_32: spec.userData32,
      code: spec.code,
      timestamp_min: this.#bound(spec.from),
      timestamp_max: this.#bound(spec.to),
      limit: spec.limit,
      flags: spec.flags,
    };
  }

  #queryFilter(spec: FilterSpec): QueryFilter {
    // A server that earlier scripts have used holds older rows: begin at this script's first.
    const from = this.#bound(spec.from);
    return {
      user_data_128: spec.userData128,
      user_data_64: spec.userData64,
      user_data_32: spec.userData32,
      ledger: spec.ledger,
      code: spec.code,
      timestamp_min: from === 0n ? (this.#timestamps[0] ?? 0n) : from,
      timestamp_max: this.#bound(spec.to),
      limit: spec.limit,
      flags: spec.flags & 6 ? spec.flags & ~6 : spec.flags,
    };
  }

  #results(
    results: { timestamp: bigint; status: number }[],
    name: string,
    exists: number,
  ): unknown {
    return results.map((result, i) => {
      if (!this.#names.has(result.timestamp)) {
        if (result.timestamp <= this.#last) throw new Error(`timestamp of ${name}:${i} went back`);
        this.#last = result.timestamp;
        this.#names.set(result.timestamp, `${name}:${i}`);
        this.#timestamps.push(result.timestamp);
      }
      const first = results.find((r) => r.status !== exists) ?? result;
      return {
        ...result,
        timestamp: this.#names.get(result.timestamp),
        // Inside a batch, timestamps follow each other without a gap.
        distance: result.status === exists ? "exists" : result.timestamp - first.timestamp,
      };
    });
  }

  #rows(rows: Row[]): unknown[] {
    return rows.map((row) => {
      const named: Record<string, unknown> = { ...row };
      named["timestamp"] = this.#names.get(row.timestamp) ?? `unknown ${row.timestamp}`;
      for (const [key, value] of Object.entries(row)) {
        const isId = key === "id" || key.endsWith("_id");
        if (isId && typeof value === "bigint" && value > this.#base) {
          named[key] = `base+${value - this.#base}`;
        }
      }
      return named;
    });
  }
}

function setField<E extends Account | Transfer>(event: E, field: keyof E, value: bigint): void {
  const before = event[field];
  const bits = field === "user_data_64" ? 64 : 128;
  const fitting =
    typeof before === "bigint" ? BigInt.asUintN(bits, value) : Number(value & 0xffffn);
  Object.assign(event, { [field]: fitting });
}
