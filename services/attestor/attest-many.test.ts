// Goal: many intents get one signature, each proved alone, and what is refused is in no tree. Method: the core on local keys
// and records in memory; what it answers is judged by verifyAttestation.
import { expect, test, vi } from "vitest";
import { approvalDigester } from "#common/approval/digest.ts";
import { noPolicies } from "#common/approval/policy.ts";
import { domainEncoder, intentEncoder } from "#common/intent/digest.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import type { Signer } from "#common/intent/signers.ts";
import { verifyAttestation } from "#common/intent/verify-attestation.ts";
import { createRateLimit } from "#common/rate-limit.ts";
import { batchEncoder } from "#common/tree/attestation-batch.ts";
import {
  alice,
  attest,
  attestorKey,
  bob,
  digestBatch,
  digestIntent,
  houseIntentOf,
  intentOf,
  purchase,
  signIntent,
  testDomain,
  testKey,
} from "../../test/support/intents/intents.ts";
import { type AttestResult, attestMany } from "./attest-many.ts";
import type { AttestorPorts, AttestRequest, SignOnceStore } from "./attestation.ts";
import { createLocalKeys } from "./drivers/local-keys.ts";

const nowSeconds = 1_764_000_000n;
const signer: Signer = {
  address: attestorKey.address,
  activateTime: nowSeconds - 86_400n,
  retireTime: undefined,
  revokeTime: undefined,
};

/** Records of one process. */
function recordsOf(): SignOnceStore & { readonly digests: Map<string, string> } {
  const digests = new Map<string, string>();
  const attestations = new Map<string, Attestation>();
  return {
    digests,
    async find(intentId) {
      const digest = digests.get(intentId);
      if (digest === undefined) return undefined;
      return { digest, attestation: attestations.get(intentId) };
    },
    async bind(intentId, digest) {
      const isNew = !digests.has(intentId);
      const bound = digests.get(intentId) ?? digest;
      digests.set(intentId, bound);
      return { digest: bound, attestation: attestations.get(intentId), isNew };
    },
    async keep(intentId, attestation) {
      const kept = attestations.get(intentId) ?? attestation;
      attestations.set(intentId, kept);
      return kept;
    },
    checkDay: async () => undefined,
    boundTime: async () => nowSeconds,
  };
}

function rateOf(perWallet: number) {
  return createRateLimit({ what: "intents", perWallet, nowMs: () => Number(nowSeconds) * 1000 });
}

function portsOf(change: Partial<AttestorPorts> = {}): AttestorPorts {
  return {
    digestIntent,
    digestBatch,
    encodeIntent: intentEncoder(testDomain),
    encodeBatch: batchEncoder(domainEncoder(testDomain)),
    digestApproval: approvalDigester(domainEncoder(testDomain)),
    policies: () => noPolicies,
    proposals: { find: async () => undefined },
    store: recordsOf(),
    evidence: { byIntentId: async () => undefined, byDigest: async () => undefined },
    keys: createLocalKeys([attestorKey.privateKey]),
    recover: recoverAddress,
    signers: () => [signer],
    nowSeconds: () => nowSeconds,
    limits: { unitsMax: 1_000n },
    rate: rateOf(1_000),
    signatures: rateOf(1_000),
    ...change,
  };
}

const timely = (fields: Partial<Intent> = {}) => intentOf({ issueTime: nowSeconds, ...fields });
const house = () => houseIntentOf({ issueTime: nowSeconds });

function requestOf(intent: Intent, fields: Partial<AttestRequest> = {}) {
  return {
    intent,
    walletSignature: intent.wallet === alice.address ? signIntent(intent, alice) : "",
    validateOnly: false,
    caller: { scopes: new Set(["attest", "attest.house"] as const), wallet: undefined },
    ...fields,
  };
}

const limit = () => ({ deadlineMs: Date.now() + 60_000 });

/** Throws unless an attestation is good for an intent, alone. */
function judge(intent: Intent, attestation: AttestResult | undefined): Attestation {
  if (attestation === undefined || attestation instanceof Error) throw attestation;
  verifyAttestation(intent, attestation, {
    digestIntent,
    digestBatch,
    signers: [signer],
    nowSeconds,
    authority: { wallet: intent.wallet === alice.address, house: false },
  });
  return attestation;
}

const countOf = ({ tree }: Attestation) =>
  Buffer.from(tree?.proof.slice(2) ?? "", "hex").readUInt32BE(4);

test("many are signed once, and each is good alone", async () => {
  const ports = portsOf();
  const sign = vi.fn(ports.keys.sign);
  const intents = [...Array.from({ length: 40 }, () => timely()), house()];
  const results = await attestMany(
    { ...ports, keys: { ...ports.keys, sign } },
    intents.map((intent) => requestOf(intent)),
    limit(),
  );
  expect(sign).toHaveBeenCalledTimes(1);
  const judged = intents.map((intent, index) => judge(intent, results[index]));
  expect(new Set(judged.map(({ signature }) => signature)).size).toBe(1);
  expect(judged.map(countOf)).toEqual(Array(41).fill(41));
  const again = await attestMany(
    ports,
    intents.map((intent) => requestOf(intent)),
    limit(),
  );
  expect(again).toEqual(results);
});

test("of one that is left, the signature is the plain one", async () => {
  const intent = timely();
  const late = timely({ issueTime: nowSeconds - 600n });
  const requests = [requestOf(intent), requestOf(late)];
  const [plain, refused] = await attestMany(portsOf(), requests, limit());
  expect(plain).toEqual(attest(intent, alice));
  expect(refused).toMatchObject({ kind: "INVALID_FIELD" });
});

test("what is refused, foreign, or attested before is in no tree", async () => {
  const ports = portsOf();
  const known = timely();
  const [before] = await attestMany(ports, [requestOf(known)], limit());
  const reused = timely({ intentId: known.intentId, reference: "another" });
  const unsigned = timely();
  const good = [timely(), timely(), timely()];
  const requests = [
    requestOf(known),
    requestOf(reused),
    requestOf(unsigned, { walletSignature: signIntent(unsigned, bob) }),
    requestOf(timely({ postings: [purchase(alice.address, 100_001n)] })),
    requestOf(house(), { caller: { scopes: new Set(["attest"]), wallet: undefined } }),
    ...good.map((intent) => requestOf(intent)),
  ];
  const results = await attestMany(ports, requests, limit());
  expect(results[0]).toEqual(before);
  expect(results.slice(1, 5)).toMatchObject([
    { kind: "INTENT_ID_REUSED" },
    { kind: "WALLET_SIGNATURE_INVALID" },
    { kind: "LIMIT_EXCEEDED" },
    { kind: "SCOPE_MISSING" },
  ]);
  const judged = good.map((intent, index) => judge(intent, results[5 + index]));
  expect(judged.map(countOf)).toEqual([3, 3, 3]);
});

test("an intent that stands there twice is one leaf, and both get its attestation", async () => {
  const [first, second] = [timely(), timely()];
  const requests = [first, second, first].map((intent) => requestOf(intent));
  const results = await attestMany(portsOf(), requests, limit());
  expect(countOf(judge(first, results[0]))).toBe(2);
  expect(results[2]).toEqual(results[0]);
  judge(second, results[1]);
});

test("every limit counts each intent", async () => {
  const intents = Array.from({ length: 5 }, () => timely());
  const requests = intents.map((intent) => requestOf(intent));
  const byWallet = await attestMany(portsOf({ rate: rateOf(3) }), requests, limit());
  const refusals = (results: readonly AttestResult[]) =>
    results.map((result) => (result instanceof Error ? "kind" in result && result.kind : "signed"));
  const three = ["signed", "signed", "signed", "RATE_LIMITED", "RATE_LIMITED"];
  expect(refusals(byWallet)).toEqual(three);
  const store = recordsOf();
  const bySigner = await attestMany(portsOf({ signatures: rateOf(3), store }), requests, limit());
  expect(refusals(bySigner)).toEqual(three);
  expect(judge(intents[0] ?? timely(), bySigner[0]).tree).toBeDefined();
  // They were bound, and are signed when they come again.
  const later = await attestMany(portsOf({ store }), requests, limit());
  expect(refusals(later)).toEqual(Array(5).fill("signed"));
  expect(countOf(judge(intents[4] ?? timely(), later[4]))).toBe(2);
  expect(later.slice(0, 3)).toEqual(bySigner.slice(0, 3));
});

test("the clock is read again before the tree is signed: what expired meanwhile is in no tree", async () => {
  let now = nowSeconds;
  const store = recordsOf();
  const bind: SignOnceStore["bind"] = async (...args) => {
    now = nowSeconds + 100n;
    return store.bind(...args);
  };
  const short = timely({ expireTime: nowSeconds + 60n });
  const intents = [short, timely(), timely()];
  const ports = portsOf({ store: { ...store, bind }, nowSeconds: () => now });
  const results = await attestMany(
    ports,
    intents.map((intent) => requestOf(intent)),
    limit(),
  );
  expect(results[0]).toMatchObject({ kind: "INTENT_EXPIRED" });
  const judged = judge(intents[1] ?? short, results[1]);
  expect([countOf(judged), judged.tree?.issueTime]).toEqual([2, nowSeconds + 100n]);
});

test("each signer signs its own: two trees where the signer changed", async () => {
  const next = testKey(8);
  const signers = [
    { ...signer, retireTime: nowSeconds - 100n },
    { ...signer, address: next.address, activateTime: nowSeconds - 100n },
  ];
  const keys = createLocalKeys([attestorKey.privateKey, next.privateKey]);
  const old = () => timely({ issueTime: nowSeconds - 200n });
  const intents = [old(), timely(), old(), timely()];
  const ports = portsOf({ signers: () => signers, keys });
  const results = await attestMany(
    ports,
    intents.map((intent) => requestOf(intent)),
    limit(),
  );
  const signedBy = results.map((result) => (result instanceof Error ? result : result.signer));
  expect(signedBy).toEqual([attestorKey.address, next.address, attestorKey.address, next.address]);
});

test("validate_only signs and binds nothing", async () => {
  const store = recordsOf();
  const intents = [timely(), timely()];
  const requests = intents.map((intent) => requestOf(intent, { validateOnly: true }));
  const results = await attestMany(portsOf({ store }), requests, limit());
  expect(results).toMatchObject([{ signature: "" }, { signature: "" }]);
  expect(store.digests.size).toBe(0);
});

test("a signer that is away refuses what it would have signed, and a late call signs nothing", async () => {
  const away = new Error("away");
  const keys = { ...createLocalKeys([attestorKey.privateKey]), sign: () => Promise.reject(away) };
  const requests = [timely(), timely()].map((intent) => requestOf(intent));
  expect(await attestMany(portsOf({ keys }), requests, limit())).toEqual([away, away]);
  await expect(attestMany(portsOf(), requests, { deadlineMs: 0 })).rejects.toMatchObject({
    kind: "NOT_SENT",
  });
});
