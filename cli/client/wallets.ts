import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseWallet } from "#common/address.ts";
import { DomainError } from "#common/domain-error.ts";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import { Problem } from "../command/problem.ts";
import { newPrivateKey } from "../state/keys.ts";
import type { Settings } from "../state/settings.ts";
import { makeFolder, writeWhole } from "../state/write-whole.ts";

/** A development wallet, kept in the state folder with its key. */
export interface Wallet {
  readonly name: string;
  /** EIP-55. */
  readonly address: string;
  /** 32 bytes as `0x` hex. */
  readonly privateKey: string;
}

const namePattern = /^[a-z0-9][a-z0-9-]{0,31}$/;
const folder = (settings: Settings) => join(settings.state, "wallets");

/** Makes a wallet; its name is lower-case letters, digits and dashes, and by default wallet-1, wallet-2, … */
export function createWallet(settings: Settings, name?: string): Wallet {
  const all = listWallets(settings);
  const chosen = name ?? `wallet-${all.length + 1}`;
  if (!namePattern.test(chosen)) {
    throw new Problem(`"${chosen}" is no wallet name: use up to 32 of a-z, 0-9 and dashes`);
  }
  if (all.some((wallet) => wallet.name === chosen)) {
    throw new Problem(`there is a wallet "${chosen}" already: ./mesh wallet show ${chosen}`);
  }
  const key = newPrivateKey();
  const wallet: Wallet = {
    name: chosen,
    address: addressOfPrivateKey(key),
    privateKey: `0x${key.toString("hex")}`,
  };
  makeFolder(folder(settings), 0o700);
  writeWhole(join(folder(settings), `${chosen}.json`), `${JSON.stringify(wallet, null, 2)}\n`);
  return wallet;
}

/** The wallets of this state folder, by name. */
export function listWallets(settings: Settings): readonly Wallet[] {
  if (!existsSync(folder(settings))) return [];
  return readdirSync(folder(settings))
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder(settings), file), "utf8")) as Wallet);
}

/** The address, EIP-55, that a name or an address means. */
export function resolveAddress(settings: Settings, nameOrAddress: string): string {
  if (nameOrAddress.startsWith("0x")) {
    try {
      return parseWallet(nameOrAddress, "wallet");
    } catch (error) {
      const why = error instanceof DomainError ? error.violations[0]?.description : undefined;
      throw new Problem(`"${nameOrAddress}" is no address: it ${why ?? "cannot be read"}`);
    }
  }
  return requireWallet(settings, nameOrAddress).address;
}

/** The wallet with its key, by name or address; a Problem if it is not one of ours. */
export function requireWallet(settings: Settings, nameOrAddress: string): Wallet {
  const wanted = nameOrAddress.toLowerCase();
  const wallet = listWallets(settings).find(
    ({ name, address }) => name === wanted || address.toLowerCase() === wanted,
  );
  if (wallet === undefined) {
    throw new Problem(
      `no wallet "${nameOrAddress}" here: ./mesh wallet list shows them, ./mesh wallet new makes one`,
    );
  }
  return wallet;
}
