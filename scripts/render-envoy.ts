import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./lib/command.ts";
import { renderTemplate } from "./lib/envoy-config.ts";
import { Problem } from "./lib/problem.ts";
import { repositoryRoot } from "./lib/settings.ts";

/** For containers: fills envoy/envoy.yaml from the environment and writes it to the file named. */
runCommand(async () => {
  const [file, ...more] = process.argv.slice(2);
  if (file === undefined || more.length > 0) {
    throw new Problem("name the file to write (usage: node scripts/render-envoy.ts FILE)");
  }
  const template = readFileSync(join(repositoryRoot, "envoy/envoy.yaml"), "utf8");
  writeFileSync(file, renderTemplate(template, process.env));
  return 0;
});
