import { create, toBinary } from "@bufbuild/protobuf";
import { zeroWallet } from "#common/address.ts";
import { formatAttestation, formatIntent } from "#common/intent/codec.ts";
import { domainEncoder, type IntentDomain, intentDigester } from "#common/intent/digest.ts";
import type { Attestation, Intent, Posting } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { addressOfPrivateKey, signDigest } from "#common/intent/signature.ts";
import { chartAccountId } from "#common/ledger/chart.ts";
import { walletAccountId } from "#common/ledger/wallet-account.ts";
import { batchDigester } from "#common/tree/attestation-batch.ts";
import { buildTree } from "#common/tree/merkle.ts";
import { proofToBytes } from "#common/tree/proof.ts";
import { newUuidV7 } from "#common/uuid.ts";
import {
  AttestBatchRequestSchema,
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

/** Puts intents under one signature of the attestor's, as AttestBatch does. */
export function treeSigner(
  signers: Signers,
): (signed: readonly SignedIntent[]) => readonly SignedIntent[] {
  const digestBatch = batchDigester(domainEncoder(signers.domain));
  const attestorKey = Buffer.from(signers.attestorKey, "hex");
  return (signed) => {
    const { root, count, pathOf } = buildTree(
      signed.map(({ attestation: { digest } }) => Buffer.from(digest.slice(2), "hex")),
    );
    const issueTime = signed[0]?.intent.issueTime ?? 0n;
    const signature = signDigest(digestBatch({ root, count, issueTime }), attestorKey);
    return signed.map(({ intent, attestation }, index) => {
      const bytes = proofToBytes({ index, count, path: pathOf(index) });
      const tree = { proof: `0x${bytes.toString("hex")}`, issueTime };
      return { intent, attestation: { ...attestation, signature, tree } };
    });
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

function attestRequest({ intent, attestation: { walletSignature } }: SignedIntent) {
  return create(AttestRequestSchema, { intent: formatIntent(intent), walletSignature });
}

/** An AttestRequest as it goes over the wire. */
export function encodeAttest(signed: SignedIntent): Buffer {
  return Buffer.from(toBinary(AttestRequestSchema, attestRequest(signed)));
}

/** An AttestBatchRequest as it goes over the wire. */
export function encodeAttestBatch(signed: readonly SignedIntent[]): Buffer {
  const batch = create(AttestBatchRequestSchema, { requests: signed.map(attestRequest) });
  return Buffer.from(toBinary(AttestBatchRequestSchema, batch));
}

/** A VerifyAttestationRequest as it goes over the wire. */
export function encodeVerify({ intent, attestation }: SignedIntent): Buffer {
  const request = create(VerifyAttestationRequestSchema, {
    intent: formatIntent(intent),
    attestation: formatAttestation(attestation),
  });
  return Buffer.from(toBinary(VerifyAttestationRequestSchema, request));
}
