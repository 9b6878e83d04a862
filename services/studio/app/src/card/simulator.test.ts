import { describe, expect, it } from "vitest";
import { declineInWords } from "./decline-words.ts";
import { outcomeOf, type StripeAnswer } from "./simulator.ts";

describe("outcomeOf", () => {
  it.each<readonly [StripeAnswer, object]>([
    [{ status: "succeeded" }, { kind: "accepted" }],
    [{ status: "processing" }, { kind: "accepted" }],
    [{ status: "canceled" }, { kind: "cancelled" }],
    [
      { status: "requires_action", next_action: { redirect_to_url: { url: "http://bank/" } } },
      { kind: "authenticate", url: "http://bank/" },
    ],
    [
      { error: { type: "card_error", code: "card_declined", decline_code: "lost_card" } },
      { kind: "declined", code: "lost_card" },
    ],
    [
      { error: { type: "card_error", code: "expired_card", message: "Expired." } },
      { kind: "declined", code: "expired_card", message: "Expired." },
    ],
    [
      {
        status: "requires_payment_method",
        last_payment_error: { code: "payment_intent_authentication_failure" },
      },
      { kind: "declined", code: "payment_intent_authentication_failure" },
    ],
  ])("of %o is %o", (answer, outcome) => {
    expect(outcomeOf(answer)).toMatchObject(outcome);
  });

  it.each<StripeAnswer>([
    {},
    { error: { type: "invalid_request_error" } },
    { error: { type: "api_error" } },
    { status: "requires_action" },
    { status: "requires_payment_method" },
  ])("takes %o for no answer", (answer) => {
    expect(() => outcomeOf(answer)).toThrow(
      expect.objectContaining({ reason: "PAYMENTS_UNAVAILABLE" }),
    );
  });
});

describe("declineInWords", () => {
  it("says what it knows in words and the rest by its name", () => {
    expect(declineInWords("insufficient_funds")).toMatch(/not have enough/);
    expect(declineInWords("pickup_card")).toBe("The bank says: pickup card.");
    expect(declineInWords("")).toBe("The bank gave no reason.");
  });
});
