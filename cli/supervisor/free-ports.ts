import { createServer } from "node:net";
import { Problem } from "../command/problem.ts";
import { type NamedPort, refuseSharedPorts } from "../state/settings.ts";

/** A Problem that names the first port that something else listens on, and the variable that moves it. */
export async function requireFreePorts(host: string, ports: readonly NamedPort[]): Promise<void> {
  refuseSharedPorts(ports);
  const taken = await Promise.all(ports.map(({ port }) => whyNotFree(host, port)));
  for (const [index, reason] of taken.entries()) {
    const named = ports[index];
    if (named === undefined || reason === undefined) continue;
    const what = reason === "EADDRINUSE" ? "is in use" : `cannot be opened (${reason})`;
    throw new Problem(
      `port ${named.port} ${what}: stop what listens there, or choose another with ${named.variable}`,
    );
  }
}

function whyNotFree(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}
