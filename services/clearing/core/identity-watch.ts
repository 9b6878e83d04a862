import { DomainError } from "#common/domain-error.ts";
import { identityFault, identityRemedy, readLedgerSigns } from "#common/ledger/identity.ts";
import { ForeignLedgerError, type IdentityPorts } from "./ledger-identity.ts";

/** Holds a running Clearing to the ledger and the records that it started with. */
export interface IdentityWatch {
  /** Takes notice of a commit: its timestamp, nanoseconds. */
  saw(timestamp: bigint): void;
  /** Looks now, and raises the mark to what was seen. Throws ForeignLedgerError; LEDGER_UNAVAILABLE, RECORDS_UNAVAILABLE. */
  look(): Promise<void>;
  /** True if something was committed since the mark was raised. */
  readonly isBehind: boolean;
  /** Why nothing may clear here now; undefined while ledger and records fit. */
  readonly fault: string | undefined;
  /** Throws LEDGER_UNAVAILABLE while ledger and records do not fit. */
  requireLedger(): void;
}

/** When to come back, in milliseconds: somebody has to do something first. */
const retryAfterMs = 5_000;

/**
 * `place`: what is wrong with where the ledger lies, if anything. `onChange` hears of a new fault, and of its end.
 */
export function watchIdentity(
  { reader, records, clusterId }: IdentityPorts,
  place: () => string | undefined,
  onChange: (fault: string | undefined) => void,
): IdentityWatch {
  let seen = 0n;
  let written = 0n;
  let fault: string | undefined;

  const findFault = async (newestSeen: bigint): Promise<string | undefined> => {
    const identity = await records.read();
    if (identity === undefined) return "the records have lost the ledger's identity";
    if (identity.highWaterMark < written) {
      return `the records have seen the ledger up to ${identity.highWaterMark}, and this process has written ${written}: the database was rolled back, or is another one`;
    }
    const { highWaterMark } = identity;
    const seenHere = {
      ...identity,
      highWaterMark: highWaterMark > newestSeen ? highWaterMark : newestSeen,
    };
    return identityFault(seenHere, await readLedgerSigns(reader, clusterId, seenHere));
  };

  return {
    saw: (timestamp) => {
      if (timestamp > seen) seen = timestamp;
    },
    async look() {
      // What is seen from here on may not be in what is read below.
      const newestSeen = seen;
      const found = place() ?? (await findFault(newestSeen));
      if (found !== fault) {
        fault = found;
        onChange(found);
      }
      // Never from a ledger that does not fit: the mark would count its commits as the other's.
      if (found !== undefined) throw new ForeignLedgerError(`${found}; ${identityRemedy}`);
      if (newestSeen <= written) return;
      await records.raiseMark(newestSeen);
      written = newestSeen;
    },
    get isBehind() {
      return seen > written;
    },
    get fault() {
      return fault;
    },
    requireLedger() {
      if (fault === undefined) return;
      throw new DomainError("LEDGER_UNAVAILABLE", "ledger and records do not belong together", {
        retryAfterMs,
      });
    },
  };
}
