// Goal: an intruder gets nothing, moves nothing, learns nothing, and hurts nobody: with forged credentials, with another's
// data, with bombs, with slow bytes, with injected text, by strange paths, by ids that are not his, by dates that are past.
// Method: one mesh that all of it is tried on, through Envoy and past it; then what it holds, what it logged and who
// still serves. ABUSE_WALK=full sends every forgery by every door.
import { afterAll, beforeAll, describe } from "vitest";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { pidsOf, testAftermath } from "./intruder/aftermath.ts";
import { testBombs } from "./intruder/bombs.ts";
import { testCredentials } from "./intruder/credentials.ts";
import { testCrossing } from "./intruder/crossing.ts";
import { testIdsAndDates } from "./intruder/ids-and-dates.ts";
import { testInjection } from "./intruder/injection.ts";
import { testPaths } from "./intruder/paths.ts";
import { testSimulator } from "./intruder/simulator.ts";
import { beginSlow, type Slow, testSlow } from "./intruder/slow.ts";

let mesh: TestMesh;
let slow: Slow;
let pids: ReturnType<typeof pidsOf>;
const tokens = new Set<string>();

beforeAll(async () => {
  mesh = await startMesh();
  pids = pidsOf(mesh);
  slow = await beginSlow(mesh);
});
afterAll(() => mesh?.stop());

const current = () => mesh;
describe("forged credentials", () => testCredentials(current, (token) => tokens.add(token)));
describe("another's data", () => testCrossing(current));
describe("bombs", () => testBombs(current));
describe("paths", () => testPaths(current));
describe("injected texts", () => testInjection(current));
describe("ids and dates", () => testIdsAndDates(current));
describe("the simulator's locks", () => testSimulator(current));
describe("slow bytes and floods of frames", () => testSlow(current, () => slow));
describe("afterwards", () => testAftermath(current, () => ({ pids, tokens: () => tokens })));
