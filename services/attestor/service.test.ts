import { create, fromJson } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { createContextValues } from "@connectrpc/connect";
import { pino } from "pino";
import { describe, expect, test, vi } from "vitest";
import { formatAttestation, formatIntent } from "#common/intent/codec.ts";
import type { Signer } from "#common/intent/signers.ts";
import { intentTypes } from "#common/intent/typed-data.ts";
import { type Principal, principalKey } from "#common/rpc/access/principal.ts";
import type { UnaryContext } from "#common/rpc/unary-context.ts";
import { createPageTokens } from "#common/wire/page-token.ts";
import {
  AttestRequestSchema,
  GetDomainRequestSchema,
  VerifyAttestationRequestSchema,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { SignerState } from "#gen/sovr/attestor/v1/signer_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import {
  alice,
  attest,
  attestorKey,
  bob,
  digestIntent,
  intentOf,
  signIntent,
  testDomain,
  testKey,
} from "../../test/support/intents/intents.ts";
import type { Attestor } from "./attestation.ts";
import { attestorConfig } from "./config.ts";
import type { Proposals } from "./proposals.ts";
import { createAttestorService } from "./service.ts";

const principal: Principal = {
  subject: "tester",
  scopes: new Set(["attest"]),
  wallet: alice.address,
  expiresAtMs: Number.MAX_SAFE_INTEGER,
};
const context = {
  values: createContextValues().set(principalKey, principal),
  timeoutMs: () => 5_000,
  signal: new AbortController().signal,
} as UnaryContext;

const nowSeconds = 1_800_000_000n;
const signers: Signer[] = [
  {
    address: testKey(1).address,
    activateTime: nowSeconds - 3n,
    retireTime: nowSeconds - 1n,
    revokeTime: undefined,
  },
  {
    address: testKey(2).address,
    activateTime: nowSeconds - 2n,
    retireTime: undefined,
    revokeTime: nowSeconds,
  },
  {
    address: attestorKey.address,
    activateTime: nowSeconds,
    retireTime: nowSeconds + 9n,
    revokeTime: undefined,
  },
  {
    address: testKey(4).address,
    activateTime: nowSeconds + 1n,
    retireTime: undefined,
    revokeTime: undefined,
  },
];

function serviceOf(attestor: Partial<Attestor> = {}) {
  const config = attestorConfig({
    JWT_JWKS_FILE: "jwks.json",
    DATABASE_URL: "postgres://localhost",
    SIGNERS_FILE: "signers.json",
    SOVR_ENVIRONMENT: "test",
    EIP712_VERIFYING_CONTRACT: testDomain.verifyingContract,
    ATTESTOR_PRIVATE_KEY: Buffer.from(attestorKey.privateKey).toString("hex"),
  });
  return createAttestorService({
    config,
    attestor: { attest: vi.fn(), verify: vi.fn(), ...attestor },
    proposals: proposalsOf(),
    pageTokens: createPageTokens("attestor", "postgres://localhost"),
    signers: () => signers,
    nowSeconds: () => nowSeconds,
    logger: pino({ level: "silent" }),
    dependencies: [],
    close: async () => {},
  });
}

/** Proposals that nobody asks for. */
function proposalsOf(): Proposals {
  const nobody = vi.fn();
  return {
    propose: nobody,
    list: nobody,
    get: nobody,
    decide: nobody,
    withdraw: nobody,
    signApproved: nobody,
  };
}

const intent = intentOf();
const attestation = attest(intent, alice);

describe("Attest", () => {
  test("hands the core the intent, one spelling of the signature, and the caller", async () => {
    const core = vi.fn(async () => attestation);
    const compactable = signIntent(intent, alice);
    const request = create(AttestRequestSchema, {
      intent: formatIntent(intent),
      walletSignature: `0x${compactable.slice(2).toUpperCase()}`,
      validateOnly: true,
    });
    const response = await serviceOf({ attest: core }).attest(request, context);
    expect(core).toHaveBeenCalledWith({
      intent,
      walletSignature: compactable,
      approvals: [],
      validateOnly: true,
      caller: principal,
      limit: expect.objectContaining({ signal: context.signal }),
    });
    expect(response).toMatchObject({ attestation: formatAttestation(attestation) });
  });

  test("names a bad signature's field", async () => {
    const request = create(AttestRequestSchema, {
      intent: formatIntent(intent),
      walletSignature: `0x${"ff".repeat(65)}`,
    });
    await expect(serviceOf().attest(request, context)).rejects.toMatchObject({
      kind: "INVALID_FIELD",
      metadata: { field: "wallet_signature" },
    });
  });

  test("an intent that is not there is INVALID_FIELD, not a crash", async () => {
    await expect(serviceOf().attest(create(AttestRequestSchema), context)).rejects.toMatchObject({
      kind: "INVALID_FIELD",
      metadata: { field: "intent" },
    });
  });
});

describe("VerifyAttestation", () => {
  const request = create(VerifyAttestationRequestSchema, {
    intent: formatIntent(intent),
    attestation: formatAttestation(attestation),
  });
  const digest = digestIntent(intent);

  test.each([
    [undefined, true, ErrorReason.UNSPECIFIED],
    ["SIGNER_NOT_TRUSTED", false, ErrorReason.SIGNER_NOT_TRUSTED],
    ["WALLET_SIGNATURE_INVALID", false, ErrorReason.WALLET_SIGNATURE_INVALID],
  ] as const)("%s", async (kind, valid, reason) => {
    const verify = vi.fn(async () => ({ digest, signer: bob.address, reason: kind }));
    const response = await serviceOf({ verify }).verifyAttestation(request, context);
    expect(verify).toHaveBeenCalledWith(intent, attestation);
    expect(response).toMatchObject({ valid, digest, signer: bob.address, reason });
  });
});

test("GetDomain tells all that a wallet needs to sign, and every signer's standing", async () => {
  const response = await serviceOf().getDomain(create(GetDomainRequestSchema), context);
  expect(response).toMatchObject({
    name: testDomain.name,
    version: testDomain.version,
    chainId: "31337",
    verifyingContract: testDomain.verifyingContract,
    salt: testDomain.salt,
  });
  expect(JSON.parse(response.typesJson ?? "")).toEqual(intentTypes);
  expect(response.signers?.map(({ address, state }) => [address, state])).toEqual([
    [testKey(1).address, SignerState.RETIRED],
    [testKey(2).address, SignerState.REVOKED],
    [attestorKey.address, SignerState.ACTIVE],
    [testKey(4).address, SignerState.PENDING],
  ]);
  expect(response.signers?.[2]).toMatchObject({
    activateTime: fromJson(TimestampSchema, "2027-01-15T08:00:00Z"),
    retireTime: fromJson(TimestampSchema, "2027-01-15T08:00:09Z"),
  });
  expect(response.signers?.[3]?.retireTime).toBeUndefined();
});
