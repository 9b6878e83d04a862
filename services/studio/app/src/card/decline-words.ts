/** What banks say, in words: Stripe's codes. Those that are not here are said by their name. */
const words: Readonly<Record<string, string>> = {
  generic_decline: "The bank gave no reason.",
  card_declined: "The bank gave no reason.",
  insufficient_funds: "The card does not have enough money on it.",
  lost_card: "The card was reported lost.",
  stolen_card: "The card was reported stolen.",
  expired_card: "The card has expired.",
  incorrect_cvc: "The security code is wrong.",
  processing_error: "The bank could not process it just now.",
  payment_intent_authentication_failure: "It was not confirmed with the bank.",
};

/** What the bank said. `code`: as Checkout tells it; "" for nothing. */
export function declineInWords(code: string): string {
  if (code === "") return "The bank gave no reason.";
  return words[code] ?? `The bank says: ${code.replaceAll("_", " ")}.`;
}
