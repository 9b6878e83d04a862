import { findAsset } from "#common/ledger/assets.ts";
import { Problem } from "../command/problem.ts";

/** Reads an amount as people write it, "20" or "20.00", into minor units of `ledger`; at least 1. */
export function parseAmount(text: string, ledger: number): bigint {
  const asset = findAsset(ledger);
  if (asset === undefined)
    throw new Problem(`unknown ledger ${ledger}: 1 is USD, 2 SFIAT, 3 POSCR`);
  const match = /^([0-9]{1,20})(?:\.([0-9]{1,18}))?$/.exec(text);
  const fraction = match?.[2] ?? "";
  if (match === null || fraction.length > asset.scale) {
    throw new Problem(`"${text}" is no amount of ${asset.code}: write it like 20.00`);
  }
  const amount = BigInt(match[1] + fraction.padEnd(asset.scale, "0"));
  if (amount === 0n) throw new Problem(`the amount "${text}" is zero`);
  return amount;
}
