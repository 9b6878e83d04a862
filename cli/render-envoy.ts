import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readString } from "#common/process/environment.ts";
import { runCommand } from "./command/command.ts";
import { Problem } from "./command/problem.ts";
import { edgeSecretFiles, requirePrivateEdge } from "./parts/edge-tls.ts";
import { renderTemplate } from "./parts/envoy-config.ts";
import { repositoryRoot } from "./state/settings.ts";

/**
 * For containers: fills envoy/envoy.yaml from the environment and writes it to the file named, and beside it what tells
 * Envoy of its certificates. EDGE_SECRETS_FOLDER: where Envoy finds that folder, if it is not mounted at the same place.
 */
runCommand(async () => {
  const [file, ...more] = process.argv.slice(2);
  if (file === undefined || more.length > 0) {
    throw new Problem("name the file to write (usage: node cli/render-envoy.ts FILE)");
  }
  const template = readFileSync(join(repositoryRoot, "envoy/envoy.yaml"), "utf8");
  const folder = dirname(resolve(file));
  const given = {
    ...process.env,
    EDGE_SECRETS_FOLDER: readString(process.env, "EDGE_SECRETS_FOLDER", folder),
  };
  const plaintext = requirePrivateEdge(given);
  if (plaintext.length > 0) {
    console.error(`ALLOW_PLAINTEXT: in the clear beyond this machine: ${plaintext.join(", ")}`);
  }
  writeFileSync(file, renderTemplate(template, given));
  for (const [name, secret] of edgeSecretFiles(given)) writeFileSync(join(folder, name), secret);
  return 0;
});
