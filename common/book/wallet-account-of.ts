import { createHash } from "node:crypto";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { walletClassCode } from "./ways.ts";

/**
 * The id of a wallet's account of a class in an asset. Of class 20: as ever. Of others: 2^126 | code << 110 | the first 110
 * bits of SHA-256("sovr/wallet/v2" ‖ address ‖ ledger ‖ code). `wallet`: `0x` hex of 20 bytes.
 */
export function walletAccountOf(wallet: string, ledger: number, classCode: number): bigint {
  if (classCode === walletClassCode) return walletAccountId(wallet, ledger);
  const numbers = Buffer.alloc(6);
  numbers.writeUInt32BE(ledger, 0);
  numbers.writeUInt16BE(classCode, 4);
  const digest = createHash("sha256")
    .update("sovr/wallet/v2", "ascii")
    .update(Buffer.from(wallet.slice(2), "hex"))
    .update(numbers)
    .digest("hex");
  const first110 = BigInt(`0x${digest.slice(0, 28)}`) >> 2n;
  return (1n << 126n) | (BigInt(classCode) << 110n) | first110;
}
