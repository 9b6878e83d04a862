import { formatAmount } from "#common/ledger/assets.ts";

interface MoneyProps {
  /** Minor units. */
  readonly amount: bigint;
  readonly ledger: number;
  /** Shows a plus as well. */
  readonly signed?: boolean;
}

/** An amount, such as "3.50 USD". */
export function Money({ amount, ledger, signed = false }: MoneyProps) {
  const text = formatAmount(amount < 0n ? -amount : amount, ledger);
  const sign = amount < 0n ? "−" : signed && amount > 0n ? "+" : "";
  return (
    <span className="numeric">
      {sign}
      {text}
    </span>
  );
}
