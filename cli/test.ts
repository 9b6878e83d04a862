import { bringTestPrograms } from "./bring/test-programs.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { seconds } from "./command/text.ts";
import { repositoryRoot } from "./state/settings.ts";
import { longRuns, readLongRun, runLong } from "./test/long-runs.ts";
import { addResults, type SuiteRow, suiteTable, summaryLine } from "./test/report.ts";
import { quickSuites, runSuite, type SuiteName, suiteNames } from "./test/suites.ts";

const usage = `./mesh test [quick|${suiteNames.join("|")}]… | ${longRuns.join("|")} --minutes N [--seed S]`;

runCommand(async () => {
  const { positionals, values } = readArguments(
    { minutes: { type: "string" }, seed: { type: "string" } },
    usage,
  );
  const isLong = values.minutes !== undefined || positionals.includes("soak");
  if (isLong || values.seed !== undefined) {
    const run = longRuns.find((name) => name === positionals[0]);
    if (run === undefined || positionals.length !== 1 || values.minutes === undefined) {
      throw new Problem(`--minutes goes with one of ${longRuns.join(", ")} (usage: ${usage})`);
    }
    const options = readLongRun(values.minutes, values.seed);
    return runLong(run, options, repositoryRoot, await bringTestPrograms(repositoryRoot));
  }
  const names = positionals.flatMap((name): readonly string[] =>
    name === "quick" ? quickSuites : [name],
  );
  const unknown = names.find((name) => !suiteNames.includes(name as SuiteName));
  if (unknown !== undefined) {
    throw new Problem(`unknown suite "${unknown}": the suites are ${suiteNames.join(", ")}`);
  }
  const wanted = suiteNames.filter((name) => names.length === 0 || names.includes(name));
  const path = await bringTestPrograms(repositoryRoot);
  const rows: SuiteRow[] = [];
  for (const name of wanted) {
    console.log(`\n${name}`);
    const row = await runSuite(name, repositoryRoot, path);
    rows.push(row);
    console.log(`${name}: ${summaryLine(row.result)}, ${seconds(row.ms)}`);
  }
  const all = addResults(rows.map(({ result }) => result));
  if (all.skipped.length > 0) console.log(`\nskipped:\n  ${all.skipped.join("\n  ")}`);
  if (all.failed.length > 0) console.log(`\nfailed:\n  ${all.failed.join("\n  ")}`);
  console.log(`\n${suiteTable(rows)}`);
  console.log(`\n${summaryLine(all)}`);
  return all.failed.length === 0 ? 0 : 1;
});
