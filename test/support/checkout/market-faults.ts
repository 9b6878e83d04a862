import { setTimeout as sleep } from "node:timers/promises";
import type { FaultSettings } from "../../../services/stripe-sim/control/faults.ts";
import { StripeSimRefusal } from "../stripe/sim-control.ts";
import { type Market, pick } from "./market.ts";
import type { StaffOptions } from "./market-staff.ts";

export interface FaultReport {
  /** What was done, in order. */
  readonly faults: readonly string[];
  /** Of the simulator's own forgeries: how many were sent, and how many were taken for true. */
  readonly forged: number;
  readonly forgedAccepted: number;
}

type Fault = readonly [string, () => Promise<void>];

/**
 * How many calls are answered between two faults, and how long it waits for them: a mesh that only ever starts shows
 * nothing. Five times as many once each fault was there: the supervisor waits long by then.
 */
const answersMin = 10;
const progressMs = 15_000;

/**
 * Every fault in a random order, then those of Checkout, Clearing and Stripe as it comes, until it is over; and Stripe
 * at its worst meanwhile.
 */
export async function breakMarket({ market, random, isOver }: StaffOptions): Promise<FaultReport> {
  const forged = new ForgeryCount(market);
  const often = frequentFaults(market, random, forged);
  const faults = shuffle([...often, ...rareFaults(market, random)], random);
  const done: string[] = [];
  while (!isOver()) {
    await worsenStripe(market, random);
    const isEach = done.length < faults.length;
    const enough = answersOf(market) + (isEach ? answersMin : 5 * answersMin);
    await sleep((isEach ? 300 : 2_000) + 900 * random());
    for (const untilMs = Date.now() + progressMs; Date.now() < untilMs && !isOver(); ) {
      if (answersOf(market) >= enough) break;
      await sleep(50);
    }
    const [name, fault] = faults[done.length] ?? pick(random, often);
    await fault();
    done.push(name);
  }
  await forged.take();
  return { faults: done, forged: forged.forged, forgedAccepted: forged.accepted };
}

/** The simulator counts from its own start: what it has counted is taken before it dies. */
class ForgeryCount {
  readonly #market: Market;
  #before = { forged: 0, accepted: 0 };
  #now = { forged: 0, accepted: 0 };

  constructor(market: Market) {
    this.#market = market;
  }

  get forged(): number {
    return this.#before.forged + this.#now.forged;
  }

  get accepted(): number {
    return this.#before.accepted + this.#now.accepted;
  }

  async take(): Promise<void> {
    try {
      const { webhooks } = await this.#market.sim.state();
      this.#now = { forged: webhooks.forged, accepted: webhooks.forgedAccepted };
    } catch {
      // It is about to start again, and was counted when it ended.
    }
  }

  ended(): void {
    this.#before = { forged: this.forged, accepted: this.accepted };
    this.#now = { forged: 0, accepted: 0 };
  }
}

/** A simulator that has just started is at its best: it is told again and again how bad it is. */
async function worsenStripe({ sim, lifetimeMs }: Market, random: () => number): Promise<void> {
  const settings: Partial<FaultSettings> = {
    duplicates: 1,
    shuffle_ms: 1_500,
    // Past the end of the checkout, and past that of its intent.
    delay_ms: Math.round(lifetimeMs * (0.8 + 2 * random())),
    delay_rate: 0.2,
    drop_rate: 0.3,
    forge_rate: 0.2,
    early: random() < 0.5,
    processing_ms: random() < 0.2 ? 1_000 : 0,
    refunds: random() < 0.8 ? "card" : pick(random, ["pending", "pending_then_fail", "fail"]),
  };
  try {
    await sim.setFaults(settings);
    if ((await sim.state()).apiFaults.length > 0) return;
    for (const kind of ["error_500", "cut_before", "cut_after"] as const) {
      await sim.failCalls({ kind, times: 1_000_000, rate: 0.03 });
    }
    // The worst is an effect that nobody hears of.
    await sim.failCalls({ kind: "cut_after", times: 1_000_000, rate: 0.2, method: "POST" });
  } catch (error) {
    // Dead or stopped just now; what it refuses is a mistake here.
    if (error instanceof StripeSimRefusal) throw error;
  }
}

/** How many calls Checkout has answered. */
function answersOf({ tally }: Market): number {
  return [...tally].reduce(
    (sum, [what, times]) => sum + (/^(order|sign|refund|fulfilment)(:|$)/.test(what) ? times : 0),
    0,
  );
}

function frequentFaults(market: Market, random: () => number, forged: ForgeryCount): Fault[] {
  const { mesh } = market;
  const killSim: Fault = [
    "kill stripe-sim",
    async () => {
      await forged.take();
      if (signal(mesh.part("stripe-sim").pid, "SIGKILL")) forged.ended();
    },
  ];
  return [
    kill(market, "checkout"),
    kill(market, "clearing"),
    killSim,
    pause(market, "checkout", random),
    pause(market, "clearing", random),
  ];
}

/** What all depends on, once each: the supervisor waits longer and longer for what dies often. */
function rareFaults(market: Market, random: () => number): Fault[] {
  const engine = market.mesh.identity.engine === "tigerbeetle" ? ["tigerbeetle"] : [];
  return [
    ...["attestor", "postgres", "envoy", ...engine].map((name) => kill(market, name)),
    kill(market, "checkout", "SIGTERM"),
    ...["stripe-sim", ...engine].map((name) => pause(market, name, random)),
  ];
}

function kill({ mesh }: Market, name: string, how: NodeJS.Signals = "SIGKILL"): Fault {
  const what = how === "SIGKILL" ? "kill" : "restart";
  return [`${what} ${name}`, async () => void signal(mesh.part(name).pid, how)];
}

function pause({ mesh }: Market, name: string, random: () => number): Fault {
  return [
    `pause ${name}`,
    async () => {
      const { pid } = mesh.part(name);
      if (!signal(pid, "SIGSTOP")) return;
      await sleep(200 + 1_800 * random());
      signal(pid, "SIGCONT");
    },
  ];
}

/** False: the part is dead already, and the supervisor about to start it. */
function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const keys = new Map(items.map((item) => [item, random()]));
  return items.toSorted((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
}
