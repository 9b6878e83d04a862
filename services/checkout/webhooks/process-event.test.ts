import { describe, expect, it } from "vitest";
import type { CheckoutRecord } from "../order/record.ts";
import type { Payment } from "../ports.ts";
import { isHandled, type ProcessPorts, processEvent, webhookTypes } from "./process-event.ts";

const checkoutId = "0192f0c1-0000-7000-8000-000000000001";
const limit = { deadlineMs: Number.MAX_SAFE_INTEGER };

interface Situation {
  /** The payment that the order names; undefined: there is no such order. */
  readonly recorded: string | undefined;
  /** The checkout that Stripe's metadata name; undefined: Stripe does not know the payment. */
  readonly named: string | undefined;
}

/** Ports that write down what is done. */
function portsIn({ recorded, named }: Situation, done: string[] = []) {
  const record = { order: { intentId: checkoutId, paymentIntentId: recorded } } as CheckoutRecord;
  const ports: ProcessPorts = {
    store: {
      findByPayment: async (id) => (id === recorded ? checkoutId : undefined),
      read: async (id) => (id === checkoutId && recorded !== undefined ? record : undefined),
    },
    payments: {
      read: async (id) => {
        done.push(`read ${id}`);
        return named === undefined ? undefined : ({ id, intentId: named } as Payment);
      },
    },
    settler: {
      settle: async () => {
        done.push("settle");
        return record;
      },
    },
    refunds: {
      syncFromStripe: async () => {
        done.push("sync");
        return record;
      },
    },
  };
  return { ports, done };
}

const succeeded = { type: "payment_intent.succeeded", paymentIntentId: "pi_1" };

describe("processEvent", () => {
  it("settles the checkout that the payment is recorded for, without asking whose it is", async () => {
    const { ports, done } = portsIn({ recorded: "pi_1", named: undefined });
    expect(await processEvent(ports, succeeded, limit)).toBe("DONE");
    expect(done).toEqual(["settle"]);
  });

  it("takes refunds into the order first", async () => {
    for (const type of webhookTypes.filter((name) => name.includes("refund"))) {
      const { ports, done } = portsIn({ recorded: "pi_1", named: undefined });
      expect(await processEvent(ports, { type, paymentIntentId: "pi_1" }, limit)).toBe("DONE");
      expect(done, type).toEqual(["sync", "settle"]);
    }
  });

  it("asks Stripe whose payment it is when the event came before the API's answer", async () => {
    const { ports, done } = portsIn({ recorded: "", named: checkoutId });
    expect(await processEvent(ports, succeeded, limit)).toBe("DONE");
    expect(done).toEqual(["read pi_1", "settle"]);
  });

  it.each<[string, Situation, string]>([
    ["no payment", { recorded: "pi_1", named: checkoutId }, ""],
    ["a payment that Stripe does not know", { recorded: "pi_2", named: undefined }, "pi_1"],
    ["a payment without our metadata", { recorded: "pi_2", named: "" }, "pi_1"],
    ["a checkout that is not here", { recorded: undefined, named: checkoutId }, "pi_1"],
    ["another payment than the order's", { recorded: "pi_2", named: checkoutId }, "pi_1"],
  ])("ignores an event of %s", async (_name, situation, paymentIntentId) => {
    const { ports, done } = portsIn(situation);
    expect(await processEvent(ports, { ...succeeded, paymentIntentId }, limit)).toBe("IGNORED");
    expect(done).not.toContain("settle");
  });

  it("throws what stopped it", async () => {
    const { ports } = portsIn({ recorded: "pi_1", named: undefined });
    const stopped = { ...ports, settler: { settle: () => Promise.reject(new Error("stop")) } };
    await expect(processEvent(stopped, succeeded, limit)).rejects.toThrow("stop");
  });
});

describe("isHandled", () => {
  it("knows the types that concern a checkout, and no word of the language", () => {
    expect(webhookTypes.every(isHandled)).toBe(true);
    // What Stripe's list of events takes in one request.
    expect(webhookTypes.length).toBeLessThanOrEqual(20);
    for (const type of ["payment_intent.created", "charge.succeeded", "constructor", ""]) {
      expect(isHandled(type), type).toBe(false);
    }
  });
});
