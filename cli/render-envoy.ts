import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { renderTemplate } from "./parts/envoy-config.ts";
import { repositoryRoot } from "./state/settings.ts";

/** For containers: fills envoy/envoy.yaml from the environment and writes it to the file named. */
runCommand(async () => {
  const [file, ...more] = process.argv.slice(2);
  if (file === undefined || more.length > 0) {
    throw new Problem("name the file to write (usage: node cli/render-envoy.ts FILE)");
  }
  const template = readFileSync(join(repositoryRoot, "envoy/envoy.yaml"), "utf8");
  writeFileSync(file, renderTemplate(template, process.env));
  return 0;
});
