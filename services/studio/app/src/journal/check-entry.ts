import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { postingCodes } from "#common/intent/posting-codes.ts";
import type { Attestation } from "#gen/sovr/attestor/v1/attestation_pb.ts";
import type { GetDomainResponse } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import type { ClearingIntent } from "#gen/sovr/attestor/v1/intent_pb.ts";
import { SignerState } from "#gen/sovr/attestor/v1/signer_pb.ts";
import type { GetClearingResponse } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import type { JournalEntry } from "#gen/sovr/ledger/v1/journal_entry_pb.ts";
import type { Transfer } from "#gen/sovr/ledger/v1/transfer_pb.ts";
import { transferId } from "../wallet/ids.ts";
import { digestIntent, recoverSigner } from "../wallet/intent-digest.ts";
import { treeDigest } from "../wallet/tree-digest.ts";

/** One thing that this browser found out by itself. */
export interface Check {
  readonly name: string;
  /** Undefined: the rules ask for nothing here, or it could not be checked. */
  readonly ok: boolean | undefined;
  /** True: it could not be checked, for what it needs is not this wallet's to see. */
  readonly unseen?: boolean;
  /** What it means, or what is wrong. */
  readonly says: string;
}

/** What the mesh tells of an entry: the rows by the Ledger, the intent by Clearing, the signers by the Attestor. */
export interface Evidence {
  readonly entry: JournalEntry;
  readonly cleared: GetClearingResponse;
  readonly domain: GetDomainResponse;
}

/** What each check is called. */
export const names = {
  digest: "The digest is that of the intent",
  signer: "A trusted signer attested it",
  wallet: "The wallet signed it",
  ids: "Every transfer's id follows from the intent",
  rows: "Every row is what was signed",
  prefixes: "Every row names the digest",
} as const;

const zeroWallet = `0x${"0".repeat(40)}`;
/** How far clocks may differ, in milliseconds: as the Attestor and Clearing allow. */
const skewMs = 300_000;

/**
 * Checks an entry of the journal without trusting anybody's word for it: the digest is computed anew from the intent,
 * the signers are recovered from the signatures, the transfers derived from the intent.
 */
export function checkEntry({ entry, cleared, domain }: Evidence): Check[] {
  const { intent, attestation } = cleared;
  if (intent === undefined || attestation === undefined) {
    return [{ name: "Evidence", ok: false, says: "Clearing has no intent for this entry." }];
  }
  let digest: string;
  try {
    digest = digestIntent(domain, intent);
  } catch (error) {
    return [{ name: "Digest", ok: false, says: String(error) }];
  }
  const told = toldDigests({ entry, cleared, domain });
  const ids = entry.lines.map((line) => line.transferId);
  return [
    {
      name: names.digest,
      ...result(
        told.every((other) => other === digest),
        {
          good: "Computed here by EIP-712, it equals what Ledger, Clearing and Attestor tell.",
          bad: `Computed here it is ${digest}; the mesh tells another one.`,
        },
      ),
    },
    checkSigner(digest, attestation, { domain, intent }),
    checkWallet(digest, intent, attestation.walletSignature),
    {
      name: names.ids,
      ...result(
        entry.intentId === intent.intentId &&
          same(
            ids,
            intent.postings.map((_, leg) => String(transferId(intent.intentId, leg))),
          ),
        {
          good: "Derived here from the intent's id and the leg, each is the row's.",
          bad: "A row has an id that this intent does not derive.",
        },
      ),
    },
    {
      name: names.rows,
      ...result(
        entry.lines.length === intent.postings.length &&
          entry.lines.every((line, leg) => isLeg(line, leg, cleared)),
        {
          good: "Accounts, amounts, asset and rule of each row are the posting's.",
          bad: "A row differs from the posting that was signed.",
        },
      ),
    },
    {
      name: names.prefixes,
      ...result(
        entry.lines.length > 0 &&
          entry.lines.every(({ digestPrefix }) => digestPrefix === digest.slice(0, 50)),
        {
          good: "192 bits of it stand in the ledger itself, in each row.",
          bad: "A row carries the digest of another intent.",
        },
      ),
    },
  ];
}

/** The digest by everyone's word. */
export function toldDigests({ entry, cleared }: Evidence): (string | undefined)[] {
  const { attestation, clearing } = cleared;
  return [entry.digest, attestation?.digest, entry.attestation?.digest, clearing?.digest];
}

export function result(ok: boolean, says: { readonly good: string; readonly bad: string }) {
  return { ok, says: ok ? says.good : says.bad };
}

function same(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((text, index) => text === others[index]);
}

/** Whether who made the signature is trusted, and was when the intent was made. */
export function checkSigner(
  digest: string,
  { signature, signer: claimed, tree }: Attestation,
  { domain, intent }: { readonly domain: GetDomainResponse; readonly intent: ClearingIntent },
): Check {
  const name = names.signer;
  const signed = tree === undefined ? digest : treeDigest(domain, digest, tree);
  const recovered = signed === undefined ? undefined : recoverSigner(signed, signature);
  const issueMs = msOf(intent.issueTime);
  const treeMs = tree === undefined ? issueMs : msOf(tree.issueTime);
  if (recovered === undefined || recovered !== claimed) {
    return { name, ok: false, says: `The signature is not that of ${claimed} over this digest.` };
  }
  const signer = domain.signers.find(({ address }) => address === recovered);
  if (signer === undefined)
    return { name, ok: false, says: `${recovered} is no signer of this mesh.` };
  if (signer.state === SignerState.REVOKED) {
    return { name, ok: false, says: `${recovered} is trusted no more.` };
  }
  const from = signer.activateTime === undefined ? 0 : timestampMs(signer.activateTime);
  const to = signer.retireTime === undefined ? Infinity : timestampMs(signer.retireTime);
  const active = [issueMs, treeMs].every((ms) => ms >= from - skewMs && ms <= to + skewMs);
  if (Math.abs(treeMs - issueMs) > skewMs) {
    return {
      name,
      ok: false,
      says: "It was signed with others, at another time than it was made.",
    };
  }
  return {
    name,
    ...result(active, {
      good:
        tree === undefined
          ? `Recovered here from the signature: ${recovered}, which the Attestor lists.`
          : `Recovered here from the signature under many intents, of which the proof shows this one: ${recovered}, which the Attestor lists.`,
      bad: `${recovered} was not active when the intent was made.`,
    }),
  };
}

function msOf(time: Timestamp | undefined): number {
  return time === undefined ? 0 : timestampMs(time);
}

function checkWallet(
  digest: string,
  { wallet, postings }: ClearingIntent,
  walletSignature: string,
): Check {
  const name = names.wallet;
  if (wallet === zeroWallet) {
    return {
      name,
      ok: undefined,
      says: "An entry of the house: no wallet is debited, none has to sign.",
    };
  }
  if (walletSignature === "") {
    const funds = postings.some(({ code }) => code === postingCodes.FUNDING);
    return {
      name,
      ok: undefined,
      says: funds
        ? "Paid from outside, such as by card: it spends what it funds itself, so no wallet has to sign."
        : "The house made it in the wallet's name; no wallet signed.",
    };
  }
  return {
    name,
    ...result(recoverSigner(digest, walletSignature) === wallet, {
      good: `Recovered here from the wallet's own signature: ${wallet}.`,
      bad: `The signature is not that of ${wallet} over this digest.`,
    }),
  };
}

function isLeg(line: Transfer, leg: number, { intent }: GetClearingResponse): boolean {
  const posting = intent?.postings[leg];
  return (
    posting !== undefined &&
    line.leg === leg &&
    line.legs === intent?.postings.length &&
    line.phase === intent.phase &&
    line.debitAccountId === posting.debitAccountId &&
    line.creditAccountId === posting.creditAccountId &&
    line.amount === posting.amount &&
    line.ledger === posting.ledger &&
    line.code === posting.code
  );
}
