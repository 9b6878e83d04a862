import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../rpc/free-port.ts";

const startMs = 20_000;

/** Starts Stripe's own stripe-mock, which knows every parameter and no state. */
export async function startStripeMock(
  program: string,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const [port, securePort] = [await freePort(), await freePort()];
  // Told nothing, it would also listen for TLS on every address of the machine.
  const where = ["-http-addr", `127.0.0.1:${port}`, "-https-addr", `127.0.0.1:${securePort}`];
  const child = spawn(program, where, { stdio: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  try {
    await untilItAnswers(url, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop };
}

async function untilItAnswers(url: string, child: ChildProcess): Promise<void> {
  for (const untilMs = performance.now() + startMs; performance.now() < untilMs; ) {
    if (child.exitCode !== null) throw new Error("stripe-mock ended at its start");
    const answer = await fetch(url).catch(() => undefined);
    await answer?.body?.cancel();
    if (answer !== undefined) return;
    await sleep(20);
  }
  throw new Error(`stripe-mock did not answer within ${startMs} ms`);
}
