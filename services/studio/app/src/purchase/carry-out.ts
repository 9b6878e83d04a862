import { create } from "@bufbuild/protobuf";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { findChartAccount } from "#common/ledger/chart.ts";
import type { GetDomainResponse } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { type ClearingIntent, Phase } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { CheckoutState, PaymentMethod } from "#gen/sovr/checkout/v1/checkout_pb.ts";
import {
  type CreateCheckoutRequest,
  CreateCheckoutRequestSchema,
  type CreateCheckoutResponse,
} from "#gen/sovr/checkout/v1/checkout_service_pb.ts";
import { usd } from "../currency.ts";
import { merchantId } from "../goods/products.ts";
import { explain, StudioError } from "../mesh/problem.ts";
import { walletAccountId } from "../wallet/ids.ts";
import { digestIntent } from "../wallet/intent-digest.ts";
import { type Order, type Purchase, standingOf, withCheckout } from "./purchase.ts";

/** What a purchase is carried out with. */
export interface PurchasePorts {
  readonly createCheckout: (request: CreateCheckoutRequest) => Promise<CreateCheckoutResponse>;
  readonly getDomain: () => Promise<GetDomainResponse>;
  /** Keeps the purchase, and shows it. Called before anything that it says is sent. */
  readonly keep: (purchase: Purchase) => void;
  readonly wait: (ms: number) => Promise<void>;
}

const attemptsMax = 4;
const pauseMs = 500;

/**
 * Asks Checkout for a purchase, with the wallet's signature if there is one, and gives how it stands then. When an
 * answer is lost the same is asked again, a few times by itself and then at the user's word. Never throws.
 */
export async function carryOut(start: Purchase, ports: PurchasePorts): Promise<Purchase> {
  const purchase = keepAs({ ...start, problem: undefined }, ports);
  for (let attempts = 1; ; attempts += 1) {
    try {
      const answer = await ports.createCheckout(requestOf(purchase));
      const domain = needsIntent(purchase, answer) ? await ports.getDomain() : undefined;
      const answered = accept(purchase, answer, domain);
      if (standingOf(answered) === "asking") throw new Error("Checkout left the order as it was");
      return keepAs(answered, ports);
    } catch (error) {
      const problem = explain(error);
      if (problem.remedy !== "again" || attempts >= attemptsMax) {
        return keepAs({ ...purchase, problem }, ports);
      }
      await ports.wait(pauseMs * 2 ** (attempts - 1));
    }
  }
}

function requestOf({ order, walletSignature = "" }: Purchase): CreateCheckoutRequest {
  const { amount, method, items, ...rest } = order;
  return create(CreateCheckoutRequestSchema, {
    ...rest,
    merchantId,
    items: items.map(({ sku, quantity }) => ({ sku, quantity })),
    expectedAmount: String(amount),
    paymentMethod: method,
    walletSignature,
  });
}

function needsIntent({ order, intent }: Purchase, answer: CreateCheckoutResponse): boolean {
  return (
    order.method === PaymentMethod.BALANCE &&
    intent === undefined &&
    answer.checkout?.state === CheckoutState.AWAITING_SIGNATURE
  );
}

/** The purchase as Checkout answered it. Throws StudioError where the answer is not about what was asked. */
function accept(
  purchase: Purchase,
  { checkout, clientSecret, intent }: CreateCheckoutResponse,
  domain: GetDomainResponse | undefined,
): Purchase {
  if (checkout === undefined) throw new Error("CreateCheckout answered no checkout");
  const seen = withCheckout(purchase, checkout);
  checkDigest(seen);
  if (domain === undefined) {
    return { ...seen, clientSecret: clientSecret === "" ? undefined : clientSecret };
  }
  if (intent === undefined) throw new Error("CreateCheckout answered no intent");
  checkIntent(intent, purchase.order);
  return { ...seen, intent, digest: digestOf(domain, intent) };
}

function digestOf(domain: GetDomainResponse, intent: ClearingIntent): string {
  try {
    return digestIntent(domain, intent);
  } catch (error) {
    throw new StudioError("UNKNOWN_FORM", error instanceof Error ? error.message : String(error));
  }
}

/** Throws StudioError INTENT_DIFFERS unless the intent pays from this wallet for goods what the shopper was shown. */
function checkIntent(intent: ClearingIntent, order: Order): void {
  const account = String(walletAccountId(order.wallet, usd));
  const buysGoods = intent.postings.every(
    (posting) =>
      posting.debitAccountId === account &&
      posting.ledger === usd &&
      posting.code === postingCodes.PURCHASE &&
      findChartAccount(BigInt(posting.creditAccountId))?.class === "OBLIGATION",
  );
  const total = intent.postings.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  if (
    buysGoods &&
    total === order.amount &&
    intent.intentId === order.intentId &&
    intent.wallet === order.wallet &&
    intent.merchantId === merchantId &&
    intent.reference === order.orderId &&
    intent.phase === Phase.IMMEDIATE
  ) {
    return;
  }
  throw new StudioError("INTENT_DIFFERS", "the intent is not that of the order");
}

/** Throws StudioError DIGEST_DIFFERS if what cleared is not what was signed. */
function checkDigest({ order, digest, checkout }: Purchase): void {
  const told = checkout?.purchases.find(({ intentId }) => intentId === order.intentId)?.digest;
  if (digest === undefined || told === undefined || told === "" || told === digest) return;
  throw new StudioError("DIGEST_DIFFERS", `Checkout answered ${told}`);
}

function keepAs(purchase: Purchase, ports: PurchasePorts): Purchase {
  const updated = { ...purchase, updatedMs: Date.now() };
  ports.keep(updated);
  return updated;
}
