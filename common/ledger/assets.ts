/** An asset: what the amounts of a TigerBeetle ledger count. */
export interface Asset {
  /** The TigerBeetle ledger number. */
  readonly ledger: number;
  readonly code: string;
  /** Decimal places of the unit that the minor unit stands for. */
  readonly scale: number;
}

/** Every asset. Numbers and scales are for ever: amounts in the ledger mean what they say here. */
export const assets: readonly Asset[] = [
  { ledger: 1, code: "USD", scale: 2 },
  { ledger: 2, code: "SFIAT", scale: 2 },
  { ledger: 3, code: "POSCR", scale: 18 },
];

const byLedger = new Map(assets.map((asset) => [asset.ledger, asset]));

/** The asset of a ledger number, or undefined. */
export function findAsset(ledger: number): Asset | undefined {
  return byLedger.get(ledger);
}

/** An amount for people, such as "3.50 USD". Unknown ledgers show minor units. */
export function formatAmount(amount: bigint, ledger: number): string {
  const asset = byLedger.get(ledger);
  if (asset === undefined) return `${amount} minor units of ledger ${ledger}`;
  const sign = amount < 0n ? "-" : "";
  const digits = (amount < 0n ? -amount : amount).toString().padStart(asset.scale + 1, "0");
  const whole = digits.slice(0, digits.length - asset.scale);
  const fraction = digits.slice(digits.length - asset.scale);
  return `${sign}${whole}.${fraction} ${asset.code}`;
}
