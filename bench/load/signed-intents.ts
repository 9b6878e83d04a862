import { create, toBinary } from "@bufbuild/protobuf";
import { zeroWallet } from "#common/address.ts";
import { formatAttestation, formatIntent } from "#common/intent/codec.ts";
import { type IntentDomain, intentDigester } from "#common/intent/digest.ts";
import type { Attestation, Intent, Posting } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { addressOfPrivateKey, signDigest } from "#common/intent/signature.ts";
import { chartAccountId } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { newUuidV7 } from "#common/uuid.ts";
import {
  AttestRequestSchema,
  VerifyAttestationRequestSchema,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import {
  ClearBatchRequestSchema,
  ClearRequestSchema,
} from "#gen/sovr/clearing/v1/clearing_service_pb.ts";

const usd = 1;
const cash = chartAccountId(1_000_002n, usd);
const milk = chartAccountId(4_000_001n, usd);
const lifeSeconds = 12n * 3_600n;

/** Who signs. Keys are 32 bytes as hex. */
export interface Signers {
  readonly domain: IntentDomain;
  readonly attestorKey: string;
  readonly walletKeys: readonly string[];
}

interface SignedIntent {
  readonly intent: Intent;
  readonly attestation: Attestation;
}

/** Makes intents of one posting, signed by the attestor's key and, for purchases, by a wallet's. */
export function signedIntents(signers: Signers, walletSigns: boolean): () => SignedIntent {
  const digestIntent = intentDigester(signers.domain);
  const attestorKey = Buffer.from(signers.attestorKey, "hex");
  const signer = addressOfPrivateKey(attestorKey);
  const wallets = signers.walletKeys.map((hex) => {
    const key = Buffer.from(hex, "hex");
    const address = addressOfPrivateKey(key);
    return { key, address, accountId: walletAccountId(address, usd) };
  });
  let next = 0;
  return () => {
    const wallet = wallets[next++ % wallets.length];
    if (wallet === undefined) throw new Error("a load needs wallets");
    const posting: Posting = walletSigns
      ? move(wallet.accountId, milk, 1n, postingCodes.PURCHASE)
      : move(cash, wallet.accountId, 100n, postingCodes.FUNDING);
    const intent = intentOf(walletSigns ? wallet.address : zeroWallet, posting);
    const digest = digestIntent(intent);
    const attestation = {
      digest,
      signature: signDigest(digest, attestorKey),
      signer,
      walletSignature: walletSigns ? signDigest(digest, wallet.key) : "",
    };
    return { intent, attestation };
  };
}

function move(debitAccountId: bigint, creditAccountId: bigint, amount: bigint, code: number) {
  return { debitAccountId, creditAccountId, amount, ledger: usd, code };
}

function intentOf(wallet: string, posting: Posting): Intent {
  const issueTime = BigInt(Math.floor(Date.now() / 1_000));
  return {
    intentId: newUuidV7(),
    phase: "IMMEDIATE",
    wallet,
    merchantId: "bench",
    reference: "",
    postings: [posting],
    corrects: "",
    pendingIntentId: "",
    timeoutSeconds: 0,
    issueTime,
    expireTime: issueTime + lifeSeconds,
  };
}

function clearRequest({ intent, attestation }: SignedIntent) {
  return create(ClearRequestSchema, {
    intent: formatIntent(intent),
    attestation: formatAttestation(attestation),
  });
}

/** A ClearRequest as it goes over the wire. */
export function encodeClear(signed: SignedIntent): Buffer {
  return Buffer.from(toBinary(ClearRequestSchema, clearRequest(signed)));
}

/** A ClearBatchRequest as it goes over the wire. */
export function encodeClearBatch(signed: readonly SignedIntent[]): Buffer {
  const batch = create(ClearBatchRequestSchema, { requests: signed.map(clearRequest) });
  return Buffer.from(toBinary(ClearBatchRequestSchema, batch));
}

/** An AttestRequest as it goes over the wire. */
export function encodeAttest({ intent, attestation: { walletSignature } }: SignedIntent): Buffer {
  const request = create(AttestRequestSchema, { intent: formatIntent(intent), walletSignature });
  return Buffer.from(toBinary(AttestRequestSchema, request));
}

/** A VerifyAttestationRequest as it goes over the wire. */
export function encodeVerify({ intent, attestation }: SignedIntent): Buffer {
  const request = create(VerifyAttestationRequestSchema, {
    intent: formatIntent(intent),
    attestation: formatAttestation(attestation),
  });
  return Buffer.from(toBinary(VerifyAttestationRequestSchema, request));
}
