import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ConfigError,
  formatAddress,
  readAddress,
  readInteger,
  readOneOf,
  readOptionalSecret,
  readOptionalUrl,
  readPort,
  readSecret,
  readString,
  readU128,
} from "./environment.ts";

describe("readers", () => {
  it("take a value, or the fallback when it is missing or empty", () => {
    expect(readString({ A: "x" }, "A", "y")).toBe("x");
    expect(readString({ A: "" }, "A", "y")).toBe("y");
    expect(readInteger({ A: "-5" }, "A", { min: -5, max: 5 })).toBe(-5);
    expect(readPort({}, "A", 5101)).toBe(5101);
    expect(readU128({ A: "340282366920938463463374607431768211455" }, "A")).toBe(2n ** 128n - 1n);
    expect(readOneOf({ A: "b" }, "A", ["a", "b"])).toBe("b");
    expect(readOptionalUrl({ A: "https://keys.example/jwks" }, "A")?.host).toBe("keys.example");
    expect(readOptionalUrl({}, "A")).toBeUndefined();
  });

  it("read and write addresses, IPv6 in brackets", () => {
    expect(readAddress({ A: "ledger:5100" }, "A")).toEqual({ host: "ledger", port: 5100 });
    const v6 = readAddress({ A: "[::1]:0" }, "A");
    expect(v6).toEqual({ host: "::1", port: 0 });
    expect(formatAddress(v6)).toBe("[::1]:0");
    expect(formatAddress({ host: "127.0.0.1", port: 1 })).toBe("127.0.0.1:1");
  });

  const bad: [string, () => unknown, string][] = [
    ["a missing text", () => readString({}, "A"), "A is missing: give it a value"],
    [
      "a word that is none",
      () => readOneOf({ A: "c" }, "A", ["a", "b"]),
      'A is "c": expected one of a, b',
    ],
    ["a missing word", () => readOneOf({}, "A", ["a"]), "A is missing: expected one of a"],
    [
      "a fraction",
      () => readInteger({ A: "1.5" }, "A", { min: 0, max: 9 }),
      'A is "1.5": expected a whole number from 0 to 9',
    ],
    [
      "a number with an exponent",
      () => readInteger({ A: "1e3" }, "A", { min: 0, max: 9999 }),
      'A is "1e3"',
    ],
    [
      "a number over the range",
      () => readInteger({ A: "10" }, "A", { min: 0, max: 9 }),
      'A is "10"',
    ],
    ["a leading zero", () => readInteger({ A: "08" }, "A", { min: 0, max: 9 }), 'A is "08"'],
    ["a port too high", () => readPort({ A: "65536" }, "A"), 'A is "65536"'],
    ["2^128", () => readU128({ A: (2n ** 128n).toString() }, "A"), "from 0 to 2^128 - 1"],
    ["a negative u128", () => readU128({ A: "-1" }, "A"), 'A is "-1"'],
    [
      "an address without port",
      () => readAddress({ A: "localhost" }, "A"),
      'A is "localhost": expected host:port',
    ],
    ["an address with a bad port", () => readAddress({ A: "h:70000" }, "A"), 'A is "h:70000"'],
    ["an IPv6 address without brackets", () => readAddress({ A: "::1:5" }, "A"), 'A is "::1:5"'],
    [
      "a file URL",
      () => readOptionalUrl({ A: "file:///etc" }, "A"),
      "expected an http or https URL",
    ],
  ];
  it.each(bad)("refuse %s and name the variable", (_what, read, message) => {
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(message);
  });
});

describe("secrets", () => {
  let directory: string;
  let path: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "sovr-env-"));
    path = join(directory, "key");
    writeFileSync(path, "hunter2\n");
    writeFileSync(join(directory, "empty"), "\n");
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it("come from the variable or from the file that it names", () => {
    expect(readSecret({ KEY: "hunter2" }, "KEY")).toBe("hunter2");
    expect(readSecret({ KEY_FILE: path }, "KEY")).toBe("hunter2");
    expect(readOptionalSecret({}, "KEY")).toBeUndefined();
  });

  it("are never part of an error", () => {
    const both = () => readSecret({ KEY: "hunter2", KEY_FILE: path }, "KEY");
    expect(both).toThrow("KEY is set as well");
    expect(both).not.toThrow("hunter2");
  });

  it("say what is missing", () => {
    expect(() => readSecret({}, "KEY")).toThrow(
      "KEY is missing: give it a value, or name a file in KEY_FILE",
    );
    expect(() => readSecret({ KEY_FILE: `${path}x` }, "KEY")).toThrow(
      "the file cannot be read (ENOENT)",
    );
    expect(() => readSecret({ KEY_FILE: join(directory, "empty") }, "KEY")).toThrow(
      "the file is empty",
    );
  });
});
