import { bringTestPrograms } from "./bring/test-programs.ts";
import { readArguments, runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { seconds } from "./command/text.ts";
import { repositoryRoot } from "./state/settings.ts";
import { addResults, type SuiteResult, summaryLine } from "./test/report.ts";
import { runSuite, type SuiteName, suiteNames } from "./test/suites.ts";

const usage = `./mesh test [${suiteNames.join("|")}]…`;

runCommand(async () => {
  const { positionals } = readArguments({}, usage);
  const unknown = positionals.find((name) => !suiteNames.includes(name as SuiteName));
  if (unknown !== undefined) {
    throw new Problem(`unknown suite "${unknown}": the suites are ${suiteNames.join(", ")}`);
  }
  const wanted = suiteNames.filter(
    (name) => positionals.length === 0 || positionals.includes(name),
  );
  const path = await bringTestPrograms(repositoryRoot);
  const results: SuiteResult[] = [];
  for (const name of wanted) {
    console.log(`\n${name}`);
    const beganMs = performance.now();
    const result = await runSuite(name, repositoryRoot, path);
    results.push(result);
    console.log(`${name}: ${summaryLine(result)}, ${seconds(performance.now() - beganMs)}`);
  }
  const all = addResults(results);
  if (all.skipped.length > 0) console.log(`\nskipped:\n  ${all.skipped.join("\n  ")}`);
  if (all.failed.length > 0) console.log(`\nfailed:\n  ${all.failed.join("\n  ")}`);
  console.log(`\n${summaryLine(all)}`);
  return all.failed.length === 0 ? 0 : 1;
});
