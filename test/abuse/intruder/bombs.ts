import { existsSync, readFileSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { serviceNames } from "#common/service-names.ts";
import { type Bomb, compressionBombs, shapeBombs } from "../../support/abuse/bombs.ts";
import { sendRaw } from "../../support/abuse/raw-requests.ts";
import type { TestMesh } from "../../support/mesh/mesh.ts";

const bombs = [...compressionBombs(), ...shapeBombs()];
/** What a service may hold at most while it is bombed: as under the largest batches that it takes. */
const megabytesMax = 700;

/** Tests that what is small to send and large to read is refused for what it is, and costs nobody anything. */
export function testBombs(meshOf: () => TestMesh): void {
  let token: string;

  beforeAll(async () => {
    token = await meshOf().token({ subject: "bomber" });
  });

  it.each(bombs.map((bomb) => [bomb.name, bomb] as const))(
    "%s is refused with a reason, at the edge and at the service",
    async (_name, bomb) => {
      const mesh = meshOf();
      const headers = { ...bomb.headers, authorization: `Bearer ${token}` };
      for (const address of [mesh.address, ownAddress(mesh, bomb)]) {
        const reply = await sendRaw({ ...bomb, address, headers });
        const said = `${address}: ${reply.status} ${reply.reason} ${reply.body.subarray(0, 300)}`;
        const fair =
          bomb.reason === undefined ? ["INVALID_FIELD", "LIMIT_EXCEEDED"] : [bomb.reason];
        expect(fair, said).toContain(reply.reason);
      }
    },
  );

  it.skipIf(!existsSync("/proc/self/status"))("left no service larger than it may be", () => {
    for (const name of serviceNames) {
      const status = readFileSync(`/proc/${meshOf().part(name).pid}/status`, "utf8");
      const megabytes = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1_024;
      expect(megabytes, name).toBeLessThan(megabytesMax);
    }
  });
}

/** Past the edge: the port of the service that a bomb is for. */
function ownAddress({ services }: TestMesh, { path, headers }: Bomb): string {
  const name = serviceNames.find((each) => path.startsWith(`/sovr.${each}.`));
  if (name === undefined) throw new Error(`nobody serves ${path}`);
  return headers["content-type"] === "application/grpc"
    ? services[name].grpc
    : services[name].connect;
}
