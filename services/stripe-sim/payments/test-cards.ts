/** One of Stripe's published test cards. Its number is compared with what is typed, and never kept with a payment. */
export interface TestCard {
  /** Of `pm_card_<name>` and `tok_<name>`. */
  readonly name: string;
  readonly number: string;
  readonly brand: "visa" | "mastercard" | "amex" | "discover";
  readonly funding: "credit" | "debit";
  /** Why a payment fails; undefined if it does not. */
  readonly decline?: Decline;
  /** Whether the shopper has to confirm a payment with the bank. */
  readonly authentication?: boolean;
  /** What becomes of its refunds later: they begin pending, or fail after they had succeeded. */
  readonly refunds?: "pending" | "fail";
}

export interface Decline {
  readonly code: string;
  readonly declineCode: string;
  readonly message: string;
}

const declined = "Your card was declined.";

function decline(code: string, declineCode: string, message: string): Decline {
  return { code, declineCode, message };
}

const insufficientFunds = decline(
  "card_declined",
  "insufficient_funds",
  "Your card has insufficient funds.",
);

export const authenticationRequired = decline(
  "authentication_required",
  "authentication_required",
  "Your card was declined. This transaction requires authentication.",
);

function visa(name: string, number: string, behaviour: Partial<TestCard> = {}): TestCard {
  return { name, number, brand: "visa", funding: "credit", ...behaviour };
}

export const testCards: readonly TestCard[] = [
  visa("visa", "4242424242424242"),
  visa("visa_debit", "4000056655665556", { funding: "debit" }),
  visa("mastercard", "5555555555554444", { brand: "mastercard" }),
  visa("amex", "378282246310005", { brand: "amex" }),
  visa("discover", "6011111111111117", { brand: "discover" }),
  visa("chargeDeclined", "4000000000000002", {
    decline: decline("card_declined", "generic_decline", declined),
  }),
  visa("chargeDeclinedInsufficientFunds", "4000000000009995", { decline: insufficientFunds }),
  visa("chargeDeclinedLostCard", "4000000000009987", {
    decline: decline("card_declined", "lost_card", declined),
  }),
  visa("chargeDeclinedStolenCard", "4000000000009979", {
    decline: decline("card_declined", "stolen_card", declined),
  }),
  visa("chargeDeclinedExpiredCard", "4000000000000069", {
    decline: decline("expired_card", "expired_card", "Your card has expired."),
  }),
  visa("chargeDeclinedIncorrectCvc", "4000000000000127", {
    decline: decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
  }),
  visa("chargeDeclinedProcessingError", "4000000000000119", {
    decline: decline(
      "processing_error",
      "processing_error",
      "An error occurred while processing your card. Try again in a little bit.",
    ),
  }),
  visa("authenticationRequired", "4000002500003155", { authentication: true }),
  visa("threeDSecure2Required", "4000000000003220", { authentication: true }),
  visa("authenticationRequiredChargeDeclinedInsufficientFunds", "4000008260003178", {
    authentication: true,
    decline: insufficientFunds,
  }),
  visa("pendingRefund", "4000000000007726", { refunds: "pending" }),
  visa("refundFail", "4000000000005126", { refunds: "fail" }),
];

export function cardByName(name: string): TestCard | undefined {
  return testCards.find((card) => card.name === name);
}

export function cardByNumber(number: string): TestCard | undefined {
  return testCards.find((card) => card.number === number);
}

/** Whether the check digit of a card number is right. */
export function hasCheckDigit(number: string): boolean {
  let sum = 0;
  for (const [index, digit] of [...number].reverse().entries()) {
    const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 === 0;
}
