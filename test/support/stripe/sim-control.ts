import type { SimState } from "../../../services/stripe-sim/control/commands.ts";
import type {
  ApiFault,
  FaultSettings,
  Forgery,
} from "../../../services/stripe-sim/control/faults.ts";

/** The simulator answered that it will not. */
export class StripeSimRefusal extends Error {}

/** The commands of a simulator in another process. All reject if it does not answer or refuses. */
export interface StripeSimControl {
  state(): Promise<SimState>;
  setFaults(changes: Partial<FaultSettings>): Promise<void>;
  clearFaults(): Promise<void>;
  failCalls(fault: Partial<ApiFault>): Promise<void>;
  failRefund(refund: string): Promise<void>;
  authenticate(paymentIntent: string, passed: boolean): Promise<void>;
  forge(object: string, forgery: Forgery): Promise<void>;
  resend(event: string): Promise<void>;
  seed(seed: number): Promise<void>;
  /** True if nothing was to be sent or done within the time. */
  idle(timeoutMs: number): Promise<boolean>;
}

const answerMs = 20_000;

/** `url`: where the simulator is. */
export function stripeSimControl(url: string): StripeSimControl {
  const command = async (method: string, path: string, body?: object, timeoutMs = answerMs) => {
    const response = await fetch(`${url}/_sim/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new StripeSimRefusal(`${path}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const tell = async (method: string, path: string, body?: object) => {
    await command(method, path, body);
  };
  return {
    state: async () => (await command("GET", "state")) as SimState,
    setFaults: (changes) => tell("PATCH", "faults", changes),
    clearFaults: () => tell("DELETE", "faults"),
    failCalls: (fault) => tell("POST", "fail-calls", fault),
    failRefund: (refund) => tell("POST", "fail-refund", { refund }),
    authenticate: (payment_intent, passed) =>
      tell("POST", "authenticate", { payment_intent, passed }),
    forge: (object, forgery) => tell("POST", "forge", { object, forgery }),
    resend: (event) => tell("POST", "resend", { event }),
    seed: (seed) => tell("POST", "seed", { seed }),
    async idle(timeoutMs) {
      const body = { timeout_ms: timeoutMs };
      const answer = await command("POST", "idle", body, timeoutMs + answerMs);
      return (answer as { idle: boolean }).idle;
    },
  };
}
