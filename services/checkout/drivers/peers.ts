import { Code, ConnectError } from "@connectrpc/connect";
import { DomainError } from "#common/domain-error.ts";
import { formatAttestation, formatIntent, parseAttestation } from "#common/intent/codec.ts";
import type { Certificates } from "#common/process/tls/certificates.ts";
import { callWithin, createRpcClient } from "#common/rpc/client.ts";
import { peerError } from "#common/rpc/peer-error.ts";
import { AttestorService } from "#gen/sovr/attestor/v1/attestor_service_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import type { Peers } from "../ports.ts";

export interface PeersOptions {
  readonly attestorAddress: string;
  readonly clearingAddress: string;
  /** A token with the scopes attest.house, attest, clearing.write and wallet.open. */
  readonly token: () => Promise<string>;
  /** Checkout's own; without it the peers are called in the clear. */
  readonly certificates?: Certificates | undefined;
}

/** Attestor and Clearing over gRPC. Nothing connects before the first call. */
export function openPeers(options: PeersOptions): Peers & { close(): void } {
  const { token, certificates } = options;
  const defaultTimeoutMs = 10_000;
  const attestor = createRpcClient(AttestorService, {
    address: options.attestorAddress,
    security: certificates && { certificates, peer: "attestor" },
    token,
    defaultTimeoutMs,
  });
  const clearing = createRpcClient(ClearingService, {
    address: options.clearingAddress,
    security: certificates && { certificates, peer: "clearing" },
    token,
    defaultTimeoutMs,
  });
  const call = async <T>(peer: "attestor" | "clearing", work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw peerError(peer, error) ?? unreachable(peer, error);
    }
  };
  return {
    async openWallet(wallet, ledger, limit) {
      await call("clearing", () => clearing.openWallet({ wallet, ledger }, callWithin(limit)));
    },
    attest: (intent, walletSignature, limit) =>
      call("attestor", async () => {
        const request = { intent: formatIntent(intent), walletSignature };
        const { attestation } = await attestor.attest(request, callWithin(limit));
        if (attestation === undefined) throw new Error("Attest answered no attestation");
        return parseAttestation(attestation);
      }),
    clear: ({ intent, attestation }, limit) =>
      call("clearing", async () => {
        const request = {
          intent: formatIntent(intent),
          attestation: formatAttestation(attestation),
        };
        return commitTimestamp((await clearing.clear(request, callWithin(limit))).clearing);
      }),
    findAttestation: (intentId, limit) =>
      call("clearing", async () => {
        const { attestation } = await clearing.getClearing({ intentId }, callWithin(limit));
        return attestation && parseAttestation(attestation);
      }).catch((error: unknown) => {
        if (error instanceof DomainError && error.kind === "INTENT_NOT_FOUND") return undefined;
        throw error;
      }),
    close() {
      attestor[Symbol.dispose]();
      clearing[Symbol.dispose]();
    },
  };
}

function commitTimestamp(
  clearing: { readonly commitTime?: { seconds: bigint; nanos: number } | undefined } | undefined,
): bigint {
  const time = clearing?.commitTime;
  if (time === undefined) throw new Error("Clear answered no commit time");
  return time.seconds * 1_000_000_000n + BigInt(time.nanos);
}

/** A call that ended without an answer of the peer. What it asked for may have happened: all of it may be repeated. */
function unreachable(peer: "attestor" | "clearing", error: unknown): unknown {
  if (!(error instanceof ConnectError)) return error;
  const { code } = error;
  if (code === Code.Canceled) return new DomainError("CANCELLED", "the caller gave up");
  if (code === Code.DeadlineExceeded) {
    return new DomainError("OUTCOME_UNKNOWN", `the ${peer} did not answer in time`, {
      cause: error,
    });
  }
  if (code !== Code.Unavailable && code !== Code.ResourceExhausted) return error;
  if (peer === "clearing" && code === Code.Unavailable && !foundNobody(error)) {
    return new DomainError("OUTCOME_UNKNOWN", "the way to clearing was cut before its answer", {
      early: true,
      retryAfterMs: 500,
      cause: error,
    });
  }
  return new DomainError(
    peer === "attestor" ? "RECORDS_UNAVAILABLE" : "LEDGER_UNAVAILABLE",
    `the ${peer} cannot be reached`,
    { cause: error, retryAfterMs: 500 },
  );
}

/** What grpc-js says where it had no connection, so that nothing was sent. */
const noConnection = /no connection established|ECONNREFUSED|name resolution/i;

function foundNobody({ rawMessage, cause }: ConnectError): boolean {
  return (
    noConnection.test(rawMessage) || (cause instanceof Error && noConnection.test(cause.message))
  );
}
