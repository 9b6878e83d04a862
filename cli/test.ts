import { bringTestPrograms } from "./bring/test-programs.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { seconds } from "./command/text.ts";
import { repositoryRoot } from "./state/settings.ts";
import { addResults, type SuiteRow, suiteTable, summaryLine } from "./test/report.ts";
import { quickSuites, runSuite, type SuiteName, suiteNames } from "./test/suites.ts";

const usage = `./mesh test [quick|${suiteNames.join("|")}]…`;

runCommand(async () => {
  const { positionals } = readArguments({}, usage);
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
