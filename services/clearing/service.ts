import { parseWallet } from "#common/address.ts";
import { formatAttestation, formatIntent } from "#common/intent/codec.ts";
import { requirePrincipal } from "#common/rpc/access/principal.ts";
import { limitOf } from "#common/rpc/call-limit.ts";
import type { Implementation } from "#common/rpc/mount.ts";
import { formatU128 } from "#common/u128.ts";
import type { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { formatClearing, parseClearRequest } from "./codec.ts";
import type { ClearingHouse } from "./core/house.ts";

export interface ClearingServiceOptions {
  readonly clearing: ClearingHouse;
  /** u128; goes into cursors. */
  readonly clusterId: bigint;
}

/** ClearingService on the clearing house, but for ClearBatch. */
export function createClearingService(
  options: ClearingServiceOptions,
): Omit<Implementation<typeof ClearingService>, "clearBatch"> {
  const { clearing, clusterId } = options;
  return {
    async clear(request, ctx) {
      const cleared = await clearing.clear(
        parseClearRequest(request),
        requirePrincipal(ctx),
        limitOf(ctx),
      );
      return { clearing: formatClearing(cleared, clusterId) };
    },

    async getClearing({ intentId }, ctx) {
      const found = await clearing.read(intentId, requirePrincipal(ctx), limitOf(ctx));
      return {
        clearing: formatClearing(found.clearing, clusterId),
        intent: formatIntent(found.evidence.intent),
        attestation: formatAttestation(found.evidence.attestation),
        masked: found.masked,
        legs: [...found.legs],
        legCount: found.legCount,
      };
    },

    async openWallet({ wallet, ledger }, ctx) {
      const opened = await clearing.openWallet(
        parseWallet(wallet, "wallet"),
        ledger,
        requirePrincipal(ctx),
        limitOf(ctx),
      );
      return { accountId: formatU128(opened.accountId), opened: opened.opened };
    },
  };
}
