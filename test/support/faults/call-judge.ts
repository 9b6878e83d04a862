import { Code, ConnectError } from "@connectrpc/connect";
import { reasonOf } from "#common/rpc/errors.ts";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.ts";

/** A call that is under way. */
export interface JudgedCall {
  /** What it asks for, such as "Clear". */
  readonly what: string;
  readonly beganMs: number;
  readonly timeoutMs: number;
}

/** Holds every answer of a mesh among faults against the contract, and counts them. */
export class CallJudge {
  /** What breaks the contract, for people: an answer without a reason, no time to come back, a fault of ours. */
  readonly strange: string[] = [];
  /** How often each refusal came, by what was asked for and its reason. */
  readonly refusals = new Map<string, number>();
  /** Calls that were answered, one way or the other. */
  answered = 0;
  /** Calls that their caller's own clock ended: something stood still, and nobody could answer. */
  unanswered = 0;
  /** By how much a call ended after its deadline, at worst, in milliseconds. */
  overrunMs = 0;

  /** Takes notice of an error and tells its reason; undefined if it was no answer. */
  refused(call: JudgedCall, thrown: unknown): string | undefined {
    const error = ConnectError.from(thrown);
    this.#clock(call);
    const reason = reasonOf(error);
    const ownClock = error.code === Code.DeadlineExceeded || error.code === Code.Canceled;
    if (reason === undefined && ownClock) {
      this.unanswered += 1;
      return undefined;
    }
    this.answered += 1;
    const name = `${call.what}: ${reason ?? "no reason"}`;
    this.refusals.set(name, (this.refusals.get(name) ?? 0) + 1);
    const fault = faultOf(error, reason);
    if (fault !== undefined) this.strange.push(`${call.what} ${fault}: ${error.message}`);
    return reason;
  }

  /** Takes notice of an answer that is none of these. */
  served(call: JudgedCall): void {
    this.#clock(call);
    this.answered += 1;
  }

  #clock({ beganMs, timeoutMs }: JudgedCall): void {
    this.overrunMs = Math.max(this.overrunMs, performance.now() - beganMs - timeoutMs);
  }
}

function faultOf(error: ConnectError, reason: string | undefined): string | undefined {
  if (reason === undefined) return "was refused without a reason";
  if (reason === "INTERNAL") return "met a fault of ours";
  const comesBack = error.findDetails(RetryInfoSchema).length > 0;
  const must = error.code === Code.Unavailable || error.code === Code.ResourceExhausted;
  return must && !comesBack ? `(${reason}) was not told when to come back` : undefined;
}
