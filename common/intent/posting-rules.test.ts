import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { zeroWallet } from "#common/address.ts";
import { DomainError } from "#common/domain-error.ts";
import { accountClassOf, chartAccounts } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import {
  alice,
  bob,
  chart,
  digestIntent,
  funding,
  houseIntentOf,
  intentOf,
  posting,
  purchase,
  tokenReserve,
  transfer,
} from "../../test/support/intents/intents.ts";
import type { Intent, Posting } from "./intent.ts";
import { postingCodes } from "./posting-codes.ts";
import {
  authorityOf,
  checkPostings,
  postingName,
  refersToCorrected,
  refersToPending,
} from "./posting-rules.ts";

const wallet = walletAccountId(alice.address, 1);
const other = walletAccountId(bob.address, 1);
const sfiatWallet = walletAccountId(alice.address, 2);
const poscrWallet = walletAccountId(alice.address, 3);

const byWallet = { wallet: true, house: false };
const byHouse = { wallet: false, house: true };
const byBoth = { wallet: true, house: true };

/** The kind and metadata of the refusal, or the authority. */
function judge(intent: Intent, related = {}): unknown {
  try {
    return checkPostings(intent, related);
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { kind: error.kind, ...error.metadata };
  }
}

function move(debitAccountId: bigint, creditAccountId: bigint, code: number, ledger = 1): Posting {
  return posting({ debitAccountId, creditAccountId, code, ledger, amount: 100n });
}

function refused(index: number, rule?: RegExp) {
  return expect.objectContaining({
    kind: "POSTING_NOT_ALLOWED",
    field: `intent.postings[${index}]`,
    ...(rule === undefined ? {} : { rule: expect.stringMatching(rule) }),
  });
}

describe("the table: what each code allows, and whose authority it needs", () => {
  const { FUNDING, PURCHASE, FULFILMENT, AGENT_PAYOUT, WALLET_TRANSFER } = postingCodes;
  const { TOKEN_MINT, TOKEN_BURN, ADJUSTMENT } = postingCodes;
  const { STRIPE_PAYOUT, STRIPE_FEE, DISPUTE_OPENED, DISPUTE_WON } = postingCodes;

  test.each<[string, bigint, bigint, number, number, unknown]>([
    ["FUNDING from Stripe", chart.stripe, wallet, FUNDING, 1, byHouse],
    ["FUNDING from cash", chart.cash, wallet, FUNDING, 1, byHouse],
    ["PURCHASE", wallet, chart.milk, PURCHASE, 1, byWallet],
    ["PURCHASE in SFIAT", sfiatWallet, 2_004_000_001n, PURCHASE, 2, byWallet],
    ["FULFILMENT", chart.milk, chart.instacart, FULFILMENT, 1, byHouse],
    ["FULFILMENT by a utility", chart.eggs, chart.utilities, FULFILMENT, 1, byHouse],
    ["AGENT_PAYOUT to cash", chart.instacart, chart.cash, AGENT_PAYOUT, 1, byHouse],
    ["AGENT_PAYOUT to ACH", chart.utilities, chart.ach, AGENT_PAYOUT, 1, byHouse],
    ["WALLET_TRANSFER", wallet, other, WALLET_TRANSFER, 1, byWallet],
    ["TOKEN_MINT of SFIAT", tokenReserve[2], sfiatWallet, TOKEN_MINT, 2, byHouse],
    ["TOKEN_MINT of POSCR", tokenReserve[3], poscrWallet, TOKEN_MINT, 3, byHouse],
    ["TOKEN_BURN", poscrWallet, tokenReserve[3], TOKEN_BURN, 3, byWallet],
    ["ADJUSTMENT", chart.mirror, chart.audit, ADJUSTMENT, 1, byHouse],
    ["ADJUSTMENT of a reserve", chart.reserve, chart.milk, ADJUSTMENT, 1, byHouse],
    ["STRIPE_PAYOUT", chart.cash, chart.stripe, STRIPE_PAYOUT, 1, byHouse],
    ["STRIPE_FEE", chart.fees, chart.stripe, STRIPE_FEE, 1, byHouse],
    ["DISPUTE_OPENED", chart.losses, chart.stripe, DISPUTE_OPENED, 1, byHouse],
    ["DISPUTE_WON", chart.stripe, chart.losses, DISPUTE_WON, 1, byHouse],
  ])("%s", (_name, debit, credit, code, ledger, authority) => {
    const intent = intentOf({ postings: [move(debit, credit, code, ledger)] });
    expect(judge(intent)).toEqual(authority);
    expect(authorityOf(intent)).toEqual(authority);
    expect(judge({ ...intent, phase: "PENDING" })).toEqual(authority);
  });

  // Every pair of accounts of ledger 1 under every code: what is allowed is exactly this, and nothing else.
  test("nothing else is allowed", () => {
    const accounts = [
      ...chartAccounts.filter(({ ledger }) => ledger === 1).map(({ id }) => id),
      wallet,
      other,
    ];
    const allowed = new Map<string, Set<string>>();
    for (const code of Object.values(postingCodes)) {
      for (const debit of accounts) {
        for (const credit of accounts) {
          if (debit === credit) continue;
          const intent = intentOf({ postings: [move(debit, credit, code)], reference: "r" });
          const verdict = judge(intent, { corrected: undefined });
          if (typeof verdict === "object" && verdict !== null && "kind" in verdict) continue;
          const name = postingName(code) ?? "";
          const way = `${sideName(debit)} → ${sideName(credit)}`;
          allowed.set(name, (allowed.get(name) ?? new Set()).add(way));
        }
      }
    }
    const ways = Object.fromEntries([...allowed].map(([name, set]) => [name, [...set].sort()]));
    const { ADJUSTMENT: adjustments = [], ...others } = ways;
    expect(others).toEqual({
      FUNDING: ["CASH → WALLET", "STRIPE → WALLET"],
      PURCHASE: ["WALLET → OBLIGATION"],
      FULFILMENT: ["OBLIGATION → AGENT"],
      AGENT_PAYOUT: ["AGENT → ACH", "AGENT → CASH"],
      WALLET_TRANSFER: ["WALLET → WALLET"],
      STRIPE_PAYOUT: ["CASH → STRIPE"],
      STRIPE_FEE: ["FEES → STRIPE"],
      DISPUTE_OPENED: ["LOSSES → STRIPE"],
      DISPUTE_WON: ["STRIPE → LOSSES"],
    });
    expect(adjustments.length).toBeGreaterThan(50);
    expect(adjustments.filter((way) => way.includes("WALLET"))).toEqual([]);
  });

  function sideName(accountId: bigint): string {
    const single = {
      [`${chart.stripe}`]: "STRIPE",
      [`${chart.fees}`]: "FEES",
      [`${chart.losses}`]: "LOSSES",
    };
    return single[accountId.toString()] ?? accountClassOf(accountId) ?? "";
  }
});

describe("accounts", () => {
  test.each([[0n], [1n], [2_000_000n], [4_000_004n], [2n ** 127n - 1n]])(
    "%s is not in the chart",
    (id) => {
      const rule = /not in the chart/;
      expect(judge(houseIntentOf({ postings: [move(chart.cash, id, 1)] }))).toEqual(
        refused(0, rule),
      );
      expect(
        judge(houseIntentOf({ postings: [funding(alice.address), move(id, wallet, 1)] })),
      ).toEqual(refused(1, rule));
    },
  );

  test("another asset's account is LEDGERS_DIFFER", () => {
    expect(judge(intentOf({ postings: [{ ...purchase(alice.address), ledger: 2 }] }))).toEqual({
      kind: "LEDGERS_DIFFER",
      field: "intent.postings[0]",
      ledger: "2",
      accountLedger: "1",
    });
  });

  test("debit and credit are two accounts", () => {
    expect(judge(intentOf({ postings: [move(wallet, wallet, 6)] }))).toEqual({
      kind: "INVALID_FIELD",
      field: "intent.postings[0].credit_account_id",
      rule: "posting.accounts_differ",
    });
  });

  test.each([0, 14, 99, 65_535])("there is no code %s", (code) => {
    expect(postingName(code)).toBeUndefined();
    expect(judge(intentOf({ postings: [move(wallet, chart.milk, code)] }))).toEqual(
      refused(0, /no posting rule/),
    );
  });

  test("a wallet debits no account but its own", () => {
    for (const postings of [
      [purchase(bob.address)],
      [transfer(bob.address, alice.address)],
      [move(walletAccountId(bob.address, 3), tokenReserve[3], 8, 3)],
      // The wallet's own account in another asset.
      [{ ...purchase(alice.address), debitAccountId: sfiatWallet }],
    ]) {
      expect(judge(intentOf({ postings }))).toEqual(refused(0, /belongs to the intent's wallet/));
    }
    expect(judge(intentOf({ postings: [purchase(alice.address), purchase(bob.address)] }))).toEqual(
      refused(1),
    );
  });

  test("an adjustment says why", () => {
    const postings = [move(chart.mirror, chart.audit, 9)];
    expect(judge(intentOf({ postings, reference: "" }))).toEqual(refused(0, /corrects.*reference/));
    expect(judge(intentOf({ postings, reference: "", corrects: `0x${"11".repeat(32)}` }))).toEqual(
      byHouse,
    );
  });
});

describe("FUNDING and PURCHASE in one intent", () => {
  const fund = (amount: bigint, to = alice.address) => funding(to, amount, chart.stripe);
  const buy = (amount: bigint, from = alice.address) => purchase(from, amount);

  test.each<[string, Posting[], unknown]>([
    ["exactly covered", [fund(750n), buy(350n), buy(250n), buy(150n)], byHouse],
    ["more than covered", [fund(751n), buy(750n)], byHouse],
    ["covered by two fundings", [fund(400n), fund(350n), buy(750n)], byHouse],
    ["covered for anybody's wallet", [fund(750n, bob.address), buy(750n, bob.address)], byHouse],
    ["one unit short", [fund(749n), buy(750n)], byBoth],
    ["covered once, not twice", [fund(350n), buy(350n), buy(350n)], byBoth],
    ["covered by another wallet's funding", [fund(750n, bob.address), buy(750n)], byBoth],
  ])("%s", (_name, postings, authority) => {
    expect(judge(intentOf({ postings }))).toEqual(authority);
  });

  test("what is not covered is the wallet's own to spend", () => {
    const postings = [fund(749n, bob.address), buy(750n, bob.address)];
    expect(judge(intentOf({ postings }))).toEqual(refused(1, /belongs to/));
  });

  test("a pending credit covers nothing", () => {
    const postings = [fund(750n), buy(750n)];
    expect(judge(intentOf({ phase: "PENDING", postings }))).toEqual(byBoth);
  });

  test("the funding comes first", () => {
    expect(judge(intentOf({ postings: [buy(350n), fund(350n)] }))).toEqual(
      refused(1, /comes before/),
    );
    expect(judge(intentOf({ postings: [fund(1n), buy(350n), fund(350n)] }))).toEqual(refused(2));
    expect(judge(intentOf({ postings: [buy(350n), fund(350n, bob.address)] }))).toEqual(byBoth);
    const nobodys = intentOf({ wallet: zeroWallet, postings: [buy(350n), fund(350n)] });
    expect(judge(nobodys), "the order is told before the owner").toEqual(
      refused(1, /comes before/),
    );
  });

  test("house authority alone never spends more of a wallet than the intent put in before", () => {
    const step = fc.record({
      funds: fc.boolean(),
      who: fc.constantFrom(alice.address, bob.address),
      amount: fc.bigInt({ min: 1n, max: 5n }),
    });
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const postings = steps.map(({ funds, who, amount }) =>
          funds ? fund(amount, who) : buy(amount, who),
        );
        const verdict = judge(intentOf({ postings })) as { wallet?: boolean };
        if (verdict.wallet !== false) return;
        const held = new Map<string, bigint>();
        for (const { funds, who, amount } of steps) {
          held.set(who, (held.get(who) ?? 0n) + (funds ? amount : -amount));
          expect(held.get(who)).toBeGreaterThanOrEqual(0n);
        }
      }),
    );
  });
});

describe("REFUND", () => {
  const bought = intentOf({
    postings: [
      purchase(alice.address, 350n, chart.milk),
      purchase(alice.address, 250n, chart.eggs),
    ],
  });
  const { REFUND } = postingCodes;
  const back = (amount: bigint, from: bigint = chart.milk) => ({
    ...move(from, wallet, REFUND),
    amount,
  });
  const toCard = (amount: bigint) => ({ ...move(wallet, chart.stripe, REFUND), amount });
  const refund = (...postings: Posting[]) => intentOf({ corrects: digestIntent(bought), postings });

  test.each<[string, Posting[], unknown]>([
    ["all of one good", [back(350n)], byHouse],
    ["a part", [back(1n)], byHouse],
    ["both goods", [back(350n), back(250n, chart.eggs)], byHouse],
    ["all of it from losses", [back(600n, chart.losses)], byHouse],
    ["goods and losses together", [back(350n), back(250n, chart.losses)], byHouse],
    ["on to the card", [back(350n), toCard(350n)], byHouse],
    ["a part on to the card", [back(350n), toCard(100n), toCard(250n)], byHouse],
    ["more than the goods' share", [back(351n)], refused(0, /within/)],
    ["in two steps more than the goods' share", [back(350n), back(1n)], refused(1, /within/)],
    ["more than all", [back(350n), back(251n, chart.losses)], refused(1, /within/)],
    ["other goods", [back(1n, chart.bread)], refused(0, /within/)],
    ["to the card what was not given back", [toCard(1n)], refused(0, /covered/)],
    ["to the card more than was given back", [back(100n), toCard(101n)], refused(1, /covered/)],
    ["to the card before it is given back", [toCard(100n), back(100n)], refused(0, /covered/)],
    ["to another wallet", [{ ...back(1n), creditAccountId: other }], refused(0)],
    [
      "from another wallet to the card",
      [back(350n), { ...toCard(350n), debitAccountId: other }],
      refused(1),
    ],
    ["from cash", [back(1n, chart.cash)], refused(0)],
  ])("%s", (_name, postings, verdict) => {
    expect(judge(refund(...postings), { corrected: bought })).toEqual(verdict);
  });

  test("needs a stored intent, of the same wallet", () => {
    expect(judge(refund(back(1n)))).toEqual(refused(0, /stored intent/));
    expect(judge(refund(back(1n)), { corrected: { ...bought, wallet: bob.address } })).toEqual(
      refused(0, /wallet of the intent/),
    );
  });

  test("needs an intent that moved something", () => {
    for (const phase of ["PENDING", "VOID_PENDING"] as const) {
      expect(judge(refund(back(1n)), { corrected: { ...bought, phase } })).toEqual(
        refused(0, /moved/),
      );
    }
    const corrected: Intent = { ...bought, phase: "POST_PENDING" };
    expect(judge(refund(back(350n)), { corrected })).toEqual(byHouse);
  });

  test("counts each asset for itself", () => {
    const sfiat = {
      ...purchase(alice.address, 1_000n),
      debitAccountId: sfiatWallet,
      creditAccountId: 2_004_000_001n,
      ledger: 2,
    };
    const corrected = intentOf({ postings: [sfiat] });
    expect(judge(refund(back(1_000n, chart.losses)), { corrected })).toEqual(refused(0, /within/));
  });

  test("goes on to the card only at once: what is pending covers nothing", () => {
    const intent: Intent = { ...refund(back(350n), toCard(350n)), phase: "PENDING" };
    expect(judge(intent, { corrected: bought })).toEqual(refused(1, /IMMEDIATE/));
  });

  test("is what refersToCorrected finds", () => {
    expect(refersToCorrected(refund(back(1n)))).toBe(true);
    expect(refersToCorrected(bought)).toBe(false);
    expect(refersToCorrected({ ...refund(back(1n)), phase: "POST_PENDING" })).toBe(false);
  });
});

describe("POST and VOID", () => {
  const pending = intentOf({
    phase: "PENDING",
    postings: [
      purchase(alice.address, 350n, chart.milk),
      purchase(alice.address, 250n, chart.eggs),
    ],
  });
  const [milk, eggs] = pending.postings as [Posting, Posting];
  const resolve = (phase: "POST_PENDING" | "VOID_PENDING", postings: readonly Posting[]) =>
    intentOf({ phase, pendingIntentId: pending.intentId, postings });

  test.each<[string, "POST_PENDING" | "VOID_PENDING", readonly Posting[], unknown]>([
    ["post all", "POST_PENDING", pending.postings, byHouse],
    ["post a part of one", "POST_PENDING", [{ ...milk, amount: 349n }, eggs], byHouse],
    ["post none of one", "POST_PENDING", [{ ...milk, amount: 0n }, eggs], byHouse],
    ["void", "VOID_PENDING", pending.postings, byHouse],
    ["void a part", "VOID_PENDING", [{ ...milk, amount: 349n }, eggs], refused(0, /voided/)],
    ["void more", "VOID_PENDING", [milk, { ...eggs, amount: 251n }], refused(1, /voided/)],
    ["fewer postings", "POST_PENDING", [milk], refused(1, /2 postings/)],
    ["more postings", "POST_PENDING", [milk, eggs, eggs], refused(2, /2 postings/)],
    ["another order", "POST_PENDING", [eggs, milk], refused(0)],
    ["another debit", "POST_PENDING", [{ ...milk, debitAccountId: other }, eggs], refused(0)],
    [
      "another credit",
      "POST_PENDING",
      [milk, { ...eggs, creditAccountId: chart.bread }],
      refused(1),
    ],
    ["another asset", "POST_PENDING", [{ ...milk, ledger: 2 }, eggs], refused(0)],
    ["another code", "VOID_PENDING", [milk, { ...eggs, code: 9 }], refused(1)],
  ])("%s", (_name, phase, postings, verdict) => {
    const intent = resolve(phase, postings);
    expect(judge(intent, { pending })).toEqual(verdict);
    expect(refersToPending(intent)).toBe(true);
    expect(authorityOf(intent)).toEqual(byHouse);
  });

  test("post more than is pending", () => {
    expect(judge(resolve("POST_PENDING", [milk, { ...eggs, amount: 251n }]), { pending })).toEqual({
      kind: "PENDING_AMOUNT_EXCEEDED",
      field: "intent.postings[1].amount",
      pendingAmount: "250",
      amount: "251",
    });
  });

  test.each([
    ["unknown", undefined],
    ["not pending", { ...pending, phase: "IMMEDIATE" as const }],
    ["itself a post", { ...pending, phase: "POST_PENDING" as const }],
  ])("a pending intent that is %s is PENDING_NOT_FOUND", (_what, stored) => {
    const intent = resolve("POST_PENDING", pending.postings);
    expect(judge(intent, { pending: stored })).toEqual({
      kind: "PENDING_NOT_FOUND",
      intentId: intent.intentId,
      pendingIntentId: pending.intentId,
    });
  });
});
