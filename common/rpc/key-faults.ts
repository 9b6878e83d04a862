import { channel } from "node:diagnostics_channel";

/** An error went out with other metadata keys than the contract gives its reason. */
export interface KeyFault {
  /** The reason without its prefix. */
  readonly reason: string;
  /** Which keys are missing and which are unknown, for people. */
  readonly text: string;
}

// The caller gets its answer all the same, and where that is made there is nobody to tell: the process listens.
const keyFaults = channel("sovr.rpc.key-faults");

/** Tells those who listen. Never throws. */
export function tellKeyFault(fault: KeyFault): void {
  keyFaults.publish(fault);
}

/** Hears of the first fault of each reason in this thread; call the result to stop. */
export function onKeyFault(listener: (fault: KeyFault) => void): () => void {
  const heard = new Set<string>();
  const hear = (message: unknown) => {
    const fault = message as KeyFault;
    if (heard.has(fault.reason)) return;
    heard.add(fault.reason);
    listener(fault);
  };
  keyFaults.subscribe(hear);
  return () => void keyFaults.unsubscribe(hear);
}
