import { type CommittedTransfer, legOf } from "#common/ledger/transfer-rows.ts";
import type { Finding } from "./finding.ts";

/** Sees that the legs of an intent stand in one run, all of them, in order. */
export class ChainFollower {
  #open: CommittedTransfer | undefined;

  /** True between two intents. */
  get isBetween(): boolean {
    return this.#open === undefined;
  }

  /** Takes the next transfer. `leg`: whether it is a leg of the intent whose digest it carries. */
  follow(transfer: CommittedTransfer, leg: boolean): Finding[] {
    const before = this.#open;
    const { leg: number, legs } = legOf(transfer.userData32);
    const continues = before !== undefined && leg && isNext(before, transfer, number);
    this.#open = leg && number + 1 < legs && (continues || number === 0) ? transfer : undefined;
    const findings: Finding[] = [];
    if (before !== undefined && !continues) findings.push(broken(before));
    if (leg && number !== 0 && !continues) {
      const detail = `leg ${number + 1} of ${legs} does not follow on leg ${number}`;
      findings.push({ kind: "CHAIN_INCOMPLETE", detail, transfer });
    }
    return findings;
  }

  /** The ledger ends here. */
  end(): Finding[] {
    const before = this.#open;
    this.#open = undefined;
    return before === undefined ? [] : [broken(before)];
  }
}

function isNext(before: CommittedTransfer, transfer: CommittedTransfer, leg: number): boolean {
  return (
    before.userData128 === transfer.userData128 &&
    before.userData64 === transfer.userData64 &&
    legOf(before.userData32).leg + 1 === leg
  );
}

function broken(last: CommittedTransfer): Finding {
  const { leg, legs } = legOf(last.userData32);
  const detail = `leg ${leg + 1} of ${legs} is followed by something else than leg ${leg + 2}`;
  return { kind: "CHAIN_INCOMPLETE", detail, transfer: last };
}
