import { type ServiceName, serviceNames } from "#common/service-names.ts";

/** Whoever has a certificate in a mesh. */
export type PartName = ServiceName | "studio" | "stripe-sim" | "envoy";

/** All of them, each once. */
export const partNames: readonly PartName[] = [...serviceNames, "studio", "stripe-sim", "envoy"];

/** Whoever listens for others of the mesh. The edge listens for everybody, and asks nobody for a certificate. */
export type ListenerName = Exclude<PartName, "envoy">;

/** Who may call whom, here and nowhere else: a listener ends every other connection before a byte of it is read. */
const callers: Readonly<Record<ListenerName, readonly PartName[]>> = {
  ledger: ["envoy"],
  clearing: ["envoy", "checkout"],
  attestor: ["envoy", "checkout"],
  eventstream: ["envoy"],
  checkout: ["envoy"],
  studio: ["envoy"],
  // A simulator: no production has one.
  "stripe-sim": ["envoy", "checkout"],
};

/** Whom the faucet of a mesh calls that gives away play money. */
const toFaucet: readonly ListenerName[] = ["clearing", "attestor"];

/** Who may call a part, in the environment that SOVR_ENVIRONMENT names: no production has Studio's faucet. */
export function callersOf(name: ListenerName, environment: string): readonly PartName[] {
  const hasFaucet = !/^prod/i.test(environment);
  return hasFaucet && toFaucet.includes(name) ? [...callers[name], "studio"] : callers[name];
}
