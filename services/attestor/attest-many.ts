import { setImmediate as nextTurn } from "node:timers/promises";
import type { CallLimit } from "#common/deadline.ts";
import { asError, DomainError } from "#common/domain-error.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import { buildTree } from "#common/tree/merkle.ts";
import { proofToBytes } from "#common/tree/proof.ts";
import {
  type Admitted,
  type AttestorPorts,
  type AttestRequest,
  admit,
  checkTimes,
  signalOf,
  signingAddress,
  signOne,
} from "./attestation.ts";

/** An attestation, or why there is none: a DomainError, or any other Error for a fault of ours. */
export type AttestResult = Attestation | Error;

/**
 * Attests intents, each for itself as attest does, under as few signatures as can be, and answers in their order. Throws
 * NOT_SENT if the time is over before all are checked: what is bound by then is signed when the same intent comes again.
 */
export type AttestMany = (
  requests: readonly Omit<AttestRequest, "limit">[],
  limit: CallLimit,
) => Promise<readonly AttestResult[]>;

/** An intent that is bound to its digest and not signed yet. */
interface Leaf {
  /** Its place in the request. */
  readonly place: number;
  readonly intent: Intent;
  readonly unsigned: Omit<Attestation, "signature">;
}

/** How many wait for the records at once: a fraction of what may wait there in all. */
const sliceMax = 512;
/** How many are checked before other calls get their turn: a millisecond or two of work. */
const turnMax = 16;

/** As AttestMany. */
export async function attestMany(
  ports: AttestorPorts,
  requests: readonly Omit<AttestRequest, "limit">[],
  limit: CallLimit,
): Promise<readonly AttestResult[]> {
  const admitted = await admitAll(ports, requests, limit);
  const results: (AttestResult | undefined)[] = admitted.map((outcome) => {
    if (outcome instanceof Error) return outcome;
    return outcome.kind === "KNOWN" ? outcome.attestation : undefined;
  });
  const leaves = requests.flatMap(({ intent }, place): Leaf[] => {
    const outcome = admitted[place];
    if (outcome === undefined || outcome instanceof Error || outcome.kind === "KNOWN") return [];
    return [{ place, intent, unsigned: outcome.unsigned }];
  });
  // Much may have passed since the first was checked: times and signer are judged again, by one clock for all.
  const nowSeconds = ports.nowSeconds();
  const bySigner = Map.groupBy(leaves, (leaf) => {
    const signer = signerOf(ports, leaf, nowSeconds);
    if (!(signer instanceof Error)) return signer;
    results[leaf.place] = signer;
    return undefined;
  });
  for (const [signer, group] of bySigner) {
    if (signer === undefined) continue;
    const signed = await signGroup(ports, { signer, leaves: group, nowSeconds }, limit);
    for (const [place, result] of signed) results[place] = result;
  }
  return results.map((result) => result ?? new Error("AttestBatch gave no result"));
}

/** Checks and binds all, each for itself, and lets other calls have their turn in between. */
async function admitAll(
  ports: AttestorPorts,
  requests: readonly Omit<AttestRequest, "limit">[],
  limit: CallLimit,
): Promise<(Admitted | Error)[]> {
  const admitted: (Admitted | Error)[] = [];
  for (let start = 0; start < requests.length; start += sliceMax) {
    const slice: Promise<Admitted | Error>[] = [];
    for (const request of requests.slice(start, start + sliceMax)) {
      if (isOver(limit)) throw notSent();
      slice.push(admit(ports, { ...request, limit }).catch(asError));
      if (slice.length % turnMax === 0) await nextTurn();
    }
    admitted.push(...(await Promise.all(slice)));
  }
  return admitted;
}

function isOver({ deadlineMs, signal }: CallLimit): boolean {
  return signal?.aborted === true || Date.now() >= deadlineMs;
}

function notSent(): DomainError<"NOT_SENT"> {
  return new DomainError(
    "NOT_SENT",
    "the deadline passed before anything was signed; send the same again",
  );
}

/** Whose signature an intent gets now, or why it gets none any more. */
function signerOf(ports: AttestorPorts, { intent }: Leaf, nowSeconds: bigint): string | Error {
  try {
    checkTimes(intent, nowSeconds);
    return signingAddress(ports, intent, nowSeconds);
  } catch (error) {
    return asError(error);
  }
}

/** Leaves that get the signature of one signer, at an instant of Unix seconds. */
interface Group {
  readonly signer: string;
  readonly leaves: readonly Leaf[];
  readonly nowSeconds: bigint;
}

/** Signs a group, and keeps an attestation for each. Returns results by place. */
async function signGroup(
  ports: AttestorPorts,
  { signer, leaves, nowSeconds }: Group,
  limit: CallLimit,
): Promise<Map<number, AttestResult>> {
  const results = new Map<number, AttestResult>();
  // An intent that was sent twice is one leaf. What exceeds the signer's limit is in no tree.
  const byDigest = new Map<string, Leaf>();
  for (const leaf of leaves) {
    const { digest } = leaf.unsigned;
    if (byDigest.has(digest)) continue;
    try {
      ports.signatures.take(signer);
      byDigest.set(digest, { ...leaf, unsigned: { ...leaf.unsigned, signer } });
    } catch (error) {
      results.set(leaf.place, asError(error));
    }
  }
  const unique = [...byDigest.values()];
  const signed = await signUnique(ports, { signer, leaves: unique, nowSeconds }, limit);
  const outcomes = new Map(unique.map(({ unsigned }, index) => [unsigned.digest, signed[index]]));
  for (const { place, unsigned } of leaves) {
    const outcome = outcomes.get(unsigned.digest);
    if (outcome !== undefined) results.set(place, outcome);
  }
  return results;
}

async function signUnique(
  ports: AttestorPorts,
  group: Group,
  limit: CallLimit,
): Promise<readonly AttestResult[]> {
  const [first, second] = group.leaves;
  if (first === undefined) return [];
  try {
    // A tree of one is signed in the plain form.
    if (second === undefined) return [await signOne(ports, first.intent, first.unsigned, limit)];
    return await keepAll(ports, group.leaves, await signTree(ports, group, limit));
  } catch (error) {
    return group.leaves.map(() => asError(error));
  }
}

/** One signature for all leaves; what each is attested by. */
async function signTree(
  ports: AttestorPorts,
  { signer, leaves, nowSeconds }: Group,
  limit: CallLimit,
): Promise<readonly Attestation[]> {
  const digests = leaves.map(({ unsigned }) => Buffer.from(unsigned.digest.slice(2), "hex"));
  const { root, count, pathOf } = buildTree(digests);
  const batch = { root, count, issueTime: nowSeconds };
  const data = { digest: ports.digestBatch(batch), encode: () => ports.encodeBatch(batch) };
  const signature = await ports.keys.sign(signer, data, signalOf(limit));
  return leaves.map(({ unsigned }, index) => {
    const proof = proofToBytes({ index, count, path: pathOf(index) });
    const tree = { proof: `0x${proof.toString("hex")}`, issueTime: nowSeconds };
    return { ...unsigned, signature, tree };
  });
}

/** Keeps attestations; what was kept first under an id, alone or from another tree, is its answer for ever. */
async function keepAll(
  ports: AttestorPorts,
  leaves: readonly Leaf[],
  attestations: readonly Attestation[],
): Promise<readonly AttestResult[]> {
  const kept: AttestResult[] = [];
  for (let start = 0; start < leaves.length; start += sliceMax) {
    const slice = leaves.slice(start, start + sliceMax).map(({ intent: { intentId } }, offset) => {
      const attestation = attestations[start + offset];
      if (attestation === undefined) throw new Error(`intent ${intentId} was not signed`);
      return ports.store.keep(intentId, attestation).catch(asError);
    });
    kept.push(...(await Promise.all(slice)));
  }
  return kept;
}
