import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { noteStarted } from "../../../cli/test/started.ts";
import { nodeEnvironment } from "../process/node-environment.ts";
import { freePort } from "../rpc/free-port.ts";

/** A simulator of Stripe in a process of its own. */
export interface StripeSimProcess {
  readonly url: string;
  /** All that it wrote. */
  output(): string;
  /** Ends it with a signal, SIGKILL by default, and waits for the end. The exit code, null if the signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  /** Starts it again on the same port, after `end`. */
  restart(): Promise<void>;
}

const main = fileURLToPath(new URL("../../../services/stripe-sim/main.ts", import.meta.url));
const startMs = 20_000;

/** `environment`: STRIPE_SIM_PATH and the like; the address is given. */
export async function startStripeSimProcess(
  environment: Readonly<Record<string, string>>,
): Promise<StripeSimProcess> {
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const env = { ...nodeEnvironment(), ...environment, STRIPE_SIM_ADDRESS: address };
  let output = "";
  let child = await start();

  async function start(): Promise<ChildProcess> {
    const started = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "pipe"] });
    noteStarted("service");
    const collect = (chunk: Buffer) => {
      output += chunk.toString("utf8");
    };
    started.stdout.on("data", collect);
    started.stderr.on("data", collect);
    for (const untilMs = performance.now() + startMs; performance.now() < untilMs; ) {
      if (started.exitCode !== null) throw new Error(`the simulator ended: ${output}`);
      const answer = await fetch(`${url}/healthz`).catch(() => undefined);
      await answer?.body?.cancel();
      if (answer?.ok === true) return started;
      await sleep(20);
    }
    started.kill("SIGKILL");
    throw new Error(`the simulator did not answer within ${startMs} ms: ${output}`);
  }
  return {
    url,
    output: () => output,
    async end(signal = "SIGKILL") {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const exited = once(child, "exit");
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
    async restart() {
      child = await start();
    },
  };
}
