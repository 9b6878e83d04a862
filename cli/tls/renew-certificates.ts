import { describeError } from "../command/problem.ts";
import type { Settings } from "../state/settings.ts";
import type { Supervisor } from "../supervisor/supervisor.ts";
import { ensureCertificates } from "./mesh-certificates.ts";

/** Days before a certificate ends it is due, so an hour more or less is nothing. */
const lookMs = 3_600_000;

/** Renews certificates while a mesh runs. The parts read theirs again by themselves; PostgreSQL does so when it is told. */
export function renewCertificates(
  settings: Settings,
  supervisor: Pick<Supervisor, "signal">,
  report: (line: string) => void,
): { stop(): void } {
  let looking = false;
  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      const renewed = await ensureCertificates(settings);
      if (renewed.includes("postgres")) supervisor.signal("postgres", "SIGHUP");
      if (renewed.length > 0) report(`renewed the certificates of ${renewed.join(", ")}`);
    } catch (error) {
      report(`the certificates cannot be renewed for now: ${describeError(error)}`);
    } finally {
      looking = false;
    }
  };
  const timer = setInterval(() => void look(), lookMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
