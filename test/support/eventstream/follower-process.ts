import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  type SubscribeResponse,
  SubscribeResponseSchema,
} from "#gen/sovr/eventstream/v1/event_stream_service_pb.ts";
import { nodeEnvironment } from "../process/node-environment.ts";
import type { Recording } from "./validators.ts";

/** A follower of the client library in a process of its own, which can be stopped in its tracks. */
export interface FollowerProcess {
  /** What each of its calls of Subscribe delivered, in their order. */
  readonly streams: readonly Recording[];
  /** What it said before it ended by itself; undefined while it follows. */
  readonly failure: string | undefined;
  /** SIGSTOP: it takes nothing and says nothing until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends it. Safe to repeat. */
  stop(): Promise<void>;
}

type Line = { readonly start: string | null } | { readonly message: JsonValue };

/** Starts one that follows from the ledger's first event on. `address`: host:port of gRPC. */
export function startFollowerProcess(address: string, token: string): FollowerProcess {
  const main = new URL("follower-main.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [main], {
    env: { ...nodeEnvironment(), ADDRESS: address, TOKEN: token },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const endWithTest = () => void child.kill("SIGKILL");
  process.once("exit", endWithTest);
  const streams: (Recording & { readonly messages: SubscribeResponse[] })[] = [];
  createInterface({ input: child.stdout }).on("line", (text) => {
    const line = JSON.parse(text) as Line;
    if ("start" in line) streams.push({ messages: [], startCursor: line.start ?? undefined });
    else streams.at(-1)?.messages.push(fromJson(SubscribeResponseSchema, line.message));
  });
  let errors = "";
  let failure: string | undefined;
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    errors = (errors + chunk).slice(-8_000);
  });
  child.once("exit", () => {
    process.off("exit", endWithTest);
    failure = `the follower ended: ${errors}`;
  });
  return {
    streams,
    get failure() {
      return failure;
    },
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGKILL");
      await once(child, "exit");
    },
  };
}
