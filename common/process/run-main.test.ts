// Goal: a service that has stopped ends, whatever it left open, with the exit code of how it stopped. Method: processes that
// leave a timer behind which would keep them for ever.
import { execFile } from "node:child_process";
import { expect, test } from "vitest";

const module = new URL("./run-main.ts", import.meta.url).href;

interface End {
  readonly code: number | string | null;
  readonly stderr: string;
}

function run(stopped: string): Promise<End> {
  const program = `import { runMain } from ${JSON.stringify(module)};
    setInterval(() => {}, 1_000);
    await runMain(async () => ({ stopped: ${stopped} }));`;
  const args = ["--input-type=module", "--eval", program];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { timeout: 25_000 }, (error, _stdout, stderr) =>
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? null), stderr }),
    );
  });
}

test("one that stopped well ends with 0", async () => {
  expect(await run("Promise.resolve()")).toEqual({ code: 0, stderr: "" });
});

test("one that did not ends with 1, and says why", async () => {
  const end = await run("Promise.reject(new Error('the dependencies did not close'))");
  expect(end).toMatchObject({ code: 1, stderr: expect.stringContaining("did not close") });
});
