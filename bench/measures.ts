import { domainEncoder, intentDigester } from "#common/intent/digest.ts";
import { checkPostings } from "#common/intent/posting-rules.ts";
import { addressOfPrivateKey } from "#common/intent/signature.ts";
import { parseSigners } from "#common/intent/signers.ts";
import { verifyAttestation } from "#common/intent/verify-attestation.ts";
import { serviceNames } from "#common/service-names.ts";
import { batchDigester } from "#common/tree/attestation-batch.ts";
import { checkoutMeasures } from "./checkout.ts";
import { runLoads } from "./load/run.ts";
import { signedIntents } from "./load/signed-intents.ts";
import type { Pace } from "./load/task.ts";
import { type Aim, clearTask, lineOf, type Measure, type Measured, measured } from "./measured.ts";
import { type BenchWorld, measureLoad, withBareEngine } from "./world.ts";

const batch = 8_189;

/** All measures, in the order in which they run: what fills the ledger comes before what reads it. */
export const measures: readonly Measure[] = [
  { id: "raw", run: measureRaw },
  { id: "batch", run: (world) => measureBatch(world, false) },
  { id: "batch-wallet", run: (world) => measureBatch(world, true) },
  { id: "batch-tree", run: measureTrees },
  { id: "clear", run: (world) => measureUnary(world, "direct") },
  { id: "envoy", run: (world) => measureUnary(world, "through Envoy") },
  { id: "mixed", run: measureMixed },
  { id: "attest", run: measureAttest },
  { id: "attest-batch", run: measureAttestBatch },
  { id: "verify", run: measureVerify },
  { id: "attest-clear", run: measureAttestAndClear },
  { id: "verification", run: measureVerification },
  ...checkoutMeasures,
  { id: "audit", run: measureAudit },
  { id: "memory", run: async (world) => memoryOf(world) },
];

async function measureRaw({ engine, seconds }: BenchWorld): Promise<Measured[]> {
  const result = await withBareEngine(engine, (config) =>
    measureLoad([{ kind: "raw", engine: config, seconds }]),
  );
  return [lineOf(`raw client, batches of ${batch}`, result)];
}

/** More than any machine does in the time, so that a load does not run out before it. */
const batchesPerSecondMax = 2;

async function measureBatch(world: BenchWorld, walletSigns: boolean): Promise<Measured[]> {
  const callsMax = Math.ceil((batchesPerSecondMax * world.seconds) / 2);
  const task = clearTask(world, { kind: "clear-batch", walletSigns, perCall: batch, callsMax });
  // Two senders, so that one batch is on its way while another is cleared.
  const result = await measured(world, () => measureLoad([task, task]));
  const signatures = walletSigns ? "attestor's and wallet's signature" : "attestor's signature";
  const aims: Aim[] = [{ field: "rate", min: walletSigns ? 6_000 : 10_000 }];
  return [{ ...lineOf(`ClearBatch of ${batch}, ${signatures}`, ...result), aims }];
}

/** More than any machine does in the time. */
const treesPerSecondMax = 4;

async function measureTrees(world: BenchWorld): Promise<Measured[]> {
  const callsMax = Math.ceil((treesPerSecondMax * world.seconds) / 2);
  const fields = { kind: "clear-tree", walletSigns: false, perCall: batch, callsMax } as const;
  const task = clearTask(world, fields);
  const result = await measured(world, () => measureLoad([task, task]));
  const aims: Aim[] = [{ field: "rate", min: 25_000 }];
  return [{ ...lineOf(`ClearBatch of ${batch}, one signature for all`, ...result), aims }];
}

async function measureAttestBatch(world: BenchWorld): Promise<Measured[]> {
  const callsMax = Math.ceil((treesPerSecondMax * world.seconds) / 2);
  const task = clearTask(world, {
    kind: "attest-batch",
    address: world.mesh.services.attestor.grpc,
    walletSigns: false,
    perCall: batch,
    callsMax,
  });
  const result = await measured(world, () => measureLoad([task, task]));
  return [lineOf(`AttestBatch of ${batch}`, ...result)];
}

/** A closed load that keeps the service busy. */
const saturating: Pace = { inFlight: 128 };
const ratePerSecondMax = 6_000;

const warmUpSeconds = 3;

/** Brings Clearing to the speed that it has whenever it is used. */
async function warmUp(world: BenchWorld): Promise<void> {
  const callsMax = ratePerSecondMax * warmUpSeconds;
  await measureLoad([
    clearTask(world, { pace: saturating, connections: 4, seconds: warmUpSeconds, callsMax }),
  ]);
}

async function measureUnary(
  world: BenchWorld,
  way: "direct" | "through Envoy",
): Promise<Measured[]> {
  const seconds = Math.max(2, world.seconds / 2);
  const address = way === "direct" ? world.mesh.services.clearing.grpc : world.mesh.address;
  const lines: Measured[] = [];
  await warmUp(world);
  for (const perSecond of [100, 500, 1_000]) {
    const task = clearTask(world, {
      address,
      pace: { perSecond },
      connections: 4,
      seconds,
      callsMax: perSecond * seconds,
    });
    const result = await measured(world, () => measureLoad([task]));
    const light = perSecond === 100 && way === "through Envoy";
    const aims: Aim[] = [
      { field: "p50Ms", max: 3 },
      { field: "p99Ms", max: 15 },
    ];
    lines.push({
      ...lineOf(`Clear ${way}, ${perSecond} a second`, ...result),
      ...(light ? { aims } : {}),
    });
  }
  const task = clearTask(world, {
    address,
    pace: saturating,
    connections: 8,
    seconds,
    callsMax: ratePerSecondMax * seconds,
  });
  const result = await measured(world, () => measureLoad([task]));
  const aims: Aim[] = [{ field: "rate", min: 2_000 }];
  lines.push({
    ...lineOf(`Clear ${way}, saturated`, ...result),
    ...(way === "direct" ? {} : { aims }),
  });
  return lines;
}

/** Single clearings beside full batches. */
async function measureMixed(world: BenchWorld): Promise<Measured[]> {
  const { seconds } = world;
  const batches = clearTask(world, {
    kind: "clear-batch",
    walletSigns: false,
    perCall: batch,
    callsMax: Math.ceil(batchesPerSecondMax * seconds),
  });
  const perSecond = 50;
  const single = clearTask(world, {
    pace: { perSecond },
    connections: 2,
    callsMax: perSecond * seconds,
  });
  await warmUp(world);
  const [ofBatches, ofSingles] = await runLoads([batches, single]);
  if (ofBatches === undefined || ofSingles === undefined) throw new Error("a load has no result");
  for (const { failed, firstFailure } of [ofBatches, ofSingles]) {
    if (failed > 0) throw new Error(`${failed} calls failed: ${firstFailure}`);
  }
  return [
    lineOf(`ClearBatch of ${batch} beside Clear`, ofBatches),
    {
      ...lineOf(`Clear direct, ${perSecond} a second, beside ClearBatch of ${batch}`, ofSingles),
      aims: [{ field: "p99Ms", max: 25 }],
    },
  ];
}

async function measureAttest(world: BenchWorld): Promise<Measured[]> {
  const task = clearTask(world, {
    kind: "attest",
    address: world.mesh.services.attestor.grpc,
    pace: saturating,
    connections: 16,
    callsMax: ratePerSecondMax * world.seconds,
  });
  const result = await measured(world, () => measureLoad([task]));
  return [{ ...lineOf("Attest, saturated", ...result), aims: [{ field: "rate", min: 2_000 }] }];
}

async function measureVerify(world: BenchWorld): Promise<Measured[]> {
  const task = clearTask(world, {
    kind: "verify",
    address: world.mesh.services.attestor.grpc,
    pace: saturating,
    connections: 16,
    callsMax: ratePerSecondMax * world.seconds,
  });
  const result = await measured(world, () => measureLoad([task]));
  return [lineOf("VerifyAttestation, saturated", ...result)];
}

async function measureAttestAndClear(world: BenchWorld): Promise<Measured[]> {
  const task = clearTask(world, {
    kind: "attest-and-clear",
    address: world.mesh.services.attestor.grpc,
    clearingAddress: world.mesh.services.clearing.grpc,
    pace: saturating,
    connections: 8,
    callsMax: (ratePerSecondMax / 2) * world.seconds,
  });
  const result = await measured(world, () => measureLoad([task]));
  return [lineOf("Attest, then Clear, saturated", ...result)];
}

const verifications = 2_000;

/** What one verification takes of a processor: digest, rules and both signatures' half that every clearing needs. */
async function measureVerification({ task }: BenchWorld): Promise<Measured[]> {
  const sign = signedIntents(task, false);
  const signed = Array.from({ length: verifications }, sign);
  const address = addressOfPrivateKey(Buffer.from(task.attestorKey, "hex"));
  const signers = parseSigners(JSON.stringify([{ address, activateTime: "2020-01-01T00:00:00Z" }]));
  const nowSeconds = BigInt(Math.floor(Date.now() / 1_000));
  const digestBatch = batchDigester(domainEncoder(task.domain));
  const verifier = { digestIntent: intentDigester(task.domain), digestBatch, signers, nowSeconds };
  const verifyAll = () => {
    for (const { intent, attestation } of signed) {
      const authority = checkPostings(intent, {});
      verifyAttestation(intent, attestation, { ...verifier, authority });
    }
  };
  verifyAll();
  const from = process.cpuUsage();
  verifyAll();
  const { user, system } = process.cpuUsage(from);
  const cpuMicroseconds = (user + system) / verifications;
  return [
    { name: "one verification", cpuMicroseconds, aims: [{ field: "cpuMicroseconds", max: 120 }] },
  ];
}

async function measureAudit(world: BenchWorld): Promise<Measured[]> {
  const { code, stdout, stderr } = await world.mesh.run("audit", "--json");
  const last = stdout.trimEnd().split("\n").at(-1) ?? "";
  if (code !== 0) throw new Error(`the audit is not clean: ${last} ${stderr}`);
  const { transfers, seconds } = (
    JSON.parse(last) as { summary: { transfers: number; seconds: number } }
  ).summary;
  const name = `audit of ${transfers} transfers`;
  return [{ name, rate: transfers / seconds, aims: [{ field: "rate", min: 10_000 }] }];
}

function memoryOf(world: BenchWorld): Measured[] {
  const peaks = world.peakMegabytes();
  return serviceNames.flatMap((name) => {
    const megabytes = peaks[name];
    return megabytes === undefined ? [] : [{ name: `${name}, most memory`, megabytes }];
  });
}
