import { join, relative } from "node:path";
import { serviceNames } from "#common/service-names.ts";
import { table } from "../command/text.ts";
import { replicaCount, replicasOf } from "../parts/replicas.ts";
import { edgeUrl, type Settings } from "../state/settings.ts";
import type { MeshIdentity } from "../state/state.ts";
import { authorityFiles } from "../tls/tls-files.ts";

/** What ./mesh up says at the end: the engine, the addresses, and what to try. */
export function readyText(settings: Settings, identity: MeshIdentity): string {
  const at = (port: number) => `${settings.host}:${port}`;
  const rows: (readonly string[])[] = [
    ["", "gRPC", "Connect, JSON", "metrics, health"],
    ["envoy", at(settings.ports.envoy), at(settings.ports.envoy), at(settings.ports.envoyAdmin)],
    ...serviceNames.map((name) => {
      const ports = settings.ports.services[name];
      return [name, at(ports.grpc), at(ports.connect), at(ports.metrics)];
    }),
    ["studio", "", at(settings.ports.studio.connect), at(settings.ports.studio.metrics)],
    ...(settings.ports.stripeSim === undefined
      ? []
      : [
          [
            "stripe-sim",
            "",
            at(settings.ports.stripeSim),
            at(settings.ports.stripeSimMetrics),
          ] as const,
        ]),
    ["postgres", at(settings.ports.postgres)],
    ...(identity.external ? [["tigerbeetle", settings.tigerbeetleAddresses ?? ""]] : []),
    ...replicasOf(settings, identity).map(({ name, port }) => [name, at(port)]),
  ];
  return [
    engineText(settings, identity),
    "",
    table(rows),
    "",
    `Everything goes through envoy, with a token. Logs are in ${relative(settings.root, join(settings.state, "logs"))}.`,
    `Studio, the browser app: ${edgeUrl(settings)}/`,
    ...(settings.tls
      ? [
          `Everything is encrypted; whoever calls trusts ${relative(settings.root, authorityFiles(settings).certificate)} (docs/tls.md).`,
        ]
      : []),
    ...(settings.signIn
      ? [
          "Whoever wants a token of Studio's signs in, by a wallet or as one of the people of a provider (docs/sign-in.md).",
        ]
      : []),
    settings.ports.stripeSim === undefined
      ? "Cards are paid at Stripe, if you have given its keys."
      : "Cards are paid in a simulator of Stripe, where no money moves; STRIPE_SECRET_KEY brings Stripe itself.",
    "Try in a second terminal:",
    "  ./mesh demo",
    "  ./mesh tail",
    "  ./mesh call LedgerService/GetTrialBalance '{\"ledger\": 1}'",
  ].join("\n");
}

function countText(replicas: number): string {
  return replicas === 1 ? "one replica" : `${replicas} replicas`;
}

function engineText(settings: Settings, identity: MeshIdentity): string {
  const cluster = `cluster ${identity.clusterId}`;
  if (identity.engine === "embedded") {
    return `Engine: embedded, ${cluster}. It is for development and tests; after ./mesh down, MESH_STATE=.mesh-tigerbeetle ./mesh up --engine tigerbeetle runs a TigerBeetle.`;
  }
  const where = identity.external
    ? `at ${settings.tigerbeetleAddresses}`
    : `${countText(replicaCount(identity))}, --development`;
  return `Engine: TigerBeetle, ${cluster}, ${where}.`;
}
