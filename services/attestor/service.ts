import { create } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import { parseApprovals } from "#common/approval/codec.ts";
import { approvalTypes } from "#common/approval/typed-data.ts";
import {
  formatAttestation,
  parseAttestation,
  parseIntent,
  parseWalletSignature,
} from "#common/intent/codec.ts";
import { type Signer, type SignerState, signerState } from "#common/intent/signers.ts";
import { intentTypes } from "#common/intent/typed-data.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { limitOf } from "#common/rpc/call-limit.ts";
import type { Implementation } from "#common/rpc/mount.ts";
import { attestationBatchTypes } from "#common/tree/attestation-batch.ts";
import {
  type AttestorService,
  AttestResponseSchema,
  GetDomainResponseSchema,
  VerifyAttestationResponseSchema,
} from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import {
  type Signer as SignerProto,
  SignerSchema,
  SignerState as SignerStateProto,
} from "#gen/sovr/attestor/v1/signer_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import { createProposalMethods, required } from "./codec.ts";
import type { AttestorDeps } from "./deps.ts";

const typesJson = JSON.stringify(intentTypes);

/** The AttestorService but for AttestBatch: wire to domain and back. */
export function createAttestorService(
  deps: Omit<AttestorDeps, "attestMany">,
): Omit<Implementation<typeof AttestorService>, "attestBatch"> {
  return {
    async attest(request, context) {
      const attestation = await deps.attestor.attest({
        intent: parseIntent(required(request.intent, "intent")),
        walletSignature: parseWalletSignature(request.walletSignature, "wallet_signature"),
        approvals: parseApprovals(request.approvals, "approvals"),
        validateOnly: request.validateOnly,
        caller: requirePrincipal(context),
        limit: limitOf(context),
      });
      return create(AttestResponseSchema, { attestation: formatAttestation(attestation) });
    },

    async verifyAttestation(request) {
      const { digest, signer, reason } = await deps.attestor.verify(
        parseIntent(required(request.intent, "intent")),
        parseAttestation(required(request.attestation, "attestation")),
      );
      return create(VerifyAttestationResponseSchema, {
        valid: reason === undefined,
        digest,
        signer,
        reason: reason === undefined ? ErrorReason.UNSPECIFIED : ErrorReason[reason],
      });
    },

    ...createProposalMethods(deps),

    getDomain() {
      const { domain } = deps.config;
      const nowSeconds = deps.nowSeconds();
      return create(GetDomainResponseSchema, {
        name: domain.name,
        version: domain.version,
        chainId: domain.chainId.toString(),
        verifyingContract: domain.verifyingContract,
        salt: domain.salt,
        typesJson,
        approvalTypesJson: JSON.stringify(approvalTypes),
        batchTypesJson: JSON.stringify(attestationBatchTypes),
        signers: deps.signers().map((signer) => formatSigner(signer, nowSeconds)),
      });
    },
  };
}

const stateToProto = {
  PENDING: SignerStateProto.PENDING,
  ACTIVE: SignerStateProto.ACTIVE,
  RETIRED: SignerStateProto.RETIRED,
  REVOKED: SignerStateProto.REVOKED,
} as const satisfies Record<SignerState, SignerStateProto>;

function formatSigner(signer: Signer, nowSeconds: bigint): SignerProto {
  const { address, activateTime, retireTime } = signer;
  return create(SignerSchema, {
    address,
    state: stateToProto[signerState(signer, nowSeconds)],
    activateTime: create(TimestampSchema, { seconds: activateTime }),
    ...(retireTime === undefined
      ? {}
      : { retireTime: create(TimestampSchema, { seconds: retireTime }) }),
  });
}
