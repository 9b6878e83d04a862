import { nanosecondsText } from "#common/ledger/identity.ts";
import type { Finding } from "../finding.ts";
import type { KnownAdoption } from "./gap.ts";
import type { Holding } from "./holdings.ts";
import { givenUpBy, type LedgerStanding } from "./judge-evidence.ts";
import type { OrderAttempt, OrderEntry } from "./ports.ts";

/** What is wrong with an order by Checkout's own rows alone; undefined if nothing is. */
export function judgeOrder(order: OrderEntry): Finding | undefined {
  const { state, changeNs } = order;
  const lacks = [
    ...(order.isPurchased ? [] : ["its purchase"]),
    ...(state === "CLEARED" || order.isRefunded ? [] : ["a refund"]),
    ...(order.isBacked ? [] : ["all that was given back or handed over"]),
  ];
  if (lacks.length === 0) return undefined;
  return about(
    order,
    "ORDER_LOST",
    `${orderText(order)} is ${state} since ${nanosecondsText(changeNs)}, and no intent has cleared for ${lacks.join(" and ")}`,
  );
}

/** What became of an intent of an order. */
export type AttemptFate =
  | { readonly kind: "FITS" }
  | { readonly kind: "GIVEN_UP"; readonly by: KnownAdoption }
  | { readonly kind: "WRONG"; readonly finding: Finding };

/** Holds what Checkout was told of an intent against evidence and ledger. Pure. */
export function judgeAttempt(
  attempt: OrderAttempt,
  holding: Holding,
  standing: LedgerStanding,
): AttemptFate {
  const wrong = (kind: "ORDER_LOST" | "ORDER_ALTERED", what: string): AttemptFate => ({
    kind: "WRONG",
    finding: about(attempt, kind, `${attemptText(attempt)}: ${what}`),
  });
  const { state, commitNs, evidenceDigest, digest } = attempt;
  if (state === "DEAD") {
    if (holding.kind !== "ALL") return { kind: "FITS" };
    return wrong(
      "ORDER_ALTERED",
      `it counts as one that never clears, and its transfers are of ${nanosecondsText(holding.newest)}`,
    );
  }
  const missing = [
    ...(evidenceDigest === digest ? [] : ["its evidence"]),
    ...(holding.kind === "ALL" ? [] : [holding.kind === "PART" ? "a transfer" : "its transfers"]),
  ];
  const adoption = givenUpBy(commitNs, standing);
  if (missing.length > 0) {
    // Adopting gives up what was lost with a ledger, and never evidence.
    const isGivenUp = evidenceDigest === digest && holding.kind === "NONE";
    if (isGivenUp && adoption !== undefined) return { kind: "GIVEN_UP", by: adoption };
    const be = missing.length === 1 && holding.kind !== "NONE" ? "is" : "are";
    return wrong("ORDER_LOST", `${missing.join(" and ")} ${be} not there`);
  }
  if (holding.newest === commitNs || adoption !== undefined) return { kind: "FITS" };
  return wrong(
    "ORDER_ALTERED",
    `its transfers are of ${nanosecondsText(holding.newest)} now: they were lost, and it has cleared again`,
  );
}

function attemptText(attempt: OrderAttempt): string {
  const { kind, intentId, state, commitNs, orderState, createNs } = attempt;
  const when =
    state === "CLEARED"
      ? `cleared at ${nanosecondsText(commitNs)}`
      : `of ${nanosecondsText(createNs)}`;
  return `${orderText(attempt)}, ${orderState}: its ${kind}, intent ${intentId} ${when}`;
}

type Named = Pick<OrderEntry, "checkoutId" | "merchantId" | "orderId">;

function orderText({ merchantId, orderId, checkoutId }: Named): string {
  return `order ${orderId} of ${merchantId} (checkout ${checkoutId})`;
}

function about(
  { checkoutId, merchantId, orderId, ...rest }: Named & { readonly intentId?: string },
  kind: "ORDER_LOST" | "ORDER_ALTERED",
  detail: string,
): Finding {
  const intentId = rest.intentId ?? checkoutId;
  return { kind, detail, intentId, order: { checkoutId, merchantId, orderId } };
}
