import { describe, expect, it } from "vitest";
import { endOfTime } from "#common/ledger/reader.ts";
import type { CommittedTransfer } from "#common/ledger/transfer-rows.ts";
import { type AuditOptions, type AuditState, auditLedger } from "./audit-ledger.ts";
import type { Finding } from "./finding.ts";
import { unpackTransfers } from "./packed-transfers.ts";
import type { AccountRow, AuditLedger, HistoryRow } from "./ports.ts";

// Goal: sums, chains, expiries, pages and checkpoints are judged right, also by what no engine would ever say.
// Method: a ledger of arrays, whose transfers all count as attested.

const cash = 1_000_002n;
const stripe = 3_000_001n;
const second = 1_000_000_000n;

function transfer(timestamp: bigint, fields: Partial<CommittedTransfer> = {}): CommittedTransfer {
  return {
    id: timestamp,
    debitAccountId: cash,
    creditAccountId: stripe,
    amount: 10n,
    pendingId: 0n,
    userData128: timestamp,
    userData64: 1n,
    userData32: 1 << 16,
    timeout: 0,
    ledger: 1,
    code: 10,
    phase: "IMMEDIATE",
    linked: false,
    timestamp,
    foreignFlags: 0,
    ...fields,
  };
}

const pending = (timestamp: bigint, fields: Partial<CommittedTransfer> = {}) =>
  transfer(timestamp, { phase: "PENDING", ...fields });

function account(id: bigint, code: number, fields: Partial<AccountRow> = {}): AccountRow {
  return {
    id,
    ledger: 1,
    code,
    userData128: 0n,
    userData64: 0n,
    userData32: 0,
    neverOverdrawn: false,
    history: true,
    foreignFlags: 0,
    timestamp: id,
    debitsPosted: 0n,
    creditsPosted: 0n,
    debitsPending: 0n,
    creditsPending: 0n,
    ...fields,
  };
}

interface World {
  readonly transfers: readonly CommittedTransfer[];
  readonly cash?: Partial<AccountRow>;
  readonly stripe?: Partial<AccountRow>;
  readonly history?: Readonly<Record<string, HistoryRow>>;
  /** True: what the accounts hold beyond their transfers has left no later row. */
  readonly nothingLater?: boolean;
  readonly instant?: bigint;
  readonly rowsMax?: number;
}

const sumsOfNone = { debitsPosted: 0n, creditsPosted: 0n, debitsPending: 0n, creditsPending: 0n };

function ledgerOf(world: World): AuditLedger {
  const accounts = [account(cash, 11, world.cash), account(stripe, 30, world.stripe)];
  const rowsMax = world.rowsMax ?? 2;
  const page = <Row extends { timestamp: bigint }>(
    rows: readonly Row[],
    from: bigint,
    to: bigint,
  ) => rows.filter(({ timestamp }) => timestamp >= from && timestamp <= to).slice(0, rowsMax);
  return {
    rowsMax,
    instant: async () => world.instant ?? 1_000n * second,
    transfers: async (from, to) => page(world.transfers, from, to),
    accounts: async (from, to) => page(accounts, from, to),
    history: async (id, to) => {
      const row = world.history?.[String(id)];
      if (to !== endOfTime || world.nothingLater) return row;
      return { ...sumsOfNone, ...row, timestamp: endOfTime };
    },
  };
}

async function audit(world: World, options: Partial<AuditOptions> = {}) {
  const findings: Finding[] = [];
  const result = await auditLedger({
    ledger: ledgerOf(world),
    examine: async () => [],
    pagesMax: 2,
    findingsMax: 10,
    onFinding: (finding) => findings.push(finding),
    onProgress: () => undefined,
    ...options,
  });
  return { ...result, findings, kinds: findings.map(({ kind }) => kind) };
}

const both = (debits: Partial<AccountRow>, credits: Partial<AccountRow>) => ({
  cash: debits,
  stripe: credits,
});

describe("balances", () => {
  it("are those of the transfers, over any number of pages", async () => {
    const transfers = [1n, 2n, 3n, 4n, 5n].map((at) => transfer(at));
    const world = { transfers, ...both({ debitsPosted: 50n }, { creditsPosted: 50n }) };
    const result = await audit(world);
    expect(result).toMatchObject({ transfers: 5, accounts: 2, findingCount: 0, balanced: true });
  });

  it("that have moved on since the instant are looked up as they were", async () => {
    const transfers = [transfer(1n), transfer(9n)];
    const sums = { debitsPosted: 0n, creditsPosted: 0n, debitsPending: 0n, creditsPending: 0n };
    const result = await audit({
      transfers,
      instant: 5n,
      rowsMax: 10,
      ...both({ debitsPosted: 20n, timestamp: 1n }, { creditsPosted: 20n, timestamp: 2n }),
      history: {
        [String(cash)]: { ...sums, debitsPosted: 10n, timestamp: 1n },
        [String(stripe)]: { ...sums, creditsPosted: 10n, timestamp: 1n },
      },
    });
    expect(result).toMatchObject({ transfers: 1, findingCount: 0, balanced: true });
  });

  it("that are not those of the transfers are found, and the asset that is out of balance", async () => {
    const sums = { debitsPosted: 0n, creditsPosted: 11n, debitsPending: 0n, creditsPending: 0n };
    const result = await audit({
      transfers: [transfer(1n)],
      ...both({ debitsPosted: 10n }, { creditsPosted: 11n }),
      history: { [String(stripe)]: { ...sums, timestamp: 1n } },
    });
    expect(result.balanced).toBe(false);
    expect(result.findings).toEqual([
      {
        kind: "BALANCE_DIFFERS",
        accountId: stripe,
        detail: `account ${stripe}: creditsPosted is 11, its transfers make 10`,
      },
      {
        kind: "LEDGER_UNBALANCED",
        ledger: 1,
        detail: "USD: debits posted are 0.10 USD, credits 0.11 USD",
      },
    ]);
  });

  it("of an account whose history shows no transfer, or that kept none, are found; later moves are not", async () => {
    const movedLater = await audit({ transfers: [], cash: { debitsPosted: 1n } });
    expect(movedLater.kinds).toEqual([]);
    const sums = { debitsPosted: 1n, creditsPosted: 0n, debitsPending: 0n, creditsPending: 0n };
    const history = { [String(cash)]: { ...sums, timestamp: 1n } };
    expect((await audit({ transfers: [], cash: sums, history })).kinds).toEqual([
      "BALANCE_DIFFERS",
      "LEDGER_UNBALANCED",
    ]);
    expect((await audit({ transfers: [transfer(1n)] })).kinds).toEqual([
      "BALANCE_DIFFERS",
      "BALANCE_DIFFERS",
    ]);
    const left = { transfers: [], cash: { debitsPosted: 1n }, nothingLater: true };
    expect((await audit(left)).findings).toMatchObject([
      { kind: "BALANCE_DIFFERS", detail: expect.stringContaining("is 1, its transfers make 0") },
      { kind: "LEDGER_UNBALANCED" },
    ]);
  });
});

describe("reservations", () => {
  it("are released by posts in part and voids, and run out at their instant", async () => {
    const transfers = [
      pending(1n),
      pending(2n),
      pending(3n, { timeout: 5 }),
      pending(4n, { timeout: 900_000 }),
      transfer(5n, { phase: "POST_PENDING", pendingId: 1n, amount: 4n }),
      transfer(6n, { phase: "VOID_PENDING", pendingId: 2n }),
    ];
    const world = (instant: bigint, held: bigint) => ({
      transfers,
      instant,
      ...both(
        { debitsPosted: 4n, debitsPending: held },
        { creditsPosted: 4n, creditsPending: held },
      ),
    });
    expect((await audit(world(5n * second + 2n, 20n))).kinds).toEqual([]);
    expect((await audit(world(5n * second + 3n, 10n))).kinds).toEqual([]);
    expect((await audit(world(5n * second + 3n, 20n))).balanced).toBe(false);
  });

  it("that the engine had not yet released when it wrote history are no fault; any other sum is", async () => {
    const transfers = [
      pending(1n, { timeout: 1, amount: 1n }),
      pending(2n, { timeout: 2, amount: 2n }),
      pending(3n, { timeout: 4, amount: 4n }),
      transfer(3n * second),
    ];
    const held = async (amount: bigint) => {
      const sums = { debitsPosted: 0n, creditsPosted: 0n, debitsPending: 0n, creditsPending: 0n };
      const timestamp = 3n * second;
      const result = await audit({
        transfers,
        instant: timestamp,
        history: {
          [String(cash)]: { ...sums, debitsPosted: 10n, debitsPending: amount, timestamp },
          [String(stripe)]: { ...sums, creditsPosted: 10n, creditsPending: amount, timestamp },
        },
      });
      return result.balanced;
    };
    expect(await held(4n)).toBe(true);
    expect(await held(6n)).toBe(true);
    expect(await held(7n)).toBe(true);
    expect(await held(5n)).toBe(false);
    expect(await held(3n)).toBe(false);
  });

  it("that are posted late, twice, or as another's are found", async () => {
    const post = (at: bigint, pendingId: bigint, fields: Partial<CommittedTransfer> = {}) =>
      transfer(at, { phase: "POST_PENDING", pendingId, ...fields });
    const transfers = [
      pending(1n, { timeout: 1 }),
      pending(2n),
      post(3n, 2n),
      post(4n, 2n),
      pending(5n),
      post(6n, 5n, { amount: 11n }),
      post(second + 1n, 1n),
    ];
    const result = await audit({ transfers, rowsMax: 100 });
    const found = result.findings.filter(({ kind }) => kind === "RESERVATION_NOT_OPEN");
    expect(found.map((finding) => finding.transfer?.timestamp)).toEqual([4n, 6n, second + 1n]);
  });
});

describe("chains", () => {
  const leg = (at: bigint, number: number, legs: number, digest: bigint) =>
    transfer(at, { userData128: digest, userData32: (legs << 16) | number, amount: 0n });

  it("are whole in one run, also across pages", async () => {
    const transfers = [
      leg(1n, 0, 3, 7n),
      leg(2n, 1, 3, 7n),
      leg(3n, 2, 3, 7n),
      leg(4n, 0, 1, 8n),
      leg(5n, 0, 2, 9n),
      leg(6n, 1, 2, 9n),
    ];
    for (const rowsMax of [1, 2, 3, 10]) {
      expect((await audit({ transfers, rowsMax })).kinds).toEqual([]);
    }
  });

  it.each<[string, CommittedTransfer[], bigint[]]>([
    ["end in the middle", [leg(1n, 0, 2, 7n)], [1n]],
    ["begin in the middle", [leg(1n, 1, 2, 7n)], [1n]],
    ["leave one out", [leg(1n, 0, 3, 7n), leg(2n, 2, 3, 7n)], [1n, 2n]],
    ["are another's", [leg(1n, 0, 2, 7n), leg(2n, 1, 2, 8n)], [1n, 2n]],
    ["are interrupted", [leg(1n, 0, 2, 7n), leg(2n, 0, 1, 8n), leg(3n, 1, 2, 7n)], [1n, 3n]],
  ])("that %s are found", async (_, transfers, at) => {
    const result = await audit({ transfers, rowsMax: 2 });
    const found = result.findings.filter(({ kind }) => kind === "CHAIN_INCOMPLETE");
    expect(found.map((finding) => finding.transfer?.timestamp)).toEqual(at);
  });
});

describe("findings and failures", () => {
  it("are told in order however the pages come back, counted all, listed up to the most", async () => {
    const transfers = Array.from({ length: 40 }, (_, index) => transfer(BigInt(index + 1)));
    const result = await audit(
      { transfers, rowsMax: 3 },
      {
        pagesMax: 5,
        examine: async (page) => {
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 10));
          return unpackTransfers(page).map((row) => ({
            kind: "NO_EVIDENCE",
            detail: "",
            transfer: row,
          }));
        },
      },
    );
    expect(result.findings.map((finding) => finding.transfer?.timestamp)).toEqual(
      transfers.slice(0, 10).map(({ timestamp }) => timestamp),
    );
    expect(result.counts).toMatchObject({ unattested: 40 });
  });

  it("of the examination end the audit, also of a page that nobody waits for yet", async () => {
    const transfers = Array.from({ length: 10 }, (_, index) => transfer(BigInt(index + 1)));
    const broken = audit(
      { transfers, rowsMax: 1 },
      {
        pagesMax: 4,
        examine: (page) =>
          unpackTransfers(page)[0]?.timestamp === 3n
            ? Promise.reject(new Error("gone"))
            : new Promise((resolve) => setTimeout(() => resolve([]), 5)),
      },
    );
    await expect(broken).rejects.toThrow("gone");
  });
});

describe("a checkpoint", () => {
  it("is taken between chains only, and an audit that goes on from any says the same", async () => {
    const leg = (at: bigint, number: number) =>
      transfer(at, { userData128: 7n, userData32: (3 << 16) | number });
    const transfers = [
      pending(1n, { timeout: 5 }),
      pending(2n),
      leg(3n, 0),
      leg(4n, 1),
      leg(5n, 2),
      transfer(6n, { phase: "POST_PENDING", pendingId: 99n }),
      transfer(7n, { phase: "VOID_PENDING", pendingId: 2n }),
    ];
    const world = {
      transfers,
      rowsMax: 1,
      ...both({ debitsPosted: 40n }, { creditsPosted: 40n }),
    };
    const states: AuditState[] = [];
    const checkpoint = { isDue: () => true, save: (state: AuditState) => states.push(state) };
    const whole = await audit(world, { checkpoint });
    expect(whole.kinds).toEqual(["RESERVATION_NOT_OPEN"]);
    expect([...new Set(states.map(({ timestamp }) => timestamp))]).toEqual([1n, 2n, 5n, 6n, 7n]);
    for (const resume of states) expect(await audit(world, { resume })).toEqual(whole);
  });
});
