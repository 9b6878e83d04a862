import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { invalidField } from "#common/domain-error.ts";
import { formatPhase, parseAttestation, parseIntent } from "#common/intent/codec.ts";
import { formatU128 } from "#common/u128.ts";
import { formatCursor } from "#common/wire/cursor.ts";
import { formatNanoseconds } from "#common/wire/timestamps.ts";
import {
  type Clearing as ClearingProto,
  ClearingSchema,
  ClearingState,
} from "#gen/sovr/clearing/v1/clearing_pb.ts";
import type { ClearRequest as ClearRequestProto } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { ErrorReason } from "#gen/sovr/common/v1/error_reason_pb.ts";
import type { Clearing, ClearRequest } from "./core/clearing.ts";

/** Reads a request. Throws INVALID_FIELD. */
export function parseClearRequest(request: ClearRequestProto): ClearRequest {
  const { intent, attestation, validateOnly } = request;
  if (intent === undefined) throw invalidField("intent", "required", "is required");
  if (attestation === undefined) throw invalidField("attestation", "required", "is required");
  return {
    intent: parseIntent(intent),
    attestation: parseAttestation(attestation),
    validateOnly,
  };
}

const states = {
  CLEARED: ClearingState.CLEARED,
  FAILED: ClearingState.FAILED,
  UNKNOWN: ClearingState.UNKNOWN,
  VALIDATED: ClearingState.VALIDATED,
} as const satisfies Record<Clearing["state"], ClearingState>;

/** A clearing as the contract says it. `clusterId`, u128, goes into the cursor. */
export function formatClearing(clearing: Clearing, clusterId: bigint): ClearingProto {
  const { failure, commitTimestamp } = clearing;
  const proto = create(ClearingSchema, {
    intentId: clearing.intentId,
    digest: clearing.digest,
    phase: formatPhase(clearing.phase),
    state: states[clearing.state],
    transferIds: clearing.transferIds.map(formatU128),
    replayed: clearing.replayed,
  });
  if (clearing.state === "CLEARED") {
    proto.commitTime = formatNanoseconds(commitTimestamp);
    proto.cursor = formatCursor(clusterId, {
      timestamp: commitTimestamp,
      kind: "COMMIT",
      pendingTimestamp: 0n,
    });
  }
  if (failure !== undefined) {
    proto.failureReason = reasonNumber(failure.reason);
    if (failure.timeMs > 0) proto.failureTime = timestampFromMs(failure.timeMs);
  }
  return proto;
}

/** The proto value of a recorded reason; UNSPECIFIED for one that this version does not know. */
function reasonNumber(reason: string): ErrorReason {
  const known: Readonly<Record<string, ErrorReason>> = ErrorReason;
  return known[reason] ?? ErrorReason.UNSPECIFIED;
}
