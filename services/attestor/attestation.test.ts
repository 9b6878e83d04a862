// Goal: what is refused, why, and in which order. Method: the core over ports in memory; the real store has its own
// test in test/integration/attestor.test.ts.
import { describe, expect, test, vi } from "vitest";
import { zeroWallet } from "#common/address.ts";
import { approvalDigester } from "#common/approval/digest.ts";
import { noPolicies } from "#common/approval/policy.ts";
import type { ScopedCaller } from "#common/caller.ts";
import { DomainError } from "#common/domain-error.ts";
import { domainEncoder, intentEncoder } from "#common/intent/digest.ts";
import type { Attestation, Intent } from "#common/intent/intent.ts";
import { postingCodes } from "#common/intent/posting-codes.ts";
import { recoverAddress } from "#common/intent/signature.ts";
import type { Signer } from "#common/intent/signers.ts";
import { keccak256 } from "#common/keccak256.ts";
import { createRateLimit } from "#common/rate-limit.ts";
import { batchEncoder } from "#common/tree/attestation-batch.ts";
import { newUuidV7 } from "#common/uuid.ts";
import {
  alice,
  attest,
  attestorKey,
  bob,
  digestBatch,
  digestIntent,
  funding,
  houseIntentOf,
  intentOf,
  posting,
  purchase,
  signIntent,
  testDomain,
  testKey,
} from "../../test/support/intents/intents.ts";
import {
  type AttestorPorts,
  type AttestRequest,
  createAttestor,
  type SignOnceStore,
} from "./attestation.ts";
import { createLocalKeys } from "./drivers/local-keys.ts";
import type { SigningKeys } from "./signing-keys.ts";

const nowSeconds = 1_800_000_000n;
const operator: ScopedCaller = { scopes: new Set(["attest", "attest.house"]), wallet: undefined };
const shop: ScopedCaller = { scopes: new Set(["attest"]), wallet: undefined };
const house: ScopedCaller = { scopes: new Set(["attest.house"]), wallet: undefined };

const signer: Signer = {
  address: attestorKey.address,
  activateTime: 0n,
  retireTime: undefined,
  revokeTime: undefined,
};

function storeInMemory(): SignOnceStore {
  const digests = new Map<string, string>();
  const attestations = new Map<string, Attestation>();
  return {
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
    async boundTime(intentId, digest) {
      return digests.get(intentId) === digest ? nowSeconds : undefined;
    },
  };
}

function attestorOf(change: Partial<AttestorPorts> = {}) {
  return createAttestor({
    digestIntent,
    digestBatch,
    encodeBatch: batchEncoder(domainEncoder(testDomain)),
    digestApproval: approvalDigester(domainEncoder(testDomain)),
    policies: () => noPolicies,
    proposals: { find: async () => undefined },
    store: storeInMemory(),
    evidence: { byIntentId: async () => undefined, byDigest: async () => undefined },
    keys: createLocalKeys([attestorKey.privateKey]),
    recover: recoverAddress,
    signers: () => [signer],
    nowSeconds: () => nowSeconds,
    limits: { unitsMax: 1_000n },
    rate: rateOf(100),
    signatures: rateOf(100),
    encodeIntent: intentEncoder(testDomain),
    ...change,
  });
}

function rateOf(perWallet: number) {
  return createRateLimit({ what: "intents", perWallet, nowMs: () => Number(nowSeconds) * 1000 });
}

function requestOf(intent: Intent, fields: Partial<AttestRequest> = {}): AttestRequest {
  return {
    intent,
    walletSignature: intent.wallet === alice.address ? signIntent(intent, alice) : "",
    validateOnly: false,
    caller: operator,
    limit: { deadlineMs: Date.now() + 60_000 },
    ...fields,
  };
}

const timely = (fields: Partial<Intent> = {}) => intentOf({ issueTime: nowSeconds, ...fields });
const timelyHouse = (fields: Partial<Intent> = {}) =>
  houseIntentOf({ issueTime: nowSeconds, ...fields });

describe("attest", () => {
  test("signs the digest of what the wallet signed", async () => {
    const intent = timely();
    expect(await attestorOf().attest(requestOf(intent))).toEqual(attest(intent, alice));
  });

  test("signs a house entry without a wallet's signature", async () => {
    const intent = timelyHouse();
    expect(await attestorOf().attest(requestOf(intent))).toEqual(attest(intent));
  });

  test.each<[string, Partial<Intent>, object]>([
    [
      "malformed",
      { merchantId: "ä" },
      { kind: "INVALID_FIELD", metadata: { field: "intent.merchant_id" } },
    ],
    [
      "issued five minutes ahead and a second",
      { issueTime: nowSeconds + 301n },
      { kind: "INTENT_NOT_YET_VALID" },
    ],
    [
      "issued five minutes ago and a second",
      { issueTime: nowSeconds - 301n },
      { kind: "INVALID_FIELD", metadata: { field: "intent.issue_time" } },
    ],
    [
      "expired",
      { issueTime: nowSeconds - 60n, expireTime: nowSeconds },
      { kind: "INTENT_EXPIRED" },
    ],
    [
      "expired long ago",
      { issueTime: nowSeconds - 9_000n, expireTime: nowSeconds - 8_000n },
      { kind: "INTENT_EXPIRED" },
    ],
    ["too large", { postings: [purchase(alice.address, 100_001n)] }, { kind: "LIMIT_EXCEEDED" }],
    [
      "against the rules",
      { postings: [posting({ code: postingCodes.PURCHASE })] },
      { kind: "POSTING_NOT_ALLOWED" },
    ],
    [
      "on another wallet's account",
      { postings: [purchase(bob.address)] },
      { kind: "POSTING_NOT_ALLOWED" },
    ],
    [
      "a refund of nothing",
      { postings: [posting({ debitAccountId: 4_000_001n, code: postingCodes.REFUND })] },
      { kind: "POSTING_NOT_ALLOWED" },
    ],
    [
      "a post of nothing stored",
      { phase: "POST_PENDING", pendingIntentId: newUuidV7() },
      { kind: "PENDING_NOT_FOUND" },
    ],
  ])("refuses what is %s, and binds nothing", async (_what, fields, refusal) => {
    const store = storeInMemory();
    const attestor = attestorOf({ store });
    const intent = timely(fields);
    await expect(attestor.attest(requestOf(intent))).rejects.toMatchObject(refusal);
    const validateOnly = requestOf(intent, { validateOnly: true });
    await expect(attestor.attest(validateOnly)).rejects.toMatchObject(refusal);
    expect(await store.find(intent.intentId)).toBeUndefined();
  });

  test.each([nowSeconds - 300n, nowSeconds + 300n])(
    "takes an intent issued at %s, as clocks differ",
    async (issueTime) => {
      const intent = timely({ issueTime });
      expect((await attestorOf().attest(requestOf(intent))).digest).toBe(digestIntent(intent));
    },
  );
});

describe("authority", () => {
  const both = (fields: Partial<Intent> = {}) =>
    timely({ postings: [funding(alice.address, 349n), purchase(alice.address, 350n)], ...fields });
  const covered = (fields: Partial<Intent> = {}) =>
    timely({
      wallet: zeroWallet,
      postings: [funding(alice.address), purchase(alice.address)],
      ...fields,
    });

  test.each<[string, Intent, ScopedCaller, string | undefined]>([
    ["a purchase by a shop", timely(), shop, undefined],
    ["a purchase by the house alone", timely(), house, "attest"],
    ["a funding by the house", timelyHouse(), house, undefined],
    ["a funding by a shop", timelyHouse(), shop, "attest.house"],
    ["a card purchase by the house", covered(), house, undefined],
    ["a card purchase by a shop", covered(), shop, "attest.house"],
    ["a funding that does not cover, by a shop", both(), shop, "attest.house"],
    ["a funding that does not cover, by the house", both(), house, "attest"],
    ["a funding that does not cover, by both", both(), operator, undefined],
  ])("%s", async (_what, intent, caller, scope) => {
    const answer = attestorOf().attest(requestOf(intent, { caller }));
    if (scope === undefined)
      await expect(answer).resolves.toMatchObject({ digest: digestIntent(intent) });
    else await expect(answer).rejects.toMatchObject({ kind: "SCOPE_MISSING", metadata: { scope } });
  });

  test.each<[string, string]>([
    ["missing", ""],
    ["another's", signIntent(timely({ intentId: newUuidV7() }), bob)],
  ])("a wallet's signature that is %s", async (_what, walletSignature) => {
    await expect(
      attestorOf().attest(requestOf(timely(), { walletSignature })),
    ).rejects.toMatchObject({
      kind: "WALLET_SIGNATURE_INVALID",
      metadata: { wallet: alice.address },
    });
  });

  test("a wallet's signature that is not needed must be right all the same", async () => {
    const intent = timelyHouse({ wallet: alice.address });
    const wrong = requestOf(intent, { walletSignature: signIntent(intent, bob) });
    await expect(attestorOf().attest(wrong)).rejects.toMatchObject({
      kind: "WALLET_SIGNATURE_INVALID",
    });
    expect(await attestorOf().attest(requestOf(intent))).toEqual(attest(intent, alice));
    expect(await attestorOf().attest(requestOf(intent, { walletSignature: "" }))).toEqual(
      attest(intent),
    );
  });

  test("a credential bound to a wallet learns nothing about another's intents", async () => {
    const attestor = attestorOf();
    const intent = timely();
    await attestor.attest(requestOf(intent));
    const caller: ScopedCaller = { scopes: operator.scopes, wallet: bob.address };
    for (const other of [intent, { ...intent, reference: "altered" }, timelyHouse()]) {
      await expect(attestor.attest(requestOf(other, { caller }))).rejects.toMatchObject({
        kind: "SCOPE_MISSING",
        metadata: { wallet: bob.address },
      });
    }
  });
});

describe("who may not have an intent attested learns nothing stored", () => {
  const pending = timely({
    phase: "PENDING",
    wallet: bob.address,
    postings: [purchase(bob.address)],
  });
  const bought = timely({ wallet: bob.address, postings: [purchase(bob.address)] });
  const related = {
    byIntentId: vi.fn(async () => ({ intent: pending, attestation: attest(pending, bob) })),
    byDigest: vi.fn(async () => ({ intent: bought, attestation: attest(bought, bob) })),
  };
  const refund = posting({ debitAccountId: 4_000_001n, code: postingCodes.REFUND });
  const resolving = { pendingIntentId: pending.intentId, postings: pending.postings };
  const asking: readonly [string, Partial<Intent>][] = [
    ["a POST", { ...resolving, phase: "POST_PENDING" }],
    ["a POST of too much", { phase: "POST_PENDING", pendingIntentId: pending.intentId }],
    ["a VOID", { ...resolving, phase: "VOID_PENDING" }],
    ["a refund", { corrects: digestIntent(bought), postings: [refund] }],
    [
      "a refund in an intent that breaks another rule",
      { corrects: digestIntent(bought), postings: [refund, purchase(bob.address)] },
    ],
    ["a funding, too late", { postings: [funding(alice.address)], issueTime: 1n, expireTime: 2n }],
  ];

  test.each(asking)("%s without its scope", async (_what, fields) => {
    const store = storeInMemory();
    const attestor = attestorOf({ evidence: related, store });
    const intent = timely(fields);
    await store.bind(intent.intentId, `0x${"11".repeat(32)}`);
    related.byIntentId.mockClear();
    related.byDigest.mockClear();
    const bound: ScopedCaller = { scopes: new Set(["attest"]), wallet: alice.address };
    for (const caller of [shop, bound]) {
      for (const validateOnly of [false, true]) {
        const asked = attestor.attest(requestOf(intent, { caller, validateOnly }));
        await expect(asked).rejects.toMatchObject({
          kind: "SCOPE_MISSING",
          metadata: { scope: "attest.house", ...(caller.wallet && { wallet: caller.wallet }) },
        });
      }
    }
    expect(related.byIntentId).not.toHaveBeenCalled();
    expect(related.byDigest).not.toHaveBeenCalled();
  });

  test("another wallet's reservation is none of the one in whose name it is resolved", async () => {
    const attestor = attestorOf({ evidence: related });
    for (const phase of ["POST_PENDING", "VOID_PENDING"] as const) {
      const inAliceName = timely({ ...resolving, phase });
      const asked = attestor.attest(requestOf(inAliceName, { walletSignature: "" }));
      await expect(asked).rejects.toMatchObject({ kind: "PENDING_NOT_FOUND" });
      for (const wallet of [bob.address, zeroWallet]) {
        const intent = timely({ ...resolving, phase, wallet });
        const signed = await attestor.attest(requestOf(intent, { walletSignature: "" }));
        expect(signed.digest).toBe(digestIntent(intent));
      }
    }
  });
});

describe("the same intent again", () => {
  test("is answered as it was, whatever changed since", async () => {
    const ports = { store: storeInMemory() };
    const intent = timely();
    const first = await attestorOf(ports).attest(requestOf(intent));
    const later = attestorOf({
      ...ports,
      nowSeconds: () => nowSeconds + 999_999n,
      limits: { unitsMax: 0n },
    });
    expect(await later.attest(requestOf(intent, { walletSignature: "" }))).toEqual(first);
    expect(await later.attest(requestOf(intent, { validateOnly: true }))).toEqual({
      ...first,
      signature: "",
    });
  });

  test("costs the wallet nothing of its share", async () => {
    const attestor = attestorOf({ rate: rateOf(2) });
    const intent = timely();
    for (let time = 0; time < 3; time += 1) await attestor.attest(requestOf(intent));
    await attestor.attest(requestOf(timely()));
    await expect(attestor.attest(requestOf(timely()))).rejects.toMatchObject({
      kind: "RATE_LIMITED",
    });
    await attestor.attest(requestOf(intent));
  });

  test("counts no house entry", async () => {
    const attestor = attestorOf({ rate: rateOf(1) });
    for (let time = 0; time < 5; time += 1) await attestor.attest(requestOf(timelyHouse()));
  });

  test("needs the scope that it needed the first time", async () => {
    const attestor = attestorOf();
    const intent = timelyHouse();
    await attestor.attest(requestOf(intent));
    await expect(attestor.attest(requestOf(intent, { caller: shop }))).rejects.toMatchObject({
      kind: "SCOPE_MISSING",
    });
  });

  test("with other content is INTENT_ID_REUSED, also if it would be refused for itself", async () => {
    const attestor = attestorOf();
    const intent = timely();
    await attestor.attest(requestOf(intent));
    for (const change of [{ reference: "altered" }, { postings: [purchase(bob.address)] }]) {
      const altered = { ...intent, ...change };
      await expect(attestor.attest(requestOf(altered))).rejects.toMatchObject({
        kind: "INTENT_ID_REUSED",
        metadata: {
          intentId: intent.intentId,
          digest: digestIntent(altered),
          storedDigest: digestIntent(intent),
        },
      });
    }
  });

  test("raced by other content never signs the second digest", async () => {
    const store = storeInMemory();
    const intent = timely();
    const sign = vi.fn();
    // Between the checks and bind another replica binds the id.
    const raced: SignOnceStore = {
      ...store,
      async bind(intentId, digest) {
        await store.bind(intentId, digestIntent({ ...intent, reference: "rival" }));
        return store.bind(intentId, digest);
      },
    };
    const keys = { ...createLocalKeys([attestorKey.privateKey]), sign };
    await expect(
      attestorOf({ store: raced, keys }).attest(requestOf(intent)),
    ).rejects.toMatchObject({
      kind: "INTENT_ID_REUSED",
    });
    expect(sign).not.toHaveBeenCalled();
  });
});

describe("a signer that is elsewhere", () => {
  const local = createLocalKeys([attestorKey.privateKey]);

  test("is given the bytes that the digest is the hash of", async () => {
    const intent = timely();
    const sign = vi.fn(local.sign);
    await attestorOf({ keys: { ...local, sign } }).attest(requestOf(intent));
    const data = sign.mock.calls[0]?.[1];
    expect(data?.digest).toBe(digestIntent(intent));
    const hash = keccak256(data?.encode() ?? new Uint8Array());
    expect(`0x${Buffer.from(hash).toString("hex")}`).toBe(data?.digest);
  });

  test("leaves the id bound while it is away, and signs the same intent later, and no other", async () => {
    const away = new DomainError("SIGNER_UNAVAILABLE", "away");
    const sign = vi.fn(local.sign).mockRejectedValueOnce(away);
    const attestor = attestorOf({ keys: { ...local, sign } });
    const intent = timely();
    await expect(attestor.attest(requestOf(intent))).rejects.toBe(away);
    const other = timely({ intentId: intent.intentId, reference: "other" });
    await expect(attestor.attest(requestOf(other))).rejects.toMatchObject({
      kind: "INTENT_ID_REUSED",
    });
    expect(await attestor.attest(requestOf(intent))).toEqual(attest(intent, alice));
  });

  test("is waited for as long as the caller has", async () => {
    const sign: SigningKeys["sign"] = (_address, _data, signal) =>
      new Promise((_, reject) => {
        if (signal.aborted) reject(signal.reason);
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    const caller = new AbortController();
    const attestor = attestorOf({ keys: { ...local, sign } });
    const limit = { deadlineMs: Date.now() + 3_600_000.5, signal: caller.signal };
    const answer = attestor.attest(requestOf(timely(), { limit }));
    caller.abort(new Error("left"));
    await expect(answer).rejects.toThrow("left");
    const late = { deadlineMs: Date.now() };
    await expect(attestor.attest(requestOf(timely(), { limit: late }))).rejects.toThrow("timeout");
  });
});

describe("the rate of a signer", () => {
  test("bounds what is signed, house entries too, and nothing that was signed before", async () => {
    const attestor = attestorOf({ signatures: rateOf(2) });
    const first = timely();
    await attestor.attest(requestOf(first));
    await attestor.attest(requestOf(timelyHouse()));
    await expect(attestor.attest(requestOf(timely()))).rejects.toMatchObject({
      kind: "RATE_LIMITED",
      metadata: { wallet: attestorKey.address, limit: "2" },
    });
    expect(await attestor.attest(requestOf(first))).toEqual(attest(first, alice));
  });
});

describe("validate_only", () => {
  test("asks nothing of the store but a look, takes nothing of the rate, and signs nothing", async () => {
    const sign = vi.fn();
    const take = vi.fn();
    const bind = vi.fn();
    const attestor = attestorOf({
      store: { ...storeInMemory(), bind },
      keys: { ...createLocalKeys([attestorKey.privateKey]), sign },
      rate: { check: () => {}, take, giveBack: () => {} },
    });
    const intent = timely();
    expect(await attestor.attest(requestOf(intent, { validateOnly: true }))).toEqual({
      ...attest(intent, alice),
      signature: "",
    });
    expect([sign, take, bind].map((fn) => fn.mock.calls)).toEqual([[], [], []]);
  });
});

describe("signers", () => {
  const next = testKey(8);

  test("no active signer, or no key of it, is a fault and not the caller's", async () => {
    const revoked = attestorOf({ signers: () => [{ ...signer, revokeTime: nowSeconds }] });
    await expect(revoked.attest(requestOf(timely()))).rejects.toThrow("no signer is active");
    const rotated = attestorOf({ signers: () => [signer, { ...signer, address: next.address }] });
    const answer = rotated.attest(requestOf(timely()));
    await expect(answer).rejects.toThrow(next.address);
    await expect(answer).rejects.not.toHaveProperty("kind");
  });
});

describe("verify", () => {
  const intent = timely();
  const good = attest(intent, alice);

  test("what is good", async () => {
    expect(await attestorOf().verify(intent, good)).toEqual({
      digest: digestIntent(intent),
      signer: attestorKey.address,
      reason: undefined,
    });
  });

  test("what was good and has expired since stays good", async () => {
    const store = storeInMemory();
    await attestorOf({ store }).attest(requestOf(intent));
    const attestor = attestorOf({ store, nowSeconds: () => nowSeconds + 999_999n });
    expect(await attestor.verify(intent, good)).toMatchObject({ reason: undefined });
  });

  test("what is not fresh, and was bound by nobody, is not trusted until it has cleared", async () => {
    const later = { nowSeconds: () => nowSeconds + 601n };
    expect(await attestorOf(later).verify(intent, good)).toMatchObject({
      reason: "SIGNER_NOT_TRUSTED",
    });
    const evidence = {
      byIntentId: async () => ({ intent, attestation: good }),
      byDigest: async () => undefined,
    };
    expect(await attestorOf({ ...later, evidence }).verify(intent, good)).toMatchObject({
      reason: undefined,
    });
  });

  test.each<[string, Attestation, Signer, string]>([
    ["another digest", { ...good, digest: `0x${"00".repeat(32)}` }, signer, "ATTESTATION_INVALID"],
    [
      "a signer that made no signature",
      { ...good, signer: bob.address },
      signer,
      "ATTESTATION_INVALID",
    ],
    ["an unknown signer", attest(intent, alice, bob), signer, "SIGNER_NOT_TRUSTED"],
    ["a revoked signer", good, { ...signer, revokeTime: nowSeconds }, "SIGNER_NOT_TRUSTED"],
    [
      "a signer retired then",
      good,
      { ...signer, retireTime: nowSeconds - 300n },
      "SIGNER_NOT_TRUSTED",
    ],
    ["no wallet's signature", { ...good, walletSignature: "" }, signer, "WALLET_SIGNATURE_INVALID"],
    ["another wallet's signature", attest(intent, bob), signer, "WALLET_SIGNATURE_INVALID"],
  ])("%s", async (_what, attestation, trusted, reason) => {
    const verdict = await attestorOf({ signers: () => [trusted] }).verify(intent, attestation);
    expect(verdict).toMatchObject({ digest: digestIntent(intent), reason });
  });

  test("a signature that nobody made names nobody", async () => {
    const attestation = { ...good, signature: `0x${"00".repeat(64)}1b` };
    expect(await attestorOf().verify(intent, attestation)).toMatchObject({
      signer: "",
      reason: "ATTESTATION_INVALID",
    });
  });

  test("a stolen key's signature under what the rules forbid", async () => {
    const stolen = timely({ postings: [purchase(bob.address)] });
    expect(await attestorOf().verify(stolen, attest(stolen, alice))).toMatchObject({
      signer: attestorKey.address,
      reason: "POSTING_NOT_ALLOWED",
    });
  });

  test("what is malformed, or records that are away, are errors and no answer", async () => {
    await expect(attestorOf().verify({ ...intent, postings: [] }, good)).rejects.toMatchObject({
      kind: "INVALID_FIELD",
    });
    const away = async () => {
      throw new Error("away");
    };
    const attestor = attestorOf({ evidence: { byIntentId: away, byDigest: away } });
    const post = timely({ phase: "POST_PENDING", pendingIntentId: newUuidV7() });
    await expect(attestor.verify(post, attest(post))).rejects.toThrow("away");
  });
});
