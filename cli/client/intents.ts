import { zeroWallet } from "#common/address.ts";
import { type IntentDomain, intentDigester, intentDomain } from "#common/intent/digest.ts";
import type { Intent, Posting } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { signDigest } from "#common/intent/signature.ts";
import { chartAccounts } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { newUuidV7 } from "#common/uuid.ts";
import type { MeshIdentity } from "../state/state.ts";
import type { Wallet } from "./wallets.ts";

/** Everything is paid in dollars here. */
export const usd = 1;

const price = { milk: 350n, eggs: 250n, bread: 150n };
type Good = keyof typeof price;

/** What can be bought, in minor units: the bundle is three postings in one chain. */
export const products: Readonly<Record<string, readonly Good[]>> = {
  milk: ["milk"],
  eggs: ["eggs"],
  bread: ["bread"],
  bundle: ["milk", "eggs", "bread"],
};

export interface IntentOptions {
  readonly merchantId?: string;
  readonly reference?: string;
  /** Reserve instead of moving at once. */
  readonly pending?: boolean;
  /** Pending only: seconds until the reservation expires; 0 = never. */
  readonly timeoutSeconds?: number;
  /** How long it may wait for its clearing, in seconds: at most a day, by default an hour. */
  readonly lifetimeSeconds?: number;
}

/** A purchase by a wallet; it needs the wallet's signature. `product`: a key of `products`. */
export function purchaseIntent(
  product: string,
  wallet: string,
  options: IntentOptions = {},
): Intent {
  const goods = products[product];
  if (goods === undefined) throw new RangeError(`unknown product ${product}`);
  const postings = goods.map((good) => ({
    debitAccountId: walletAccountId(wallet, usd),
    creditAccountId: accountByName(`${good.toUpperCase()}_OBLIGATION`),
    amount: price[good],
    ledger: usd,
    code: postingCodes.PURCHASE,
  }));
  return intentOf(wallet, postings, options);
}

/** A house entry that funds a wallet from the bank. `amount`: minor units. */
export function fundingIntent(amount: bigint, wallet: string, options: IntentOptions = {}): Intent {
  const posting = {
    debitAccountId: accountByName("CASH_ODFI"),
    creditAccountId: walletAccountId(wallet, usd),
    amount,
    ledger: usd,
    code: postingCodes.FUNDING,
  };
  return intentOf(zeroWallet, [posting], options);
}

/** A correction between accounts of the house, by their names in the chart. `amount`: minor units. */
export function adjustmentIntent(
  amount: bigint,
  accounts: { readonly from: string; readonly to: string },
  options: IntentOptions = {},
): Intent {
  const posting = {
    debitAccountId: accountByName(accounts.from),
    creditAccountId: accountByName(accounts.to),
    amount,
    ledger: usd,
    code: postingCodes.ADJUSTMENT,
  };
  return intentOf(zeroWallet, [posting], options);
}

/** A payment from wallet to wallet; it needs the payer's signature. `amount`: minor units. */
export function transferIntent(
  amount: bigint,
  parties: { readonly from: string; readonly to: string },
  options: IntentOptions = {},
): Intent {
  const posting = {
    debitAccountId: walletAccountId(parties.from, usd),
    creditAccountId: walletAccountId(parties.to, usd),
    amount,
    ledger: usd,
    code: postingCodes.WALLET_TRANSFER,
  };
  return intentOf(parties.from, [posting], options);
}

/** The wallet's signature over the digest of an intent, for the mesh that `identity` describes. */
export function signIntent(intent: Intent, wallet: Wallet, identity: MeshIdentity): string {
  const digest = intentDigester(domainOf(identity))(intent);
  return signDigest(digest, Buffer.from(wallet.privateKey.slice(2), "hex"));
}

/** The signing domain of the mesh that `identity` describes. */
export function domainOf(identity: MeshIdentity): IntentDomain {
  return intentDomain({
    environment: identity.environment,
    clusterId: BigInt(identity.clusterId),
    chainId: BigInt(identity.chainId),
    verifyingContract: identity.verifyingContract,
  });
}

function intentOf(wallet: string, postings: readonly Posting[], options: IntentOptions): Intent {
  const nowSeconds = BigInt(Math.floor(Date.now() / 1000));
  return {
    intentId: newUuidV7(),
    phase: options.pending ? "PENDING" : "IMMEDIATE",
    wallet,
    merchantId: options.merchantId ?? "",
    reference: options.reference ?? "",
    postings,
    corrects: "",
    pendingIntentId: "",
    timeoutSeconds: options.pending ? (options.timeoutSeconds ?? 0) : 0,
    issueTime: nowSeconds,
    expireTime: nowSeconds + BigInt(options.lifetimeSeconds ?? 3_600),
  };
}

function accountByName(name: string): bigint {
  const account = chartAccounts.find((entry) => entry.name === name && entry.ledger === usd);
  if (account === undefined) throw new RangeError(`the chart of accounts has no ${name}`);
  return account.id;
}
