import { join } from "node:path";
import { parseWallet } from "#common/address.ts";
import { DomainError } from "#common/domain-error.ts";
import { Problem } from "../command/problem.ts";
import type { Settings } from "../state/settings.ts";
import { keepNewWallet, readWallets, type Wallet } from "../state/wallet-files.ts";

export type { Wallet } from "../state/wallet-files.ts";

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
  return keepNewWallet(folder(settings), chosen);
}

/** The wallets of this state folder, by name. */
export function listWallets(settings: Settings): readonly Wallet[] {
  return readWallets(folder(settings));
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
