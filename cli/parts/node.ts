import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { NamedPort } from "../state/settings.ts";
import type { Mesh, Part } from "./part.ts";
import { expectOk } from "./probe.ts";

/** What one program of this repository differs in from another. */
export interface NodePart extends Pick<Part, "name" | "dependsOn" | "prepare"> {
  readonly ports: readonly NamedPort[];
  /** The file that Node runs, from the repository's root. */
  readonly main: string;
  /** What answers 2xx once it is ready. */
  readonly readyUrl: string;
  /** What it is told beside the user's environment, and against it. */
  readonly environment: NodeJS.ProcessEnv;
}

/** A part that Node runs from this repository's own sources. */
export function nodePart({ settings, environment: user }: Mesh, part: NodePart): Part {
  const { main, readyUrl, environment, ...rest } = part;
  return {
    ...rest,
    // Loading is what a start costs, and the parts load side by side.
    readyMs: 60_000,
    stopSignal: "SIGTERM",
    stopMs: 15_000,
    launch: async () => ({
      command: [process.execPath, join(settings.root, main)],
      env: {
        // Node keeps what it compiled, which halves the time of the next start.
        NODE_COMPILE_CACHE: join(settings.root, ".toolchain/compile-cache"),
        LOG_FORMAT: "json",
        DRAIN_GRACE_MS: "5000",
        ...user,
        ...environment,
      },
    }),
    async probe(signal) {
      await expectOk(readyUrl, signal);
      return meshVersion(settings.root);
    },
    async certificateExpiresMs(signal) {
      const response = await fetch(readyUrl, { signal });
      const { certificateExpires } = (await response.json()) as { certificateExpires?: number };
      return certificateExpires;
    },
  };
}

/** The version of the mesh: the package's. */
function meshVersion(root: string): string {
  return (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string })
    .version;
}
