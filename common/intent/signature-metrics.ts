import { getMeter } from "#common/process/metrics.ts";
import { recoverAddress } from "./signature.ts";
import type { RecoverAddress } from "./verify-attestation.ts";

/** How many signatures somebody had made, and how many nobody. */
export interface SignatureCounts {
  somebody: number;
  nobody: number;
}

/** Counts the signatures that a process checks, as the metric `signature_checks`. */
export interface SignatureChecks {
  /** As recoverAddress; counts each call. */
  readonly recover: RecoverAddress;
  /** Counts what other threads recovered: undefined stands for nobody. */
  countOnThreads(addresses: readonly (string | undefined)[]): void;
  /** Adds what a thread has counted itself. */
  addOnThreads(counts: SignatureCounts): void;
}

/** As recoverAddress; counts each call in what `counts` says at the time. */
export function countingRecover(counts: () => SignatureCounts): RecoverAddress {
  return (digest, signature) => {
    const address = recoverAddress(digest, signature);
    counts()[address === undefined ? "nobody" : "somebody"] += 1;
    return address;
  };
}

/** Makes the counts and registers them: by where the work was done, and whether anybody had made the signature. */
export function countSignatureChecks(): SignatureChecks {
  // Plain numbers on the hot path; OpenTelemetry reads them when it is scraped.
  const counts = {
    loop: { somebody: 0, nobody: 0 },
    thread: { somebody: 0, nobody: 0 },
  };
  getMeter("sovr.signatures")
    .createObservableCounter("signature_checks", {
      description: "Signatures whose maker was recovered, by where, and whether there was one.",
    })
    .addCallback((result) => {
      for (const [where, by] of Object.entries(counts)) {
        for (const [maker, count] of Object.entries(by)) result.observe(count, { where, maker });
      }
    });
  return {
    recover: countingRecover(() => counts.loop),
    countOnThreads: (addresses) => {
      for (const address of addresses) {
        counts.thread[address === undefined ? "nobody" : "somebody"] += 1;
      }
    },
    addOnThreads: ({ somebody, nobody }) => {
      counts.thread.somebody += somebody;
      counts.thread.nobody += nobody;
    },
  };
}
