import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { parseIntent } from "#common/intent/codec.ts";
import { intentDigester, intentDomain } from "#common/intent/digest.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { ClearingIntent } from "#gen/sovr/attestor/v1/intent_pb.ts";
import {
  type Checkout,
  CheckoutSchema,
  CheckoutState,
  PaymentMethod,
  PurchaseAttemptSchema,
} from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  type CreateCheckoutRequest,
  type CreateCheckoutResponse,
  CreateCheckoutResponseSchema,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { explainReason } from "../mesh/problem.ts";
import { bundleIntent } from "../testing/bundle-intent.ts";
import { domain, domainSource, wallet } from "../testing/domain.ts";
import { carryOut, type PurchasePorts } from "./carry-out.ts";
import { formatPurchase, parsePurchase } from "./json.ts";
import {
  foundPurchase,
  isOver,
  type Method,
  newPurchase,
  type Purchase,
  problemOf,
  standingOf,
  withCheckout,
} from "./purchase.ts";
import { openPurchases } from "./purchases.ts";

const { AWAITING_SIGNATURE, AWAITING_PAYMENT, CLEARED, FAILED, PAID } = CheckoutState;

function failure(reason: string, code = Code.Unavailable): ConnectError {
  const info = { domain: "sovr", reason };
  return new ConnectError(reason, code, undefined, [{ desc: ErrorInfoSchema, value: info }]);
}

function memoryStorage() {
  const stored = new Map<string, string>();
  return {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
  };
}

function purchase(method: Method): Purchase {
  const items = [{ sku: "BUNDLE", quantity: 1 }];
  return newPurchase({ wallet: wallet.address, items, amount: 750n, method });
}

const byBalance = () => purchase(PaymentMethod.BALANCE);
const byCard = () => purchase(PaymentMethod.CARD);

describe("a purchase", () => {
  let kept: Purchase[];
  let asked: CreateCheckoutRequest[];
  let waits: number[];
  let failures: unknown[];
  let revision: bigint;
  /** What Checkout proposes is altered so. */
  let alter: (intent: ClearingIntent) => void;

  /** Answers as Checkout does: a signature clears, a card waits for its payment. */
  function answer(request: CreateCheckoutRequest): CreateCheckoutResponse {
    const card = request.paymentMethod === PaymentMethod.CARD;
    const signed = request.walletSignature !== "";
    const intent = bundleIntent({ ...request, wallet: wallet.address });
    alter(intent);
    revision += 1n;
    return create(CreateCheckoutResponseSchema, {
      checkout: {
        intentId: request.intentId,
        state: card ? AWAITING_PAYMENT : signed ? CLEARED : AWAITING_SIGNATURE,
        clearedIntentId: signed ? request.intentId : "",
        revision,
      },
      clientSecret: card ? "pi_1_secret_2" : "",
      intent,
    });
  }

  const ports: PurchasePorts = {
    async createCheckout(request) {
      asked.push(request);
      const error = failures.shift();
      if (error !== undefined) throw error;
      return answer(request);
    },
    getDomain: async () => domain,
    keep: (purchase) => kept.push(purchase),
    wait: async (ms) => {
      waits.push(ms);
    },
  };

  const sign = (proposed: Purchase): Purchase => ({
    ...proposed,
    walletSignature: wallet.signDigest(proposed.digest ?? ""),
  });

  beforeEach(() => {
    [kept, asked, waits, failures, revision] = [[], [], [], [], 0n];
    alter = () => undefined;
  });

  it("from the balance is proposed, signed with the digest that the mesh computes, and clears", async () => {
    const proposed = await carryOut(byBalance(), ports);
    expect(standingOf(proposed)).toBe("signature");
    const digest = intentDigester(intentDomain(domainSource));
    expect(proposed.digest).toBe(digest(parseIntent(proposed.intent as ClearingIntent)));
    const done = await carryOut(sign(proposed), ports);
    expect([standingOf(done), done.problem]).toEqual(["over", undefined]);
    expect(asked.map(({ walletSignature }) => walletSignature !== "")).toEqual([false, true]);
    expect(asked[1]).toEqual({ ...asked[0], walletSignature: asked[1]?.walletSignature });
  });

  it("by card waits for the card, with a secret that is kept nowhere", async () => {
    const placed = await carryOut(byCard(), ports);
    expect([standingOf(placed), placed.clientSecret]).toEqual(["card", "pi_1_secret_2"]);
    expect(JSON.stringify(formatPurchase(placed))).not.toContain("secret");
    const reloaded = parsePurchase(formatPurchase(placed));
    expect(standingOf(reloaded)).toBe("asking");
    expect(standingOf(await carryOut(reloaded, ports))).toBe("card");
    expect(asked[1]).toEqual(asked[0]);
  });

  it("is kept before anything is sent", async () => {
    const order: string[] = [];
    await carryOut(byBalance(), {
      ...ports,
      keep: ({ checkout }) => order.push(checkout === undefined ? "kept" : "kept the answer"),
      createCheckout: (request) => {
        order.push("sent");
        return ports.createCheckout(request);
      },
    });
    expect(order).toEqual(["kept", "sent", "kept the answer"]);
  });

  it.each<readonly [string, (intent: ClearingIntent) => void]>([
    ["more", ({ postings: [first] }) => first && Object.assign(first, { amount: "351" })],
    [
      "to whoever it likes",
      ({ postings: [first] }) =>
        first && Object.assign(first, { creditAccountId: String(10n ** 30n) }),
    ],
    [
      "from another wallet",
      ({ postings: [first] }) => first && Object.assign(first, { debitAccountId: "5" }),
    ],
    ["for another order", (intent) => Object.assign(intent, { reference: "another" })],
    ["for another merchant", (intent) => Object.assign(intent, { merchantId: "another" })],
    ["only later", (intent) => Object.assign(intent, { phase: 2 })],
  ])("is not signed if the mesh proposes to pay %s", async (_, change) => {
    alter = change;
    const stopped = await carryOut(byBalance(), ports);
    expect(stopped.problem?.reason).toBe("INTENT_DIFFERS");
    expect([isOver(stopped), stopped.digest]).toEqual([true, undefined]);
  });

  it("is not signed where the mesh signs another form than the one that is explained", async () => {
    const told = JSON.parse(domain.typesJson) as { ClearingIntent: unknown[] };
    told.ClearingIntent.splice(5, 1); // without the postings
    const getDomain = async () => ({ ...domain, typesJson: JSON.stringify(told) });
    const stopped = await carryOut(byBalance(), { ...ports, getDomain });
    expect([stopped.problem?.reason, isOver(stopped)]).toEqual(["UNKNOWN_FORM", true]);
  });

  it.each(["OUTCOME_UNKNOWN", "DRAINING", "LEDGER_UNAVAILABLE", "PAYMENTS_UNAVAILABLE"])(
    "asks the same again after %s",
    async (reason) => {
      const proposed = sign(await carryOut(byBalance(), ports));
      failures = [failure(reason), failure(reason)];
      const done = await carryOut(proposed, ports);
      expect(done.checkout?.state).toBe(CLEARED);
      expect(asked.slice(1)).toEqual([asked[1], asked[1], asked[1]]);
      expect(waits).toEqual([500, 1_000]);
    },
  );

  it("stops asking after a while, and goes on where it stood when it is told to", async () => {
    const proposed = sign(await carryOut(byBalance(), ports));
    failures = Array.from({ length: 4 }, () => new ConnectError("gone", Code.Unavailable));
    const stopped = await carryOut(proposed, ports);
    expect(stopped.problem).toMatchObject({ reason: "NETWORK", remedy: "again" });
    expect([isOver(stopped), standingOf(stopped)]).toEqual([false, "asking"]);
    const done = await carryOut(stopped, ports);
    expect([done.problem, isOver(done)]).toEqual([undefined, true]);
    expect(new Set(asked.map(({ intentId }) => intentId)).size).toBe(1);
  });

  it("does not ask for ever for an order that stays as it is", async () => {
    const createCheckout = async (request: CreateCheckoutRequest) => ({
      ...answer(request),
      clientSecret: "",
    });
    const stopped = await carryOut(byCard(), { ...ports, createCheckout });
    expect([stopped.problem?.reason, waits.length]).toEqual(["NETWORK", 3]);
  });

  it.each([
    ["INSUFFICIENT_FUNDS", Code.FailedPrecondition, true],
    ["INTENT_EXPIRED", Code.FailedPrecondition, true],
    ["PAYMENT_METHOD_UNAVAILABLE", Code.FailedPrecondition, true],
    ["AMOUNT_MISMATCH", Code.InvalidArgument, true],
    // An earlier attempt may have cleared: nobody knows until the same intent is asked about again.
    ["CREDENTIALS_INVALID", Code.Unauthenticated, false],
    ["ACCOUNT_NOT_FOUND", Code.NotFound, false],
  ] as const)("does not insist after %s", async (reason, code, over) => {
    failures = [failure(reason, code)];
    const stopped = await carryOut(byBalance(), ports);
    expect(stopped.problem?.reason).toBe(reason);
    expect(isOver(stopped)).toBe(over);
    expect(asked).toHaveLength(1);
  });

  it("does not take another intent's clearing for its own", async () => {
    const signed = sign(await carryOut(byBalance(), ports));
    const createCheckout = async (request: CreateCheckoutRequest) => {
      const response = answer(request);
      const { intentId } = request;
      const digest = `0x${"1".repeat(64)}`;
      const other = create(PurchaseAttemptSchema, { intentId, digest });
      response.checkout?.purchases.push(other);
      return response;
    };
    const stopped = await carryOut(signed, { ...ports, createCheckout });
    expect(stopped.problem?.reason).toBe("DIGEST_DIFFERS");
  });

  it("follows what Checkout tells of it, and nothing that is older", async () => {
    const placed = await carryOut(byCard(), ports);
    const told = (state: CheckoutState, at: bigint, more: Partial<Checkout> = {}) =>
      Object.assign(create(CheckoutSchema), placed.checkout, more, { state, revision: at });
    const paid = withCheckout({ ...placed, problem: undefined }, told(PAID, 3n));
    expect(standingOf(paid)).toBe("ledger");
    expect(withCheckout(paid, told(AWAITING_PAYMENT, 2n))).toBe(paid);
    expect(withCheckout(paid, told(CLEARED, 3n))).toBe(paid);
    const failed = withCheckout(
      paid,
      told(FAILED, 4n, { failureReason: ErrorReason.AMOUNT_MISMATCH }),
    );
    expect(problemOf(failed)).toMatchObject({ reason: "AMOUNT_MISMATCH", remedy: "over" });
    const { CANCELLED } = CheckoutState;
    const { CHECKOUT_CANCELLED: failureReason } = ErrorReason;
    expect(problemOf(withCheckout(paid, told(CANCELLED, 4n)))?.reason).toBe("CHECKOUT_UNPAID");
    const cancelled = withCheckout(paid, told(CANCELLED, 4n, { failureReason }));
    expect(problemOf(cancelled)?.reason).toBe("CHECKOUT_CANCELLED");
  });

  it("is found again by what Checkout knows of it, and asks for the same", async () => {
    const first = byBalance();
    await carryOut(first, ports);
    const { intentId, orderId } = first.order;
    const found = foundPurchase(
      create(CheckoutSchema, {
        intentId,
        order: { merchantId: "sovr-market", orderId },
        wallet: wallet.address,
        items: [{ sku: "BUNDLE", quantity: 1 }],
        amount: "750",
        paymentMethod: PaymentMethod.BALANCE,
        state: AWAITING_SIGNATURE,
      }),
    );
    expect(standingOf(await carryOut(found, ports))).toBe("signature");
    expect(asked[1]).toEqual(asked[0]);
  });

  it("outlives a reload, whatever it has come to", async () => {
    await carryOut(sign(await carryOut(byBalance(), ports)), ports);
    failures = [failure("INSUFFICIENT_FUNDS", Code.FailedPrecondition)];
    await carryOut(byBalance(), ports);
    expect(kept).toHaveLength(6);
    for (const purchase of kept) {
      expect(parsePurchase(JSON.parse(JSON.stringify(formatPurchase(purchase))))).toEqual(purchase);
    }
  });

  it("does not fall back behind what the stream has told meanwhile", async () => {
    const purchases = openPurchases(memoryStorage(), wallet.address);
    const placed = await carryOut(byCard(), ports);
    purchases.keep(placed);
    const cleared = Object.assign(create(CheckoutSchema), placed.checkout, {
      state: CLEARED,
      revision: 9n,
    });
    purchases.see(cleared);
    const problem = explainReason("NETWORK");
    purchases.keep({ ...placed, problem });
    expect(purchases.state.get()).toMatchObject([{ checkout: cleared, problem: undefined }]);
  });

  it("is not forgotten for one of another tab", () => {
    const storage = memoryStorage();
    const tabs = [openPurchases(storage, wallet.address), openPurchases(storage, wallet.address)];
    const [one, other] = [byBalance(), byCard()];
    tabs[0]?.keep(one);
    tabs[1]?.keep(other);
    expect(openPurchases(storage, wallet.address).state.get()).toEqual([other, one]);
  });

  it("is not forgotten for newer ones while it is not over", async () => {
    const storage = memoryStorage();
    const purchases = openPurchases(storage, wallet.address);
    const open = byBalance();
    purchases.keep(open);
    for (let count = 0; count < 40; count += 1) {
      const checkout = create(CheckoutSchema, { state: CLEARED });
      purchases.keep({ ...byBalance(), checkout });
    }
    const again = openPurchases(storage, wallet.address).state.get();
    expect(again.length).toBeLessThanOrEqual(21);
    expect(again.at(-1)).toEqual(open);
  });
});
