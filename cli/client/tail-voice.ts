import { styleText } from "node:util";
import type { ConnectError } from "@connectrpc/connect";
import type { Followed, StreamGapError } from "#common/events-client/follow-events.ts";
import { describeRpcError, errorReason } from "./errors.ts";
import type { Paint } from "./event-text.ts";

/** What is said beside the events, on stderr: when the stream breaks off, goes on, is live, or has a gap. */
export class TailVoice {
  #isAway = false;
  #isCatchingUp: boolean;

  constructor(isCatchingUp: boolean) {
    this.#isCatchingUp = isCatchingUp;
  }

  interrupted(error: ConnectError): void {
    // A planned end is resumed at once and nobody has to know; an outage is told once.
    if (this.#isAway || errorReason(error) === "DRAINING") return;
    this.#isAway = true;
    this.#say("yellow", `the stream broke off (${describeRpcError(error)}); trying again`);
  }

  followed(followed: Followed): void {
    if (this.#isAway) this.#say("dim", "the stream goes on where it broke off");
    this.#isAway = false;
    if (!this.#isCatchingUp || followed.kind !== "bookmark") return;
    this.#isCatchingUp = false;
    this.#say("dim", "that is all so far; live from here");
  }

  gap(gap: StreamGapError): void {
    this.#say(
      "red",
      `GAP: ${gap.message}. What is above is complete up to there; going on from it`,
    );
  }

  #say(style: Parameters<Paint>[0], text: string): void {
    // Heeds whether it is a terminal, and NO_COLOR.
    console.error(styleText(style, `mesh: ${text}`, { stream: process.stderr }));
  }
}
