import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import {
  type CommittedTransfer,
  isDerivedRow,
  transferRows,
} from "#common/ledger/transfer-rows.ts";
import { reasonOf } from "#common/rpc/errors.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import type { Clearing } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import type { ClearResult } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import type { ClearRequest } from "../../../services/clearing/core/clearing.ts";

/** What became of an intent, as far as its senders were told. */
interface Told {
  readonly request: ClearRequest;
  /** The clearing, each time it was answered. */
  readonly cleared: { readonly call: number; readonly clearing: Clearing }[];
  /** Reasons of final refusals: nothing of the intent is in the ledger, nor will be. */
  readonly refused: string[];
  /** Whether it was refused for now, because what it resolves is not stored. */
  early: boolean;
}

/** Reasons after which an intent may yet clear, or may have cleared. */
const open = new Set([
  "CANCELLED",
  "DRAINING",
  "LEDGER_UNAVAILABLE",
  "NOT_SENT",
  "OUTCOME_UNKNOWN",
  "RATE_LIMITED",
  "RECORDS_UNAVAILABLE",
]);

/** What several clients sent to Clearing and what they were told, and whether the ledger bears it out. */
export class ClearingAnswers {
  readonly #byDigest = new Map<string, Told>();
  #calls = 0;
  /** Answers of every kind that came. */
  count = 0;
  /** Calls that broke off without an answer. */
  cut = 0;

  /** A number for one call. */
  nextCall(): number {
    this.#calls += 1;
    return this.#calls;
  }

  /** Takes notice of a request before it is sent. */
  send(request: ClearRequest): void {
    const { digest } = request.attestation;
    if (this.#byDigest.has(digest)) return;
    this.#byDigest.set(digest, { request, cleared: [], refused: [], early: false });
  }

  /** Takes notice of an answer, of one intent or of one in a batch. */
  take(request: ClearRequest, call: number, answer: Clearing | ClearResult["outcome"]): void {
    this.count += 1;
    const told = this.#toldOf(request);
    if (!("case" in answer)) {
      told.cleared.push({ call, clearing: answer });
    } else if (answer.case === "clearing") {
      told.cleared.push({ call, clearing: answer.value });
    } else {
      const infos = answer.value?.details.map((detail) => anyUnpack(detail, ErrorInfoSchema));
      this.#refuse(told, infos?.find((info) => info !== undefined)?.reason);
    }
  }

  /** Takes notice of a call that failed. An answer is what carries a reason of a service; anything else was cut. */
  fail(requests: readonly ClearRequest[], error: unknown): void {
    if (!(error instanceof ConnectError)) throw error;
    const reason = reasonOf(error);
    if (reason === undefined || reason === "EDGE_UNAVAILABLE") {
      this.cut += 1;
      return;
    }
    this.count += 1;
    for (const request of requests) this.#refuse(this.#toldOf(request), reason);
  }

  /** Requests of whose fate nobody was told. */
  unanswered(): ClearRequest[] {
    return [...this.#byDigest.values()]
      .filter(({ cleared, refused, early }) => cleared.length + refused.length === 0 && !early)
      .map(({ request }) => request);
  }

  /** A request that cleared, as its sender was told. */
  someCleared(): ClearRequest {
    const told = [...this.#byDigest.values()].find(({ cleared }) => cleared.length > 0);
    if (told === undefined) throw new Error("nothing cleared");
    return told.request;
  }

  /** How many intents cleared, and how many were refused for each reason. */
  summary(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { cleared, refused } of this.#byDigest.values()) {
      const what = cleared.length > 0 ? "CLEARED" : (refused[0] ?? "OPEN");
      counts[what] = (counts[what] ?? 0) + 1;
    }
    return counts;
  }

  /**
   * Holds all answers against each other and against the whole ledger: every acknowledged chain is there once, whole and
   * as derived; what was refused is not; nothing stands there that nobody sent. Returns what is wrong, for people.
   */
  check(ledger: readonly CommittedTransfer[]): string[] {
    const rows = new Map(ledger.map((row) => [row.id, row]));
    const problems = this.#withoutWinner();
    if (rows.size !== ledger.length) problems.push("an id stands in the ledger twice");
    let legs = 0;
    for (const told of this.#byDigest.values()) {
      const found = chainIn(rows, told.request);
      legs += found.equal;
      for (const problem of checkOne(told, found)) {
        problems.push(`intent ${told.request.intent.intentId}: ${problem}`);
      }
    }
    // Every leg found belongs to one request, so what is left is nobody's.
    if (legs !== ledger.length) problems.push(`${ledger.length - legs} transfers are nobody's`);
    return problems;
  }

  /** Of two intents with one id, one owns it: not both may have been told that the other does. */
  #withoutWinner(): string[] {
    const byId = Map.groupBy(this.#byDigest.values(), ({ request }) => request.intent.intentId);
    const isLoser = ({ refused }: Told) => refused.includes("INTENT_ID_REUSED");
    return [...byId].flatMap(([id, rivals]) =>
      rivals.every(isLoser) ? [`intent ${id}: refused to everyone who sent it`] : [],
    );
  }

  #toldOf({ attestation }: ClearRequest): Told {
    const told = this.#byDigest.get(attestation.digest);
    if (told === undefined) throw new Error("an answer to what was not sent");
    return told;
  }

  #refuse(told: Told, reason: string | undefined): void {
    if (reason === undefined) throw new Error("an error without a reason");
    if (reason === "PENDING_NOT_FOUND") told.early = true;
    else if (!open.has(reason)) told.refused.push(reason);
  }
}

interface FoundChain {
  readonly legs: number;
  /** Legs that are there, as derived from the request. */
  readonly equal: number;
  /** Of the last leg, nanoseconds. */
  readonly timestamp: bigint;
}

function chainIn(
  ledger: ReadonlyMap<bigint, CommittedTransfer>,
  { intent, attestation }: ClearRequest,
): FoundChain {
  const rows = transferRows(intent, attestation.digest);
  const found = rows.flatMap((row) => {
    const transfer = ledger.get(row.id);
    return transfer !== undefined && isDerivedRow(transfer, row) ? [transfer] : [];
  });
  return {
    legs: rows.length,
    equal: found.length,
    timestamp: found.at(-1)?.timestamp ?? 0n,
  };
}

function checkOne({ request, cleared, refused }: Told, found: FoundChain): string[] {
  const problems: string[] = [];
  if (found.equal !== 0 && found.equal !== found.legs) {
    problems.push(`half there: ${found.equal} of ${found.legs} legs`);
  }
  if (refused.length > 0 && found.equal > 0) problems.push(`there, and refused (${refused[0]})`);
  if (cleared.length === 0) return problems;
  if (found.equal !== found.legs) problems.push("acknowledged, and not there");
  // Twins in one batch are cleared once and answered alike, so what counts is the call.
  const firsts = new Set(cleared.flatMap(({ call, clearing }) => (clearing.replayed ? [] : call)));
  if (firsts.size > 1) problems.push(`cleared anew in ${firsts.size} calls`);
  const rows = transferRows(request.intent, request.attestation.digest);
  const ids = rows.map(({ id }) => String(id)).join();
  for (const { clearing } of cleared) {
    const { commitTime, transferIds, digest } = clearing;
    const timestamp = (commitTime?.seconds ?? 0n) * 1_000_000_000n + BigInt(commitTime?.nanos ?? 0);
    if (
      timestamp !== found.timestamp ||
      transferIds.join() !== ids ||
      digest !== request.attestation.digest
    ) {
      problems.push("an answer says other than the ledger");
    }
  }
  return problems;
}
