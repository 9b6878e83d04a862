import { fileURLToPath } from "node:url";

/**
 * The environment of a Node that a test starts, with nothing of the developer's. As in a mesh, it keeps what it compiled,
 * which halves the time of the next start.
 */
export function nodeEnvironment(): NodeJS.ProcessEnv {
  const { PATH } = process.env;
  return { PATH, NODE_COMPILE_CACHE: compileCache };
}

const compileCache = fileURLToPath(new URL("../../../.toolchain/compile-cache", import.meta.url));
