import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Measured } from "../bench/measured.ts";
import { measures } from "../bench/measures.ts";
import { missedAims, rawRate, reportTable } from "../bench/report.ts";
import { type BenchEngine, type BenchOptions, startBenchWorld } from "../bench/world.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { findProgram } from "./command/run-program.ts";
import { repositoryRoot } from "./state/settings.ts";

const usage =
  "./mesh bench [--engine embedded|tigerbeetle] [--only NAME]… [--seconds N] [--check] [--json FILE] [--profile FOLDER]";

runCommand(async () => {
  const { values, positionals } = readArguments(
    {
      engine: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      seconds: { type: "string", default: "4" },
      check: { type: "boolean", default: false },
      json: { type: "string", default: join(repositoryRoot, ".mesh/bench.json") },
      profile: { type: "string" },
    },
    usage,
  );
  if (positionals.length > 0) throw new Problem(`unexpected "${positionals[0]}" (usage: ${usage})`);
  if (!/^[1-9][0-9]{0,2}$/.test(values.seconds)) {
    throw new Problem(`--seconds ${values.seconds}: give 1 to 999`);
  }
  for (const id of values.only) {
    if (measures.some((measure) => measure.id === id)) continue;
    const known = measures.map((measure) => measure.id).join(", ");
    throw new Problem(`unknown measure "${id}": there are ${known}`);
  }
  const results: Record<string, readonly Measured[]> = {};
  for (const engine of enginesOf(values.engine)) {
    const seconds = Number(values.seconds);
    const profileFolder = values.profile && resolve(values.profile, engine);
    const lines = await benchEngine({ engine, seconds, profileFolder }, values.only);
    console.log(`\n${reportTable(engine, lines)}`);
    results[engine] = lines;
  }
  const file = resolve(values.json);
  writeReport(file, results);
  console.log(`\n${file} holds the same for programs.`);
  const missed = Object.entries(results).flatMap(([engine, lines]) => missedAims(engine, lines));
  if (!values.check) return 0;
  for (const line of missed) console.log(`missed by more than half: ${line}`);
  return missed.length === 0 ? 0 : 1;
});

/** The engines to measure: both where TigerBeetle is on PATH. */
function enginesOf(wanted: string | undefined): readonly BenchEngine[] {
  const present = findProgram("tigerbeetle") !== undefined;
  switch (wanted) {
    case undefined:
      return present ? ["embedded", "tigerbeetle"] : ["embedded"];
    case "embedded":
      return ["embedded"];
    case "tigerbeetle":
      if (!present) throw new Problem("tigerbeetle is not on PATH");
      return ["tigerbeetle"];
    default:
      throw new Problem(`unknown engine "${wanted}": the engines are embedded and tigerbeetle`);
  }
}

async function benchEngine(
  options: BenchOptions,
  only: readonly string[],
): Promise<readonly Measured[]> {
  const { engine } = options;
  console.error(`${engine}: starting a mesh …`);
  const world = await startBenchWorld(options);
  const lines: Measured[] = [];
  try {
    for (const measure of measures) {
      if (only.length > 0 && !only.includes(measure.id)) continue;
      console.error(`${engine}: ${measure.id} …`);
      lines.push(...(await measure.run(world)));
    }
    return lines;
  } finally {
    await world.stop();
  }
}

function writeReport(file: string, results: Readonly<Record<string, readonly Measured[]>>): void {
  const machine = {
    cpus: cpus().length,
    model: cpus()[0]?.model,
    kernel: release(),
    node: process.version,
  };
  const engines = Object.fromEntries(
    Object.entries(results).map(([engine, lines]) => {
      const raw = rawRate(lines);
      const withRatio = lines.map((line) =>
        line.rate === undefined || raw === undefined ? line : { ...line, ofRaw: line.rate / raw },
      );
      return [engine, withRatio];
    }),
  );
  mkdirSync(dirname(file), { recursive: true });
  const report = { date: new Date().toISOString(), machine, engines };
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
}
