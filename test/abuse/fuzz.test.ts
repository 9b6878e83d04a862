// Goal: whatever a caller sends, each method of each service answers, or refuses with exactly one reason that is no fault of
// ours; nobody dies, nothing stays behind. Method: requests made from the descriptors, plausible ones, wild ones and
// ones whose bytes or letters were changed, to both mounts of every service of one mesh, with every scope. The seed is fixed;
// ABUSE_SEED is another one, ABUSE_RUNS how many requests of each kind every method gets.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type DescMethod, type Message, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { credentials, Client as GrpcClient } from "@grpc/grpc-js";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { contracts } from "#common/contracts.ts";
import { isReason, ruleOf } from "#common/rpc/reasons.ts";
import { type ServiceName, serviceNames } from "#common/service-names.ts";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { arbitraryMessage, plausibleMessage } from "../support/rpc/arbitrary-message.ts";
import { callConnect, callGrpc, type RawOutcome } from "../support/rpc/raw-calls.ts";

const seed = Number(process.env["ABUSE_SEED"] ?? 20_261_130);
const runs = Number(process.env["ABUSE_RUNS"] ?? 2);
/** What a service may hold after the second half of the calls more than after the first: caches that fill, a heap that breathes. */
const growthBytesMax = 128 * 1024 * 1024;

const methods = contracts.flatMap((service) =>
  service.methods.map((method) => ({ service: service.name, method })),
);

let mesh: TestMesh;
let token: string;
const channels = new Map<ServiceName, GrpcClient>();
const pids = new Map<string, number>();

beforeAll(async () => {
  mesh = await startMesh();
  token = await mesh.token();
  for (const name of serviceNames) {
    channels.set(name, new GrpcClient(mesh.services[name].grpc, credentials.createInsecure()));
    pids.set(name, mesh.part(name).pid);
  }
});

afterAll(async () => {
  for (const channel of channels.values()) channel.close();
  await mesh?.stop();
});

/** The service whose contract a method is of: LedgerService is ledger. */
function serviceOf({ parent }: DescMethod): ServiceName {
  const name = parent.name
    .replace(/Service$/, "")
    .replace("EventStream", "eventstream")
    .toLowerCase();
  const found = serviceNames.find((each) => each === name);
  if (found === undefined) throw new Error(`nobody serves ${parent.name}`);
  return found;
}

interface Change {
  readonly at: number;
  readonly by: number;
  readonly takes: number;
}

const changes = fc.array(fc.record({ at: fc.nat(), by: fc.nat(255), takes: fc.nat(2) }), {
  minLength: 1,
  maxLength: 3,
});

function changed(bytes: Uint8Array, all: readonly Change[]): Uint8Array {
  return all.reduce((current, { at, by, takes }) => {
    const place = current.length === 0 ? 0 : at % current.length;
    return Uint8Array.from([...current.subarray(0, place), by, ...current.subarray(place + takes)]);
  }, bytes);
}

interface Encoded {
  readonly binary: Uint8Array;
  readonly json: Uint8Array;
}

/** The requests of a method: always the same ones for a seed and a round. */
function requestsOf({ input }: DescMethod, round: number): readonly Encoded[] {
  const encode = (message: Message): Encoded => ({
    binary: toBinary(input, message),
    json: Buffer.from(toJsonString(input, message)),
  });
  const plausible = plausibleMessage(input).map(encode);
  const mutated = fc
    .tuple(plausible, changes)
    .map(([{ binary, json }, all]) => ({ binary: changed(binary, all), json: changed(json, all) }));
  const noise = fc
    .uint8Array({ maxLength: 64 })
    .map((bytes) => ({ binary: bytes, json: Buffer.from(JSON.stringify([...bytes])) }));
  const sample = (arbitrary: fc.Arbitrary<Encoded>, numRuns: number) =>
    fc.sample(arbitrary, { seed: seed + round, numRuns });
  return [
    ...sample(plausible, runs),
    ...sample(arbitraryMessage(input).map(encode), runs),
    ...sample(mutated, runs),
    ...sample(noise, 2),
  ];
}

/** How calls ended: "" for an answer. */
const reasons = new Set<string>();

/** What is wrong with how a call ended; undefined if nothing is. */
function faultOf(outcome: RawOutcome): string | undefined {
  const infos = outcome?.findDetails(ErrorInfoSchema) ?? [];
  reasons.add(infos[0]?.reason ?? "");
  if (outcome === undefined) return undefined;
  const said = `${Code[outcome.code]} ${infos.map(({ reason }) => reason).join(",")}: ${outcome.rawMessage}`;
  const [info, second] = infos;
  if (info === undefined || second !== undefined) return `not one reason: ${said}`;
  if (info.reason === "INTERNAL" || !isReason(info.reason)) return `a fault of ours: ${said}`;
  const { code, earlyCode } = ruleOf(info.reason);
  return [code, earlyCode].includes(outcome.code) ? undefined : `another code: ${said}`;
}

/** Sends every request of a method to both mounts, and tells what was wrong with the answers. */
async function sendAll(method: DescMethod, round: number): Promise<readonly string[]> {
  const name = serviceOf(method);
  const channel = channels.get(name);
  if (channel === undefined) throw new Error(`no channel to ${name}`);
  const { connect } = mesh.services[name];
  const faults = await Promise.all(
    requestsOf(method, round).map(async ({ binary, json }) => {
      const ends = await Promise.all([
        callGrpc(channel, { method, body: binary, token }),
        callConnect(connect, "proto", { method, body: binary, token }),
        callConnect(connect, "json", { method, body: json, token }),
      ]);
      return ends.map((end, index) => {
        const fault = faultOf(end);
        const sent = index < 2 ? Buffer.from(binary).toString("hex") : Buffer.from(json).toString();
        return fault && `${["gRPC", "proto", "JSON"][index]} ${sent}: ${fault}`;
      });
    }),
  );
  return faults.flat().filter((fault) => fault !== undefined);
}

describe.each([1, 2])("round %i", (round) => {
  it.each(methods)(
    "$service/$method.name answers, or refuses with one reason",
    async ({ method }) => {
      expect(await sendAll(method, round)).toEqual([]);
    },
  );

  it("leaves every call ended", async () => {
    for (const name of serviceNames) await expect.poll(() => underWay(name)).toBe(0);
  });

  it("leaves no more behind than a service needs", () => {
    for (const name of serviceNames) {
      const now = residentBytes(name);
      const before = resident.get(name);
      if (before !== undefined && now !== undefined)
        expect(now - before, name).toBeLessThan(growthBytesMax);
      if (now !== undefined) resident.set(name, now);
    }
  });
});

const resident = new Map<string, number>();

/** What a service's process holds in memory; undefined where there is no /proc. */
function residentBytes(name: ServiceName): number | undefined {
  const file = `/proc/${pids.get(name)}/status`;
  if (!existsSync(file)) return undefined;
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(file, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

/** The calls of a service that have begun and not ended. */
async function underWay(name: ServiceName): Promise<number> {
  const text = await (await fetch(`http://${mesh.services[name].metrics}/metrics`)).text();
  return text
    .split("\n")
    .filter((line) => line.startsWith("rpc_in_flight{"))
    .reduce((total, line) => total + Number(/\} ([0-9]+)/.exec(line)?.[1]), 0);
}

describe("afterwards", () => {
  it("the same processes serve", async () => {
    for (const name of serviceNames) {
      expect(mesh.part(name).pid, name).toBe(pids.get(name));
      const ready = await fetch(`http://${mesh.services[name].metrics}/readyz`);
      expect(ready.status, name).toBe(200);
    }
  });

  it("has come further than the readers and the validators", () => {
    const all = [...reasons];
    expect(all).toEqual(expect.arrayContaining(["", "INVALID_FIELD", "INTENT_NOT_FOUND"]));
    expect(all.length, all.join(" ")).toBeGreaterThan(5);
  });

  it("no service has an error in its log", () => {
    for (const name of serviceNames) {
      const log = readFileSync(join(mesh.settings.state, "logs", `${name}.log`), "utf8");
      expect(log, name).toContain('"msg":"listening"');
      expect(log.split("\n").filter((line) => /"level":"(?:error|fatal)"/.test(line))).toEqual([]);
    }
  });
});
