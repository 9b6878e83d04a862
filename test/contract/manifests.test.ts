/**
 * Goal: what k8s/ says can run, as far as that can be known without a cluster. Method: render each overlay, hold it to
 * the schemas of two Kubernetes versions, and look for what no schema knows: selectors that choose nothing, probes at
 * ports that are not there, variables that no service reads, who reaches whom, how many sessions TigerBeetle sees.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { identityOf } from "#common/process/tls/identity.ts";
import { databaseUsers, serviceNames } from "#common/service-names.ts";
import { requireEnvoy } from "../../cli/bring/envoy.ts";
import { describeError } from "../../cli/command/problem.ts";
import { runProgram } from "../../cli/command/run-program.ts";
import { edgeSecretFiles, requirePrivateEdge } from "../../cli/parts/edge-tls.ts";
import { renderTemplate } from "../../cli/parts/envoy-config.ts";
import {
  certifiedParts,
  given,
  referenceProblems,
  selectorProblems,
} from "../support/manifests/checks.ts";
import { requireKubernetesTools } from "../support/manifests/kubernetes-tools.ts";
import {
  type Container,
  environmentOf,
  type Manifest,
  ofKind,
  type PodSpec,
  parseManifests,
  podLabels,
  type Workload,
  workloadsOf,
} from "../support/manifests/manifests.ts";
import { admits, blocksReached, isInBlock, mayCall } from "../support/manifests/network-reach.ts";
import { podProblems } from "../support/manifests/pod-checks.ts";
import { partNames, readByService } from "../support/manifests/service-configs.ts";
import {
  clientsOfReplica,
  connectionsWithout,
  sessionsMax,
  sessionsOfCluster,
} from "../support/manifests/session-budget.ts";

// Each program that checks here may take a minute.
vi.setConfig({ testTimeout: 90_000 });

const root = join(import.meta.dirname, "../..");
const overlays = ["evaluation", "evaluation/format", "production"] as const;
const whole = ["evaluation", "production"] as const;
const kubernetesVersions = ["1.33", "1.37"];
const ledgerClients = ["clearing", "eventstream", "ledger"];

const tools = await requireKubernetesTools(root).catch(describeError);
const skipped = typeof tools === "string" ? ` (skipped: ${tools})` : "";
const folder = mkdtempSync(join(tmpdir(), "sovr-manifests-"));
const rendered = new Map<string, readonly Manifest[]>();
const fileOf = (overlay: string) => join(folder, `${overlay.replace("/", "-")}.yaml`);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function manifestsOf(overlay: string): readonly Manifest[] {
  const manifests = rendered.get(overlay);
  if (manifests === undefined) throw new Error(`${overlay} was not rendered`);
  return manifests;
}

function workload(overlay: string, name: string): Workload {
  const found = workloadsOf(manifestsOf(overlay)).find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`${overlay} has no workload ${name}`);
  return found;
}

function podOf(overlay: string, name: string): PodSpec {
  return workload(overlay, name).spec.template.spec;
}

function containerOf(overlay: string, name: string): Container {
  const [container] = podOf(overlay, name).containers;
  if (container === undefined) throw new Error(`${name} has no container`);
  return container;
}

function settingsOf(overlay: string, name: string): Record<string, string> {
  return environmentOf(containerOf(overlay, name), manifestsOf(overlay)).values;
}

describe.skipIf(skipped !== "")(`manifests${skipped}`, () => {
  beforeAll(async () => {
    if (typeof tools === "string") return;
    for (const overlay of overlays) {
      const text = await tools.kustomize(join(root, "k8s/overlays", overlay));
      writeFileSync(fileOf(overlay), text);
      rendered.set(overlay, parseManifests(text));
    }
  });

  it.each(kubernetesVersions)("hold to the schemas of Kubernetes %s, strictly", async (version) => {
    if (typeof tools === "string") return;
    const problems = await tools.validate(version, overlays.map(fileOf));
    expect(problems).toBeUndefined();
  });

  it("are refused by the schemas when a field is misspelt", async () => {
    if (typeof tools === "string") return;
    const file = join(folder, "misspelt.yaml");
    const text = readFileSync(fileOf("production"), "utf8");
    writeFileSync(file, text.replace("minReplicas:", "minimumReplicas:"));
    expect(await tools.validate("1.37", [file])).toMatch(/minimumReplicas/);
  });

  it("has replicas of TigerBeetle that take a connection of every session", () => {
    const replicas = ofKind(manifestsOf("evaluation"), "StatefulSet").filter(
      ({ metadata }) => metadata.name === "tigerbeetle",
    );
    expect(replicas).toHaveLength(1);
    const [, kept] = /--limit-pipeline-requests=([0-9]+)/.exec(JSON.stringify(replicas)) ?? [];
    expect(connectionsWithout + Number(kept)).toBeGreaterThanOrEqual(sessionsOfCluster);
  });

  describe.each(overlays)("%s", (overlay) => {
    it("has pods of the level restricted, with limits, versions and probes that lead somewhere", () => {
      const workloads = workloadsOf(manifestsOf(overlay));
      expect(workloads.length).toBeGreaterThan(2);
      expect(workloads.flatMap(podProblems)).toEqual([]);
    });

    it("lives in one namespace, which enforces that level", () => {
      const [namespace, ...more] = ofKind(manifestsOf(overlay), "Namespace");
      expect(more).toEqual([]);
      expect(namespace?.metadata.labels?.["pod-security.kubernetes.io/enforce"]).toBe("restricted");
      const others = manifestsOf(overlay).filter(({ kind }) => kind !== "Namespace");
      expect(new Set(others.map(({ metadata }) => metadata.namespace))).toEqual(
        new Set([namespace?.metadata.name]),
      );
    });

    it("has selectors that choose something, and Services whose ports are there", () => {
      expect(selectorProblems(manifestsOf(overlay))).toEqual([]);
    });

    it("refers only to what is there or what an operator is told to make", () => {
      expect(referenceProblems(manifestsOf(overlay))).toEqual([]);
    });

    it("gives io_uring to whoever speaks to TigerBeetle, and to nobody else", () => {
      for (const { metadata, spec } of workloadsOf(manifestsOf(overlay))) {
        const speaks = /^tigerbeetle/.test(metadata.name) || ledgerClients.includes(metadata.name);
        const type = spec.template.spec.securityContext?.seccompProfile?.type;
        expect([metadata.name, type]).toEqual([
          metadata.name,
          speaks ? "Localhost" : "RuntimeDefault",
        ]);
      }
    });
  });

  describe.each(whole)("%s", (overlay) => {
    it.each(partNames)("%s takes its environment and is told nothing that nobody reads", (name) => {
      const { values, own } = environmentOf(containerOf(overlay, name), manifestsOf(overlay));
      const read = readByService(name, values);
      expect(own.filter((variable) => !read.has(variable))).toEqual([]);
      expect(containerOf(overlay, name).args).toEqual([`services/${name}/main.ts`]);
    });

    it("has no setting that nobody reads", () => {
      const read = new Set(
        partNames.flatMap((name) => [...readByService(name, settingsOf(overlay, name))]),
      );
      const template = readFileSync(join(root, "envoy/envoy.yaml"), "utf8");
      const { data } = settingsMap(overlay);
      const atEdge = namesReadBy(template);
      const unread = Object.keys(data ?? {}).filter(
        (variable) => !read.has(variable) && !atEdge.has(variable),
      );
      expect(unread).toEqual([]);
    });

    it("gives nobody the key that makes a mesh one of development", () => {
      const told = workloadsOf(manifestsOf(overlay)).flatMap(({ spec }) =>
        spec.template.spec.containers.flatMap((container) =>
          Object.keys(environmentOf(container, manifestsOf(overlay)).values),
        ),
      );
      expect(told.filter((variable) => variable.startsWith("DEVELOPMENT_"))).toEqual([]);
    });

    it.each(partNames)("%s listens where its ports say", (name) => {
      const settings = settingsOf(overlay, name);
      const ports = containerOf(overlay, name).ports?.map((port) => [
        port.name,
        port.containerPort,
      ]);
      const kinds = name === "studio" ? ["CONNECT", "METRICS"] : ["GRPC", "CONNECT", "METRICS"];
      const listening = kinds.map((what) => [
        what.toLowerCase(),
        Number(settings[`${what}_ADDRESS`]?.replace("0.0.0.0:", "")),
      ]);
      expect(ports).toEqual(listening);
    });

    it.each(partNames)("%s is given the time that it takes to drain", (name) => {
      const settings = settingsOf(overlay, name);
      const drainMs = Number(settings["DRAIN_DELAY_MS"]) + Number(settings["DRAIN_GRACE_MS"]);
      const graceMs = (podOf(overlay, name).terminationGracePeriodSeconds ?? 30) * 1_000;
      expect(drainMs).toBeGreaterThan(10_000);
      expect(graceMs).toBeGreaterThanOrEqual(drainMs + 10_000);
    });

    it("opens fewer TigerBeetle sessions than a cluster has, also while it rolls out", () => {
      const draining = 1;
      const sessions = Object.entries(clientsOfReplica).map(([name, clients]) => {
        const scaler = ofKind(manifestsOf(overlay), "HorizontalPodAutoscaler").find(
          ({ metadata }) => metadata.name === name,
        );
        if (scaler === undefined) throw new Error(`nothing scales ${name}`);
        const { maxReplicas } = scaler.spec as { readonly maxReplicas: number };
        const surge = workload(overlay, name).spec.strategy?.rollingUpdate?.maxSurge ?? Number.NaN;
        return (maxReplicas + surge + draining) * clients;
      });
      expect(sessions.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(sessionsMax);
    });

    it.each(databaseUsers.filter((name) => name !== "studio" || overlay === "production"))(
      "gives %s no way to the database but its own",
      (name) => {
        const { containers, initContainers = [] } = podOf(overlay, name);
        const mounts = (those: readonly Container[]) =>
          those.flatMap(({ volumeMounts = [] }) => volumeMounts.map((mount) => mount.name));
        expect(mounts(containers)).toContain("database");
        expect(mounts(containers)).not.toContain("owner");
        expect(mounts(initContainers)).toEqual(["owner", "database"]);
        expect(initContainers[0]?.args?.slice(1)).toEqual([`${name}=/etc/sovr/database/url`]);
      },
    );

    it("lets exactly those call each other that must, by the policies of the caller", () => {
      expect(pairsOf(overlay, mayCall)).toEqual(expectedPairs(overlay));
    });

    it("and by those of the called, save that anybody may call the edge", () => {
      const edge = workloadsOf(manifestsOf(overlay)).map(
        ({ metadata }) => `${metadata.name} envoy:8080`,
      );
      expect(pairsOf(overlay, admits)).toEqual(
        [...new Set([...expectedPairs(overlay), ...edge])].sort(),
      );
    });

    it("lets Prometheus, and no other namespace, read the metrics", () => {
      const rules = ofKind(manifestsOf(overlay), "NetworkPolicy")
        .map(({ spec }) => spec as { readonly ingress?: readonly { readonly from?: unknown }[] })
        .flatMap(({ ingress = [] }) => ingress)
        .filter(({ from }) => JSON.stringify(from ?? []).includes("namespaceSelector"));
      expect(rules).toEqual([
        {
          from: [
            { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } },
          ],
          ports: [{ protocol: "TCP", port: 5300 }],
        },
      ]);
    });

    it("runs the mesh at the version of the package", () => {
      const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
        readonly version: string;
      };
      for (const name of partNames) {
        expect(containerOf(overlay, name).image).toMatch(new RegExp(`(^|/)sovr-mesh:${version}$`));
      }
      const { image } = containerOf(overlay, "clearing");
      expect(podOf(overlay, "envoy").initContainers?.[0]?.image).toBe(image);
      if (overlay === "evaluation") expect(containerOf(overlay, "stripe-sim").image).toBe(image);
    });

    it("renders an Envoy that knows every service by its name and ports, and is valid", async () => {
      const [render] = podOf(overlay, "envoy").initContainers ?? [];
      if (render === undefined) throw new Error("envoy has no init container");
      const { values, own } = environmentOf(render, manifestsOf(overlay));
      const template = readFileSync(join(root, "envoy/envoy.yaml"), "utf8");
      const atEdge = namesReadBy(template);
      expect(own.filter((variable) => !atEdge.has(variable))).toEqual([]);
      const services = ofKind(manifestsOf(overlay), "Service").map(({ metadata }) => metadata.name);
      expect(edgeAddresses(renderTemplate(template, values))).toEqual(
        partNames
          .filter((name) => services.includes(name))
          .flatMap((name) => (name === "studio" ? [] : [`${name}:5100`]).concat(`${name}:5200`))
          .concat(services.includes("stripe-sim") ? ["stripe-sim:5400"] : [])
          .sort(),
      );
      const here = { ...values, JWKS_FILE: jwksFile(), EDGE_SECRETS_FOLDER: folder };
      for (const [name, secret] of edgeSecretFiles(here)) writeFileSync(join(folder, name), secret);
      expect(await envoyProblems(renderTemplate(template, here))).toBe("");
    });
  });

  it("speaks to the replicas that evaluation starts, under the id that they were formatted with", () => {
    const settings = settingsOf("evaluation", "clearing");
    const replicas = workload("evaluation", "tigerbeetle").spec.replicas ?? 0;
    const names = Array.from({ length: replicas }, (_, index) => `tigerbeetle-${index}`);
    expect(settings["TIGERBEETLE_ADDRESSES"]).toBe(names.map((name) => `${name}:3000`).join(","));
    const started = settingsOf("evaluation", "tigerbeetle");
    expect(started["TIGERBEETLE_CLUSTER_ID"]).toBe(settings["TIGERBEETLE_CLUSTER_ID"]);
    expect(started["REPLICA_COUNT"]).toBe(String(replicas));
    const jobs = ofKind(manifestsOf("evaluation/format"), "Job").map(({ metadata: { name } }) => {
      const { values } = environmentOf(
        containerOf("evaluation/format", name),
        manifestsOf("evaluation/format"),
      );
      const [volume] = podOf("evaluation/format", name).volumes ?? [];
      return [volume?.persistentVolumeClaim?.claimName, values];
    });
    const [claim] = workload("evaluation", "tigerbeetle").spec.volumeClaimTemplates ?? [];
    expect(jobs).toEqual(
      names.map((name, index) => [
        `${claim?.metadata.name}-${name}`,
        {
          REPLICA: String(index),
          REPLICA_COUNT: String(replicas),
          TIGERBEETLE_CLUSTER_ID: settings["TIGERBEETLE_CLUSTER_ID"],
        },
      ]),
    );
  });

  it("gives every replica an address that stays, ready or not", () => {
    const services = ofKind(manifestsOf("evaluation"), "Service");
    for (const index of [0, 1, 2]) {
      const service = services.find(({ metadata }) => metadata.name === `tigerbeetle-${index}`);
      expect(service?.spec).toMatchObject({
        publishNotReadyAddresses: true,
        selector: { "statefulset.kubernetes.io/pod-name": `tigerbeetle-${index}` },
      });
      expect(service?.spec).not.toHaveProperty("clusterIP");
    }
    expect(podOf("evaluation", "tigerbeetle")).toMatchObject({ enableServiceLinks: true });
  });

  it("lets production's Checkout reach Stripe, Studio the provider of identities, neither its own machines, and nobody else go out", () => {
    const manifests = manifestsOf("production");
    for (const one of workloadsOf(manifests)) {
      const expected = ["checkout", "studio"].includes(one.metadata.name) ? ["0.0.0.0/0"] : [];
      expect([one.metadata.name, blocksReached(manifests, podLabels(one), 443)]).toEqual([
        one.metadata.name,
        expected,
      ]);
    }
    const toStripe = ofKind(manifests, "NetworkPolicy").find(
      ({ metadata }) => metadata.name === "to-stripe",
    );
    const except: unknown = expect.arrayContaining(["10.0.0.0/8", "169.254.0.0/16"]);
    expect(toStripe?.spec).toMatchObject({ egress: [{ to: [{ ipBlock: { except } }] }] });
    const checkout = podLabels(workload("production", "checkout"));
    expect(blocksReached(manifests, checkout, 3000)).toEqual([]);
  });

  it("shows the keys of Stripe to Checkout alone, and those of the simulator to the simulator", () => {
    for (const overlay of whole) {
      const holders = (secret: string) =>
        workloadsOf(manifestsOf(overlay))
          .filter(({ spec }) =>
            spec.template.spec.volumes?.some((volume) => volume.secret?.secretName === secret),
          )
          .map(({ metadata }) => metadata.name);
      // The simulator takes that key and no other, and signs what Checkout checks.
      const signers = overlay === "evaluation" ? ["checkout", "stripe-sim"] : ["checkout"];
      expect(holders("stripe-key").sort()).toEqual(signers);
      expect(holders("checkout-key")).toEqual(["checkout"]);
      expect(holders("stripe-webhook").sort()).toEqual(signers);
    }
  });

  it("simulates Stripe in evaluation, by what its simulator reads, and never in production", () => {
    const { values, own } = environmentOf(
      containerOf("evaluation", "stripe-sim"),
      manifestsOf("evaluation"),
    );
    const read = readByService("stripe-sim", values);
    expect(own.filter((variable) => !read.has(variable))).toEqual([]);
    expect(settingsOf("evaluation", "checkout")["STRIPE_API_URL"]).toBe("http://stripe-sim:5400");
    const production = { ...values, ...settingsMap("production").data };
    expect(() => readByService("stripe-sim", production)).toThrow(/no production has it/);

    expect(JSON.stringify(manifestsOf("production"))).not.toMatch(
      /stripe-sim|STRIPE_SIM|STRIPE_API_URL|simulator/,
    );
    const [render] = podOf("production", "envoy").initContainers ?? [];
    if (render === undefined) throw new Error("envoy has no init container");
    const config = renderTemplate(
      readFileSync(join(root, "envoy/envoy.yaml"), "utf8"),
      environmentOf(render, manifestsOf("production")).values,
    );
    expect(JSON.stringify(parse(config, { merge: true, maxAliasCount: -1 }))).not.toMatch(
      /stripe.sim/i,
    );
  });

  it("says in k8s/README.md what an operator must make", () => {
    const readme = readFileSync(join(root, "k8s/README.md"), "utf8");
    const unsaid = Object.entries(given).filter(
      ([name, key]) => !readme.includes(`| \`${name}\` | \`${key}\` |`),
    );
    expect(unsaid).toEqual([]);
  });

  it("never formats where it starts", () => {
    const pod = podOf("evaluation", "tigerbeetle");
    expect(pod.initContainers).toBeUndefined();
    expect(pod.containers.map(({ command }) => command)).toEqual([
      ["tini", "--", "sh", "/scripts/start.sh"],
    ]);
    const start = readFileSync(join(root, "k8s/components/tigerbeetle/cluster/start.sh"), "utf8");
    expect(start).not.toMatch(/^[^#]*"\$tigerbeetle" format/m);
  });

  it("lets production reach the six replicas that it names", () => {
    const addresses =
      settingsOf("production", "clearing")["TIGERBEETLE_ADDRESSES"]?.split(",") ?? [];
    expect(addresses).toHaveLength(6);
    for (const name of ledgerClients) {
      const blocks = blocksReached(
        manifestsOf("production"),
        podLabels(workload("production", name)),
        3000,
      );
      const unreachable = addresses
        .map((address) => address.replace(/:3000$/, ""))
        .filter((address) => !blocks.some((block) => isInBlock(address, block)));
      expect(unreachable).toEqual([]);
    }
    const attestor = podLabels(workload("production", "attestor"));
    expect(blocksReached(manifestsOf("production"), attestor, 3000)).toEqual([]);
  });

  it("shows every part of production its own certificate, whole and as it is renewed, and nobody another's", () => {
    const mounts = workloadsOf(manifestsOf("production")).flatMap(({ metadata, spec }) => {
      const { containers, volumes = [] } = spec.template.spec;
      return volumes
        .map(({ name, secret }) => ({ name, secret: secret?.secretName ?? "" }))
        .filter(({ secret }) => secret.endsWith("-tls"))
        .flatMap(({ name, secret }) =>
          containers
            .flatMap(({ volumeMounts = [] }) => volumeMounts)
            .filter((mount) => mount.name === name && mount.subPath === undefined)
            .map(({ mountPath }) => `${metadata.name} ${secret} ${mountPath}`),
        );
    });
    expect(mounts.sort()).toEqual(
      [
        ...certifiedParts.map((name) => `${name} ${name}-tls /etc/sovr/tls`),
        "envoy edge-tls /etc/sovr/edge",
      ].sort(),
    );
    for (const name of partNames) {
      expect([name, settingsOf("production", name)["TLS_FOLDER"]]).toEqual([name, "/etc/sovr/tls"]);
    }
  });

  it("lets no part of production go without its certificate", () => {
    for (const name of partNames) {
      const without = { ...settingsOf("production", name), TLS_FOLDER: "" };
      expect(() => readByService(name, without)).toThrow(/beyond this machine/);
    }
    const [render] = podOf("production", "envoy").initContainers ?? [];
    if (render === undefined) throw new Error("envoy has no init container");
    const { values } = environmentOf(render, manifestsOf("production"));
    expect(requirePrivateEdge(values)).toEqual([]);
    expect(() => requirePrivateEdge({ ...values, TLS_FOLDER: "" })).toThrow(/beyond this machine/);
    expect(() => requirePrivateEdge({ ...values, EDGE_TLS_FOLDER: "" })).toThrow(/^ENVOY_HOST/);
  });

  it("has an example for cert-manager that says of every part who it is, and renews it", () => {
    const file = join(root, "k8s/components/tls/cert-manager.yaml");
    const certificates = ofKind(parseManifests(readFileSync(file, "utf8")), "Certificate")
      .map(({ spec }) => spec as Readonly<Record<string, unknown>>)
      .filter(({ isCA }) => isCA === undefined);
    const domain = settingsOf("production", "ledger")["TLS_TRUST_DOMAIN"] ?? "";
    expect(certificates).toEqual(
      certifiedParts.map((name) =>
        expect.objectContaining({
          secretName: `${name}-tls`,
          uris: [identityOf(domain, name)],
          usages: ["digital signature", "server auth", "client auth"],
          renewBefore: "240h",
          issuerRef: { name: "mesh-authority", kind: "Issuer" },
        }),
      ),
    );
  });

  function settingsMap(overlay: string): Manifest {
    const found = ofKind(manifestsOf(overlay), "ConfigMap").find(({ metadata }) =>
      metadata.name.startsWith("settings-"),
    );
    if (found === undefined) throw new Error(`${overlay} has no settings`);
    return found;
  }

  /** Every pair of workloads and port that the policies open, as "from to:port". */
  function pairsOf(overlay: string, allows: typeof admits): string[] {
    const workloads = workloadsOf(manifestsOf(overlay));
    const ports = [443, 3000, 5100, 5200, 5300, 5400, 5432, 8080, 9901];
    return workloads
      .flatMap((from) =>
        workloads.flatMap((to) =>
          ports
            .filter((port) => allows(manifestsOf(overlay), podLabels(from), podLabels(to), port))
            .map((port) => `${from.metadata.name} ${to.metadata.name}:${port}`),
        ),
      )
      .sort();
  }

  function expectedPairs(overlay: string): string[] {
    const edge = partNames.flatMap((name) =>
      [5100, 5200, 5300].map((port) => `envoy ${name}:${port}`),
    );
    const peers = ["checkout attestor:5100", "checkout clearing:5100"];
    const inside = [
      "checkout stripe-sim:5400",
      "envoy stripe-sim:5400",
      "stripe-sim envoy:8080",
      ...[...ledgerClients, "tigerbeetle"].map((name) => `${name} tigerbeetle:3000`),
      ...serviceNames.map((name) => `${name} postgres:5432`),
    ];
    return [...edge, ...peers, ...(overlay === "evaluation" ? inside : [])].sort();
  }

  function jwksFile(): string {
    const file = join(folder, "jwks.json");
    const key = { kty: "OKP", crv: "Ed25519", kid: "a", alg: "EdDSA", use: "sig" };
    const x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    writeFileSync(file, JSON.stringify({ keys: [{ ...key, x }] }));
    return file;
  }

  async function envoyProblems(config: string): Promise<string> {
    const program = await requireEnvoy(root, () => undefined);
    const file = join(folder, "envoy.yaml");
    writeFileSync(file, config);
    const flags = ["--mode", "validate", "--log-level", "warning", "-c", file];
    const { code, output } = await runProgram(program, flags, { timeoutMs: 60_000 });
    return code === 0 ? output.replace(/^configuration .* OK\n/m, "") : output;
  }
});

describe("the checks themselves", () => {
  const pod = (change: object): Workload => ({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name: "x" },
    spec: { template: { metadata: {}, spec: { containers: [], ...change } } },
  });

  it("see a pod that is not restricted", () => {
    expect(
      podProblems(pod({ securityContext: { seccompProfile: { type: "Unconfined" } } })),
    ).toEqual([
      "Job/x: runAsNonRoot is not true",
      "Job/x: runAsUser is root or unknown",
      "Job/x: it mounts a token",
      'Job/x: seccomp is {"type":"Unconfined"}',
    ]);
    const container = {
      name: "c",
      image: "sovr-mesh",
      ports: [{ name: "http", containerPort: 8080 }],
      readinessProbe: { tcpSocket: { port: "metrics" } },
    };
    expect(
      podProblems(pod({ containers: [container], volumes: [{ name: "v", hostPath: {} }] })),
    ).toEqual(
      expect.arrayContaining([
        "Job/x: the volume v is of a kind that is not allowed",
        "Job/x: c may gain privileges",
        "Job/x: c has no limit of memory",
        "Job/x: c the image sovr-mesh has no version",
        "Job/x: c is probed at the port metrics, which it does not have",
      ]),
    );
  });

  it("see that nothing stops traffic where no policy selects", () => {
    expect(admits([], { a: "b" }, { c: "d" }, 3000)).toBe(true);
    const deny: Manifest = {
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      metadata: { name: "deny" },
      spec: { podSelector: {}, policyTypes: ["Ingress"] },
    };
    expect(admits([deny], { a: "b" }, { c: "d" }, 3000)).toBe(false);
    expect(mayCall([deny], { a: "b" }, { c: "d" }, 3000)).toBe(true);
    expect(isInBlock("192.0.2.65", "192.0.2.64/28")).toBe(true);
    expect(isInBlock("192.0.2.80", "192.0.2.64/28")).toBe(false);
  });

  it("see a variable that the service does not read", () => {
    const values = {
      DATABASE_URL: "postgres://a",
      JWT_JWKS_FILE: "x",
      TIGERBEETLE_ADDRESSES: "a:1",
    };
    const read = readByService("ledger", { ...values, DATABSE_URL: "postgres://b" });
    expect(read.has("DATABASE_URL")).toBe(true);
    expect(read.has("DATABSE_URL")).toBe(false);
    expect(() => readByService("ledger", { JWT_JWKS_FILE: "x" })).toThrow(/TIGERBEETLE_ADDRESSES/);
  });
});

/** The names that a template is filled with, its own and those of what is generated into it. */
function namesReadBy(template: string): ReadonlySet<string> {
  const read = new Set<string>();
  const values: Record<string, string> = {};
  const noting = new Proxy(values, {
    get(_, name) {
      read.add(String(name));
      return "1";
    },
  });
  renderTemplate(template, noting);
  return read;
}

/** host:port of every endpoint in an Envoy configuration, each once. */
function edgeAddresses(config: string): string[] {
  interface Cluster {
    readonly load_assignment: {
      readonly endpoints: readonly {
        readonly lb_endpoints: readonly {
          readonly endpoint: {
            readonly address: {
              readonly socket_address: { readonly address: string; readonly port_value: number };
            };
          };
        }[];
      }[];
    };
  }
  const { static_resources } = parse(config, { merge: true, maxAliasCount: -1 }) as {
    readonly static_resources: { readonly clusters: readonly Cluster[] };
  };
  const addresses = static_resources.clusters
    .flatMap(({ load_assignment }) => load_assignment.endpoints)
    .flatMap(({ lb_endpoints }) => lb_endpoints)
    .map(({ endpoint }) => endpoint.address.socket_address)
    .map(({ address, port_value }) => `${address}:${port_value}`);
  // Several clusters lead to one port: calls and streams share no connection.
  return [...new Set(addresses)].sort();
}
