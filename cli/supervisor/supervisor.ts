import { type SpawnOptions, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describeError, Problem } from "../command/problem.ts";
import { seconds } from "../command/text.ts";
import type { Part } from "../parts/part.ts";
import { privately } from "../state/narrow-state.ts";
import { identify, isRunning, type ProcessIdentity } from "../state/process-identity.ts";
import type { Settings } from "../state/settings.ts";
import type { PartState } from "../state/state.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { lastMessage, logFile, openLog, rotateLog } from "./log-files.ts";
import { pauseBeforeRestart } from "./restart-pause.ts";
import { sendSignal } from "./stop-process.ts";
import { markOf } from "./strays.ts";

export interface SupervisorOptions {
  readonly settings: Settings;
  /** Each after what it depends on. */
  readonly parts: readonly Part[];
  /** Is told what happens, a line each. */
  readonly report: (line: string) => void;
  /** Is told the processes whenever they change. */
  readonly onChange: (parts: readonly PartState[]) => void;
  /** What runs and serves already, by the part's name: it is not started, and kept alive from now on. */
  readonly adopted?: ReadonlyMap<string, PartState>;
}

export interface Supervisor {
  /** Starts every part, each once what it depends on is ready. Rejects with the first failure, or when `signal` fires. */
  start(signal: AbortSignal): Promise<void>;
  /** Stops every part, each once what depends on it is gone. Bounded; never rejects for a part that hangs. */
  stop(): Promise<void>;
  /** Sends a signal to the process of a part, if it runs. */
  signal(part: string, signal: NodeJS.Signals): void;
}

interface Running {
  readonly part: Part;
  readonly identity: ProcessIdentity;
  readonly fingerprint: string | undefined;
  readonly version?: string | undefined;
  kill(signal: NodeJS.Signals): void;
  /** Resolves with how it ended. */
  readonly exited: Promise<string>;
  readonly restarts: number;
}

// A part that dies comes back by itself, as under Kubernetes: at once the first time, then ever later.
const backoffMsMin = 250;
const backoffMsMax = 5_000;
/**
 * A part that ran this long counts as healthy: its next death is its first again. Longer than what cannot start takes to
 * end, and so short that one which is killed now and then is always back at once.
 */
const healthyMs = 5_000;
const probeMsMax = 3_000;
const probePauseMs = 50;

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const stopping = new AbortController();
  const stopped = new Promise<"stopping">((resolve) => {
    stopping.signal.addEventListener("abort", () => resolve("stopping"), { once: true });
  });
  const run: Run = { options, running: new Map(), keepers: [], stopping: stopping.signal, stopped };
  return {
    start: (signal) => startAll(run, signal),
    signal: (part, signal) => run.running.get(part)?.kill(signal),
    async stop() {
      stopping.abort();
      await Promise.all(run.keepers); // so that none starts a part behind our back
      const { parts } = options;
      const dependents = (part: Part) =>
        parts.filter((other) => other.dependsOn.includes(part.name)).map((other) => other.name);
      await inOrder(parts.toReversed(), dependents, (part) => stopPart(run, part));
    },
  };
}

/** What a supervisor knows while it runs. */
interface Run {
  readonly options: SupervisorOptions;
  readonly running: Map<string, Running>;
  /** What keeps the parts alive; each ends when `stopping` fires. */
  readonly keepers: Promise<void>[];
  readonly stopping: AbortSignal;
  readonly stopped: Promise<"stopping">;
}

async function startAll(run: Run, signal: AbortSignal): Promise<void> {
  const { parts } = run.options;
  const giveUp = new AbortController();
  const either = AbortSignal.any([signal, giveUp.signal]);
  // The first failure ends everything else, and is what everything else then fails with.
  const prepared = new Map(
    parts.map((part) => [part.name, part.prepare?.(either) ?? Promise.resolve()]),
  );
  for (const preparation of prepared.values()) {
    preparation.catch((error: unknown) => giveUp.abort(error));
  }
  const begin = async (part: Part): Promise<void> => {
    await prepared.get(part.name);
    either.throwIfAborted();
    await startPart(run, part, either);
  };
  const dependsOn = (part: Part) => part.dependsOn;
  try {
    await inOrder(parts, dependsOn, begin, (error) => giveUp.abort(error));
  } finally {
    await Promise.allSettled(prepared.values());
  }
}

async function startPart(run: Run, part: Part, signal: AbortSignal): Promise<void> {
  const { settings, report, adopted } = run.options;
  const found = adopted?.get(part.name);
  if (found !== undefined) {
    const running = adopt(part, found);
    run.running.set(part.name, running);
    tellChange(run);
    report(`${part.name} runs and serves already`);
    run.keepers.push(keepAlive(run, part, running));
    return;
  }
  if (part.isSpare?.()) {
    // Its launch says what is wrong, now and for as long as it is.
    run.keepers.push(keepAlive(run, part, neverStarted));
    return;
  }
  const beganMs = Date.now();
  rotateLog(settings, part.name);
  const started = await spawnPart(run, part, 0);
  const version = await untilReady(settings, started, signal);
  // Whoever asks later may not be able to find out, as without the program on PATH.
  const ready = { ...started, version };
  run.running.set(part.name, ready);
  tellChange(run);
  report(`${part.name} is ready after ${seconds(Date.now() - beganMs)}`);
  run.keepers.push(keepAlive(run, part, ready));
}

type Life = Pick<Running, "exited" | "restarts" | "version">;

const neverStarted: Life = { restarts: -1, exited: Promise.resolve("not started yet") };

/** Starts a part again whenever it has ended, until the supervisor stops. Never rejects. */
async function keepAlive(run: Run, part: Part, first: Life): Promise<void> {
  let current = first;
  let how: string = await Promise.race([current.exited, run.stopped]);
  let told = current === neverStarted ? how : "";
  let delayMs = backoffMsMin;
  while (!run.stopping.aborted) {
    // What cannot be started says the same each time, and is told once.
    if (how !== told)
      run.options.report(`${part.name} died (${how}); it is started again in ${delayMs} ms`);
    told = "";
    const { state: folder } = run.options.settings;
    const ended = await pauseBeforeRestart({ delayMs, folder, signal: run.stopping });
    if (run.stopping.aborted) return;
    delayMs = ended === "room" ? backoffMsMin : Math.min(delayMs * 2, backoffMsMax);
    const bornMs = Date.now();
    try {
      current = await spawnPart(run, part, current.restarts + 1, current.version);
      how = await Promise.race([current.exited, run.stopped]);
    } catch (error) {
      const why = describeError(error);
      if (why !== how) run.options.report(`${part.name} cannot be started: ${why}`);
      how = why;
      told = why;
    }
    if (Date.now() - bornMs >= healthyMs) delayMs = backoffMsMin;
  }
}

async function spawnPart(
  run: Run,
  part: Part,
  restarts: number,
  version?: string,
): Promise<Running> {
  const process = await spawnProcess(run.options.settings, part, restarts);
  const started = version === undefined ? process : { ...process, version };
  run.running.set(part.name, started);
  tellChange(run);
  return started;
}

async function stopPart(run: Run, part: Part): Promise<void> {
  const found = run.running.get(part.name);
  if (found === undefined) return;
  found.kill(part.stopSignal);
  const gone = found.exited.then(() => true);
  if (!(await within(gone, part.stopMs))) {
    run.options.report(`${part.name} did not stop within ${seconds(part.stopMs)} and is killed`);
    found.kill("SIGKILL");
    await within(gone, 5_000);
  }
  run.running.delete(part.name);
  tellChange(run);
}

function tellChange({ options, running }: Run): void {
  options.onChange(options.parts.flatMap((part) => running.get(part.name) ?? []).map(toState));
}

/**
 * Does `work` for every part, each as soon as it is done for those it waits for. Once one fails no other
 * begins; it rejects with the first failure after all that began have ended.
 */
async function inOrder(
  parts: readonly Part[],
  waitsFor: (part: Part) => readonly string[],
  work: (part: Part) => Promise<void>,
  onFailure: (error: unknown) => void = () => undefined,
): Promise<void> {
  const done = new Map<string, Promise<void>>();
  const failures: unknown[] = [];
  for (const part of parts) {
    const before = waitsFor(part).map((name) => done.get(name));
    const attempt = Promise.all(before).then(() => work(part));
    attempt.catch((error: unknown) => {
      failures.push(error);
      onFailure(error);
    });
    done.set(part.name, attempt);
  }
  await Promise.allSettled(done.values());
  if (failures.length > 0) throw failures[0];
}

async function spawnProcess(settings: Settings, part: Part, restarts: number): Promise<Running> {
  const launch = await part.launch();
  const [command, ...programArguments] = launch.command;
  if (command === undefined) throw new Error(`${part.name} has no command`);
  // Before the process is there: whatever fails from then on would leave one that nobody knows of.
  const fingerprint = fingerprintOf(settings.root, launch);
  const log = openLog(settings, part.name);
  try {
    const options = {
      cwd: settings.root,
      env: { ...launch.env, ...markOf(settings.state, part.name) },
      stdio: ["ignore", log, log],
      // A group of its own: Ctrl-C reaches the supervisor alone, which stops the parts in order.
      detached: true,
      ...(launch.uid === undefined ? {} : { uid: launch.uid }),
      ...(launch.gid === undefined ? {} : { gid: launch.gid }),
    } satisfies SpawnOptions;
    const child = privately(() => spawn(command, programArguments, options));
    const exited = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(error.message));
      child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    const identity = child.pid === undefined ? undefined : identify(child.pid);
    if (identity === undefined) throw await failedStart(settings, part, await exited);
    return { part, identity, fingerprint, kill: (signal) => child.kill(signal), exited, restarts };
  } finally {
    if (log !== "ignore") closeSync(log);
  }
}

const lookMs = 250;

/** A process that another supervisor started. The system tells its end to its parent alone, so it is looked for. */
function adopt(part: Part, state: PartState): Running {
  const { pid, started, fingerprint, version, restarts } = state;
  const identity = { pid, started };
  const untilGone = async () => {
    while (isRunning(identity)) await sleep(lookMs, undefined, { ref: false });
    return "it is gone";
  };
  return {
    part,
    identity,
    fingerprint,
    version,
    kill: (signal) => void sendSignal(identity, signal),
    exited: untilGone(),
    restarts,
  };
}

/** Waits until a part answers its probe, and returns what it says: its version. A part that ends before, or takes too long, is a Problem. */
async function untilReady(
  settings: Settings,
  started: Running,
  signal: AbortSignal,
): Promise<string> {
  const { part } = started;
  const deadline = Date.now() + part.readyMs;
  let exit: string | undefined;
  const watching = started.exited.then((how) => {
    exit = how;
  });
  let why: string;
  do {
    signal.throwIfAborted();
    if (exit !== undefined) throw failedStart(settings, part, exit);
    try {
      return await part.probe(AbortSignal.any([signal, AbortSignal.timeout(probeMsMax)]));
    } catch (error) {
      why = describeError(error);
    }
    await Promise.race([sleep(probePauseMs), watching]);
  } while (Date.now() < deadline);
  throw new Problem(
    `${part.name} was not ready within ${seconds(part.readyMs)}: ${why}; its log is ${logFile(settings, part.name)}`,
  );
}

function failedStart(settings: Settings, part: Part, how: string): Problem {
  const file = logFile(settings, part.name);
  return new Problem(
    `${part.name} ended at its start (${how}): ${lastMessage(file)}; its log is ${file}`,
  );
}

function toState({ part, identity, restarts, fingerprint, version }: Running): PartState {
  return {
    ...identity,
    name: part.name,
    stopSignal: part.stopSignal,
    restarts,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(version === undefined ? {} : { version }),
  };
}

async function within(done: Promise<boolean>, limitMs: number): Promise<boolean> {
  const timer = new AbortController();
  const timeout = sleep(limitMs, false, { signal: timer.signal }).catch(() => false);
  const result = await Promise.race([done, timeout]);
  timer.abort();
  return result;
}
