import { dirname } from "node:path";
import { partNames } from "#common/process/tls/parts.ts";
import {
  type Container,
  environmentOf,
  type Manifest,
  podLabels,
  type Selector,
  selects,
  type Workload,
  workloadsOf,
} from "./manifests.ts";

/** Whoever has a certificate where the mesh has certificates; the simulator of Stripe is not there then. */
export const certifiedParts = partNames.filter((name) => name !== "stripe-sim");

/** What an operator makes by hand, because it is secret or must not be ours (k8s/README.md), and its keys. */
export const given: Readonly<Record<string, string>> = {
  "ConfigMap/issuer": "jwks.json",
  "ConfigMap/signers": "signers.json",
  "Secret/attestor-key": "attestor.key",
  "Secret/database-owner": "url",
  "Secret/attestor-database": "url",
  "Secret/clearing-database": "url",
  "Secret/ledger-database": "url",
  "Secret/eventstream-database": "url",
  "Secret/checkout-database": "url",
  "Secret/studio-database": "url",
  "Secret/studio-key": "studio.jwk",
  "Secret/oidc-client": "secret",
  "Secret/checkout-key": "checkout.jwk",
  "Secret/stripe-key": "secret-key",
  "Secret/stripe-webhook": "secrets",
  "Secret/postgres": "password",
  ...Object.fromEntries(
    [...certifiedParts, "edge"].map((name) => [`Secret/${name}-tls`, "tls.crt"]),
  ),
};

/** Selectors that choose no pod, workloads that do not choose their own, ports of Services that no pod has. */
export function selectorProblems(manifests: readonly Manifest[]): string[] {
  const workloads = workloadsOf(manifests);
  const chosen = (selector: Selector) =>
    workloads.filter((one) => selects(selector, labelsOfPods(one, selector)));
  const problems: string[] = [];
  for (const one of workloads) {
    const { selector } = one.spec;
    if (one.kind !== "Job" && (selector === undefined || !selects(selector, podLabels(one)))) {
      problems.push(`${one.metadata.name} does not select its own pods`);
    }
  }
  for (const { kind, metadata, spec } of manifests) {
    if (kind === "PodDisruptionBudget" || kind === "NetworkPolicy") {
      const { selector, podSelector = selector } = spec as Record<string, Selector>;
      if (podSelector === undefined || chosen(podSelector).length === 0) {
        problems.push(`${kind} ${metadata.name} selects nothing`);
      }
    }
    if (kind === "HorizontalPodAutoscaler") {
      const { scaleTargetRef: target } = spec as { scaleTargetRef: { kind: string; name: string } };
      const found = workloads.filter(
        (one) => one.kind === target.kind && one.metadata.name === target.name,
      );
      if (found.length !== 1) problems.push(`${metadata.name} scales nothing`);
      if (found[0]?.spec.replicas !== undefined) problems.push(`${metadata.name} is set twice`);
    }
    if (kind === "Service") problems.push(...serviceProblems({ metadata, spec }, chosen));
  }
  return problems;
}

function serviceProblems(
  { metadata, spec }: Pick<Manifest, "metadata" | "spec">,
  chosen: (selector: Selector) => readonly Workload[],
): string[] {
  const { selector, ports } = spec as {
    readonly selector: Readonly<Record<string, string>>;
    readonly ports: readonly { readonly targetPort: string }[];
  };
  const [target, ...more] = chosen({ matchLabels: selector });
  if (target === undefined || more.length > 0) return [`Service ${metadata.name} chooses not one`];
  const names = target.spec.template.spec.containers.flatMap((one) => one.ports ?? []);
  return ports
    .filter(({ targetPort }) => !names.some(({ name }) => name === targetPort))
    .map(
      ({ targetPort }) =>
        `Service ${metadata.name} leads to the port ${targetPort}, which is not there`,
    );
}

/** The labels of a workload's pods, with the pod's name where a StatefulSet and the selector speak of it. */
function labelsOfPods(one: Workload, { matchLabels = {} }: Selector): Record<string, string> {
  const key = "statefulset.kubernetes.io/pod-name";
  const pod = matchLabels[key];
  const ordinal = pod?.startsWith(`${one.metadata.name}-`)
    ? Number(pod.slice(one.metadata.name.length + 1))
    : Number.NaN;
  const has = one.kind === "StatefulSet" && ordinal < (one.spec.replicas ?? 0);
  return { ...podLabels(one), ...(has && pod !== undefined ? { [key]: pod } : {}) };
}

/** ConfigMaps, Secrets, claims and accounts that pods name and nobody makes; files under no mount. */
export function referenceProblems(manifests: readonly Manifest[]): string[] {
  const there = new Set(manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
  return workloadsOf(manifests).flatMap(({ metadata, spec }) => {
    const pod = spec.template.spec;
    const names = (pod.volumes ?? []).flatMap((volume) => [
      ...(volume.configMap === undefined ? [] : [`ConfigMap/${volume.configMap.name}`]),
      ...(volume.secret === undefined ? [] : [`Secret/${volume.secret.secretName}`]),
      ...(volume.persistentVolumeClaim === undefined
        ? []
        : [`PersistentVolumeClaim/${volume.persistentVolumeClaim.claimName}`]),
    ]);
    if (pod.serviceAccountName !== undefined)
      names.push(`ServiceAccount/${pod.serviceAccountName}`);
    const missing = names.filter((name) => !there.has(name) && given[name] === undefined);
    return [
      ...missing.map((name) => `${metadata.name} names ${name}, which is not there`),
      ...pod.containers.flatMap((container) => fileProblems(container, spec, manifests)),
    ];
  });
}

/** Variables that name a file: it must be a key of what is mounted there. */
function fileProblems(
  container: Container,
  spec: Workload["spec"],
  manifests: readonly Manifest[],
): string[] {
  const { values } = environmentOf(container, manifests);
  return Object.entries(values)
    .filter(([name, value]) => name.endsWith("_FILE") && value.startsWith("/"))
    .filter(([, path]) => {
      const mount = container.volumeMounts?.find(({ mountPath }) => mountPath === dirname(path));
      const volume = spec.template.spec.volumes?.find(({ name }) => name === mount?.name);
      const source =
        volume?.secret === undefined
          ? `ConfigMap/${volume?.configMap?.name}`
          : `Secret/${volume.secret.secretName}`;
      return mount?.subPath !== undefined || given[source] !== path.slice(dirname(path).length + 1);
    })
    .map(([name, path]) => `${container.name}: ${name} is ${path}, where nothing is mounted`);
}
