import { zeroWallet } from "#common/address.ts";
import {
  type DigestIntent,
  domainEncoder,
  type IntentDomain,
  intentDigester,
  intentDomain,
} from "#common/intent/digest.ts";
import type { Attestation, Intent, Posting } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { addressOfPrivateKey, signDigest } from "#common/intent/signature.ts";
import { chartAccountId } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { batchDigester, type DigestBatch } from "#common/tree/attestation-batch.ts";
import { newUuidV7 } from "#common/uuid.ts";

/** A key pair whose private key is a small number: for tests, and as public as this line. */
export interface TestKey {
  readonly privateKey: Uint8Array;
  /** EIP-55. */
  readonly address: string;
}

/** The key pair of a small number, at least 1: the same on every machine. */
export function testKey(number: number): TestKey {
  const privateKey = Buffer.alloc(32);
  privateKey.writeUInt32BE(number, 28);
  return { privateKey, address: addressOfPrivateKey(privateKey) };
}

export const alice = testKey(0xa11ce);
export const bob = testKey(0xb0b);
/** The Attestor's key in tests. */
export const attestorKey = testKey(0xa77e);

/** The domain of a mesh that is only ever a test's. */
export const testDomain: IntentDomain = intentDomain({
  environment: "test",
  clusterId: 0n,
  chainId: 31_337n,
  verifyingContract: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
});

export const digestIntent: DigestIntent = intentDigester(testDomain);
export const digestBatch: DigestBatch = batchDigester(domainEncoder(testDomain));

export const usd = 1;

/** Ids of chart accounts in ledger 1. */
export const chart = {
  reserve: 1_000_001n,
  cash: 1_000_002n,
  ach: 1_000_003n,
  stripe: 3_000_001n,
  instacart: 3_000_002n,
  utilities: 3_000_003n,
  milk: 4_000_001n,
  eggs: 4_000_002n,
  bread: 4_000_003n,
  mirror: 5_000_001n,
  audit: 5_000_002n,
  fees: 7_000_001n,
  losses: 7_000_002n,
} as const;

/** TOKEN_RESERVE of SFIAT and of POSCR. */
export const tokenReserve = {
  2: chartAccountId(6_000_001n, 2),
  3: chartAccountId(6_000_001n, 3),
} as const;

/** A valid intent of `wallet`, issued now for an hour: a purchase of milk unless `fields` say otherwise. */
export function intentOf(fields: Partial<Intent> = {}): Intent {
  const wallet = fields.wallet ?? alice.address;
  const issueTime = fields.issueTime ?? BigInt(Math.floor(Date.now() / 1000));
  return {
    intentId: newUuidV7(),
    phase: "IMMEDIATE",
    wallet,
    merchantId: "market-1",
    reference: "A-17",
    postings: [purchase(wallet)],
    corrects: "",
    pendingIntentId: "",
    timeoutSeconds: 0,
    issueTime,
    expireTime: issueTime + 3_600n,
    ...fields,
  };
}

/** A house entry: the zero wallet's, a funding of alice unless `fields` say otherwise. */
export function houseIntentOf(fields: Partial<Intent> = {}): Intent {
  return intentOf({ wallet: zeroWallet, postings: [funding(alice.address)], ...fields });
}

export function posting(fields: Partial<Posting> = {}): Posting {
  return {
    debitAccountId: chart.cash,
    creditAccountId: walletAccountId(alice.address, usd),
    amount: 350n,
    ledger: usd,
    code: postingCodes.FUNDING,
    ...fields,
  };
}

/** WALLET → OBLIGATION. `goods`: an id of the chart. */
export function purchase(wallet: string, amount = 350n, goods: bigint = chart.milk): Posting {
  return posting({
    debitAccountId: walletAccountId(wallet, usd),
    creditAccountId: goods,
    amount,
    code: postingCodes.PURCHASE,
  });
}

/** STRIPE_SETTLEMENT or CASH → WALLET. */
export function funding(wallet: string, amount = 350n, source: bigint = chart.cash): Posting {
  return posting({
    debitAccountId: source,
    creditAccountId: walletAccountId(wallet, usd),
    amount,
    code: postingCodes.FUNDING,
  });
}

/** WALLET → WALLET. */
export function transfer(from: string, to: string, amount = 350n): Posting {
  return posting({
    debitAccountId: walletAccountId(from, usd),
    creditAccountId: walletAccountId(to, usd),
    amount,
    code: postingCodes.WALLET_TRANSFER,
  });
}

/** A key's signature over an intent in the test domain. */
export function signIntent(intent: Intent, key: TestKey): string {
  return signDigest(digestIntent(intent), key.privateKey);
}

/** An attestation as the Attestor of the tests would make it. `wallet` also signs if it is given. */
export function attest(
  intent: Intent,
  wallet?: TestKey,
  signer: TestKey = attestorKey,
): Attestation {
  const digest = digestIntent(intent);
  return {
    digest,
    signature: signDigest(digest, signer.privateKey),
    signer: signer.address,
    walletSignature: wallet === undefined ? "" : signDigest(digest, wallet.privateKey),
  };
}
