import { describe, expect, it } from "vitest";
import { createLogger, type LoggerOptions } from "./logger.ts";

function capture(options: Omit<LoggerOptions, "destination">) {
  const lines: string[] = [];
  const destination = {
    write: (line: string) => lines.push(line),
  } as unknown as NodeJS.WritableStream;
  return { lines, logger: createLogger("ledger", "info", { ...options, destination }) };
}

describe("createLogger", () => {
  it("writes a line of JSON with a name, a level in words and a time", () => {
    const { lines, logger } = capture({});
    logger.info({ port: 1 }, "hello");
    logger.debug("unheard");
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      name: "ledger",
      level: "info",
      port: 1,
      msg: "hello",
    });
  });

  it("keeps secrets out, at the top and further down", () => {
    const { lines, logger } = capture({});
    logger.info({
      authorization: "Bearer hunter2",
      headers: { authorization: "hunter2" },
      config: { records: { databaseUrl: "hunter2" }, privateKey: "hunter2" },
      DATABASE_URL: "hunter2",
    });
    expect(lines.join()).not.toContain("hunter2");
    expect(lines.join()).toContain("[redacted]");
  });
});
