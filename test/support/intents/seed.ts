import {
  type Account,
  AccountFlags,
  type Client,
  CreateAccountStatus,
  CreateTransferStatus,
} from "tigerbeetle-node";
import { walletBytes } from "#common/address.ts";
import type { AttestedIntent, Intent } from "#common/intent/intent.ts";
import { accountClasses, chartAccounts, classRules } from "#common/ledger/chart.ts";
import { type TransferRow, transferRows } from "#common/ledger/transfer-rows.ts";
import { walletAccountId, walletUserData } from "#common/ledger/wallet-account.ts";
import { packPostings, phaseNumbers, unhex } from "#common/postgres/evidence.ts";
import type { Pool } from "#common/postgres/pool.ts";
import { formatTransfer } from "#common/tigerbeetle/transfer-codec.ts";
import { emptyAccount } from "../../../engine/testing/empty-rows.ts";
import { attest, usd } from "./intents.ts";

/** What became of a chain. */
export interface Seeded extends AttestedIntent {
  readonly rows: readonly TransferRow[];
  /** Of each leg, in nanoseconds, also if it failed. */
  readonly timestamps: readonly bigint[];
  /** True if the whole chain is in the ledger. */
  readonly committed: boolean;
}

/**
 * Puts attested chains into a ledger and its records in the order of things of Clearing (evidence first, the ledger
 * last) but with none of its checks: for tests of what reads them. Several seeds may write at once.
 */
export interface Seed {
  /** Opens every account of the chart. */
  openChart(): Promise<void>;
  /** Opens accounts of wallets in the given assets, USD alone by default. */
  openWallets(wallets: readonly string[], ledgers?: readonly number[]): Promise<void>;
  /** Stores the evidence and writes the chain. A chain that the ledger refuses is an answer too. */
  clear(intent: Intent): Promise<Seeded>;
  /** The same for many intents in one batch, at most 253 legs in all. */
  clearAll(intents: readonly Intent[]): Promise<Seeded[]>;
}

/** `pool`: a migrated database, or undefined for a ledger whose evidence nobody reads. */
export function createSeed(client: Client, pool: Pool | undefined): Seed {
  const clearAll = async (intents: readonly Intent[]): Promise<Seeded[]> => {
    const attested = intents.map((intent) => ({ intent, attestation: attest(intent) }));
    if (pool !== undefined) for (const item of attested) await insertEvidence(pool, item);
    const chains = attested.map((item) => transferRows(item.intent, item.attestation.digest));
    const results = await client.createTransfers(chains.flat().map(formatTransfer));
    let first = 0;
    return attested.map((item, index) => {
      const rows = chains[index] ?? [];
      const ofChain = results.slice(first, first + rows.length);
      first += rows.length;
      return {
        ...item,
        rows,
        timestamps: ofChain.map((result) => result.timestamp),
        committed: ofChain.every((result) => result.status === CreateTransferStatus.created),
      };
    });
  };
  return {
    openChart: () =>
      openAccounts(
        client,
        chartAccounts.map((account) =>
          newAccount({
            id: account.id,
            ledger: account.ledger,
            code: accountClasses[account.class],
            flags: classFlags(account.class),
          }),
        ),
      ),
    openWallets: (wallets, ledgers = [usd]) =>
      openAccounts(
        client,
        wallets.flatMap((wallet) =>
          ledgers.map((ledger) => {
            const { userData128, userData32 } = walletUserData(wallet);
            return newAccount({
              id: walletAccountId(wallet, ledger),
              ledger,
              code: accountClasses.WALLET,
              flags: classFlags("WALLET"),
              user_data_128: userData128,
              user_data_32: userData32,
            });
          }),
        ),
      ),
    clear: async (intent) => {
      const [seeded] = await clearAll([intent]);
      if (seeded === undefined) throw new Error("nothing was cleared");
      return seeded;
    },
    clearAll,
  };
}

function classFlags(accountClass: keyof typeof classRules): number {
  const limited = classRules[accountClass].neverOverdrawn;
  return AccountFlags.history | (limited ? AccountFlags.debits_must_not_exceed_credits : 0);
}

function newAccount(fields: Partial<Account>): Account {
  return { ...emptyAccount(0n), ledger: usd, ...fields };
}

/** Fits into one request of a replica that runs with --development. */
const accountsMax = 250;

async function openAccounts(client: Client, accounts: readonly Account[]): Promise<void> {
  for (let first = 0; first < accounts.length; first += accountsMax) {
    for (const { status } of await client.createAccounts(
      accounts.slice(first, first + accountsMax),
    )) {
      if (status !== CreateAccountStatus.created && status !== CreateAccountStatus.exists) {
        throw new Error(`an account was not opened: ${CreateAccountStatus[status]}`);
      }
    }
  }
}

/** Stores the evidence of an intent, whatever the ledger says about it. */
export async function insertEvidence(pool: Pool, item: AttestedIntent): Promise<void> {
  const { intent, attestation } = item;
  const orNull = (text: string) => (text === "" ? null : text);
  const bytesOrNull = (text: string) => (text === "" ? null : unhex(text));
  await pool.query(
    `insert into evidence (intent_id, digest, phase, wallet, merchant_id, reference, postings, corrects,
       pending_intent_id, timeout_seconds, issue_time, expire_time, signature, signer, wallet_signature)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
    [
      intent.intentId,
      unhex(attestation.digest),
      phaseNumbers[intent.phase],
      walletBytes(intent.wallet),
      intent.merchantId,
      intent.reference,
      packPostings(intent.postings),
      bytesOrNull(intent.corrects),
      orNull(intent.pendingIntentId),
      intent.timeoutSeconds,
      intent.issueTime,
      intent.expireTime,
      unhex(attestation.signature),
      walletBytes(attestation.signer),
      bytesOrNull(attestation.walletSignature),
    ],
  );
}
