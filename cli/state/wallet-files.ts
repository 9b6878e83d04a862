import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import { newPrivateKey } from "./keys.ts";
import { makeFolder, writeWhole } from "./write-whole.ts";

/** A development wallet, kept in the state folder with its key. */
export interface Wallet {
  readonly name: string;
  /** EIP-55. */
  readonly address: string;
  /** 32 bytes as `0x` hex. */
  readonly privateKey: string;
}

/** Makes a wallet and keeps it in a folder, which is made if it is not there. */
export function keepNewWallet(folder: string, name: string): Wallet {
  const key = newPrivateKey();
  const wallet: Wallet = {
    name,
    address: addressOfPrivateKey(key),
    privateKey: `0x${key.toString("hex")}`,
  };
  makeFolder(folder, 0o700);
  writeWhole(join(folder, `${name}.json`), `${JSON.stringify(wallet, null, 2)}\n`);
  return wallet;
}

/** The wallets of a folder, by name; none if it is not there. */
export function readWallets(folder: string): readonly Wallet[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as Wallet);
}
