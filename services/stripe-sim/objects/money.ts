import { invalidRequest } from "./errors.ts";

// Amounts are JSON numbers of at most eight digits at Stripe, and so they are in this service alone.

interface Currency {
  readonly symbol: string;
  readonly decimals: 0 | 2;
  /** The least that can be charged. */
  readonly min: number;
}

const currencies: Readonly<Record<string, Currency>> = {
  usd: { symbol: "$", decimals: 2, min: 50 },
  eur: { symbol: "€", decimals: 2, min: 50 },
  gbp: { symbol: "£", decimals: 2, min: 30 },
  chf: { symbol: "CHF ", decimals: 2, min: 50 },
  cad: { symbol: "$", decimals: 2, min: 50 },
  aud: { symbol: "$", decimals: 2, min: 50 },
  jpy: { symbol: "¥", decimals: 0, min: 50 },
};

export const amountMax = 99_999_999;

/** Writes 350 of usd as `$3.50`. */
export function formatAmount(amount: number, currency: string): string {
  const { symbol, decimals } = currencies[currency] ?? { symbol: "", decimals: 2 };
  const digits = String(amount).padStart(decimals + 1, "0");
  return decimals === 0
    ? `${symbol}${digits}`
    : `${symbol}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** Refuses a currency that is not simulated and an amount that cannot be charged in it. Returns it in lower case. */
export function checkCharge(amount: number, currencyText: string): string {
  const code = currencyText.toLowerCase();
  const currency = Object.hasOwn(currencies, code) ? currencies[code] : undefined;
  if (currency === undefined) {
    throw invalidRequest(
      `Invalid currency: ${code.slice(0, 20)}. This simulator knows: ${Object.keys(currencies).join(", ")}`,
      { param: "currency" },
    );
  }
  if (amount < currency.min) {
    throw invalidRequest(`Amount must be at least ${formatAmount(currency.min, code)} ${code}`, {
      code: "amount_too_small",
      param: "amount",
    });
  }
  if (amount > amountMax) {
    throw invalidRequest(`Amount must be no more than ${formatAmount(amountMax, code)} ${code}`, {
      code: "amount_too_large",
      param: "amount",
    });
  }
  return code;
}

/** What Stripe keeps of a card payment: 2.9 % and 30 of the smallest unit, rounded half up. */
export function chargeFee(amount: number): number {
  return Math.min(amount, Math.floor((amount * 29 + 500) / 1_000) + 30);
}
