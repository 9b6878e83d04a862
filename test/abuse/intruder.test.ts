// Goal: an intruder gets nothing, moves nothing, learns nothing, and hurts nobody: with forged credentials, with another's
// data, with bombs, with slow bytes, with injected text, by strange paths, by ids that are not his, by dates that are past.
// Method: one mesh that all of it is tried on, through Envoy and past it; then what it holds, what it logged and who
// still serves. ABUSE_WALK=full sends every forgery by every door.
import { afterAll, beforeAll, describe } from "vitest";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { testBombs } from "./intruder/bombs.ts";
import { testCredentials } from "./intruder/credentials.ts";
import { testCrossing } from "./intruder/crossing.ts";
import { testPaths } from "./intruder/paths.ts";
import { beginSlow, type Slow, testSlow } from "./intruder/slow.ts";

let mesh: TestMesh;
let slow: Slow;
const forged = new Set<string>();

beforeAll(async () => {
  mesh = await startMesh();
  slow = await beginSlow(mesh);
});
afterAll(() => mesh?.stop());

describe("forged credentials", () =>
  testCredentials(
    () => mesh,
    (token) => forged.add(token),
  ));
describe("another's data", () => testCrossing(() => mesh));
describe("bombs", () => testBombs(() => mesh));
describe("paths", () => testPaths(() => mesh));
describe("slow bytes and floods of frames", () =>
  testSlow(
    () => mesh,
    () => slow,
  ));
