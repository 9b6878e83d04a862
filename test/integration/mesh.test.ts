// A mesh takes longer to start than most tests of it, so those that can use the same one share it, on each engine.
import { afterAll, beforeAll, describe } from "vitest";
import { describeOnEngines } from "../support/ledger/tigerbeetle.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";
import { testAccess } from "./mesh/access.ts";
import { testBadInput } from "./mesh/bad-input.ts";
import { testWalk } from "./mesh/walk.ts";

describeOnEngines("the mesh", (engine) => {
  let mesh: TestMesh;

  beforeAll(async () => {
    mesh = await startMesh({ engine: engine.name });
  });
  afterAll(() => mesh?.stop());

  // In this order: the first looks at a ledger in which nothing has cleared.
  describe("bad input", () => testBadInput(() => mesh));
  describe("a walk", () => testWalk(() => mesh));
  describe("access", () => testAccess(() => mesh));
});
