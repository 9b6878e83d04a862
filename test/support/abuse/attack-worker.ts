import { parentPort, workerData } from "node:worker_threads";
import type { AttackOptions } from "./attack.ts";
import { Attacker, attacks } from "./attacks.ts";

const options = workerData as AttackOptions;
const attacker = new Attacker(options);
await attacks[options.name](attacker);
parentPort?.postMessage("begun");
parentPort?.once("message", () => {
  attacker.stop();
  parentPort?.postMessage(attacker.answers);
});
