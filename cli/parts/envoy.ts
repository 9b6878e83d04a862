import { join } from "node:path";
import { serviceNames } from "#common/service-names.ts";
import { requireEnvoy } from "../bring/envoy.ts";
import { keepWhole } from "../state/write-whole.ts";
import { edgeSecretFiles } from "./edge-tls.ts";
import { envoyValues, renderEnvoyConfig } from "./envoy-config.ts";
import type { Mesh, Part } from "./part.ts";
import { expectOk } from "./probe.ts";

/** The one way in, after all that it leads to. `onInstall` is told before it is downloaded. */
export function envoyPart(
  { settings, environment }: Mesh,
  onInstall: (what: string) => void,
): Part {
  const { ports } = settings;
  const admin = `http://${settings.host}:${ports.envoyAdmin}`;
  let program: string | undefined;
  const findEnvoy = async (signal?: AbortSignal): Promise<string> => {
    program ??= await requireEnvoy(settings.root, () => onInstall("Envoy"), signal);
    return program;
  };
  return {
    name: "envoy",
    dependsOn: [
      ...serviceNames,
      ...(ports.stripeSim === undefined ? [] : ["stripe-sim"]),
      "studio",
    ],
    ports: [
      { variable: "ENVOY_PORT", port: ports.envoy },
      { variable: "ENVOY_ADMIN_PORT", port: ports.envoyAdmin },
    ],
    readyMs: 30_000,
    stopSignal: "SIGTERM",
    stopMs: 5_000,
    async prepare(signal) {
      await findEnvoy(signal);
    },
    async launch() {
      const file = join(settings.state, "envoy.yaml");
      const config = renderEnvoyConfig(settings);
      keepWhole(file, config);
      for (const [name, secret] of edgeSecretFiles(envoyValues(settings))) {
        keepWhole(join(settings.state, "tls", name), secret);
      }
      const flags = ["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"];
      return { command: [await findEnvoy(), "-c", file, ...flags], env: environment, config };
    },
    async probe(signal) {
      await expectOk(`${admin}/ready`, signal);
      const info = (await (await fetch(`${admin}/server_info`, { signal })).json()) as {
        version?: string;
      };
      return info.version?.split("/")[1] ?? "unknown";
    },
    async certificateExpiresMs(signal) {
      const { certificates } = (await (await fetch(`${admin}/certs`, { signal })).json()) as {
        certificates: readonly { readonly cert_chain?: readonly { expiration_time: string }[] }[];
      };
      const ends = certificates.flatMap(({ cert_chain = [] }) =>
        cert_chain.map((certificate) => Date.parse(certificate.expiration_time)),
      );
      return ends.length === 0 ? undefined : Math.min(...ends);
    },
  };
}
