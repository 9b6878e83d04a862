import { describe, expect, it } from "vitest";
import { pauseBeforeRestart } from "./restart-pause.ts";

const hour = 3_600_000;
const gigabyte = 1_000_000_000;
const never = new AbortController().signal;

/** A disk that has so many bytes free each time that one looks. */
function diskOf(...free: (number | undefined)[]) {
  let looks = 0;
  return () => free[Math.min(looks++, free.length - 1)];
}

describe("pauseBeforeRestart", () => {
  it("ends as soon as a disk that was full is no longer", async () => {
    const freeBytes = diskOf(0, 4096, gigabyte);
    const pause = { delayMs: hour, folder: "/", signal: never, freeBytes };
    expect(await pauseBeforeRestart(pause)).toBe("room");
  });

  it("ends so also when it was full only meanwhile", async () => {
    const freeBytes = diskOf(gigabyte, 0, gigabyte);
    const pause = { delayMs: hour, folder: "/", signal: never, freeBytes };
    expect(await pauseBeforeRestart(pause)).toBe("room");
  });

  it.each([[0], [gigabyte], [undefined]])("lasts its time on a disk of %s free", async (free) => {
    const pause = { delayMs: 1, folder: "/", signal: never, freeBytes: diskOf(free) };
    expect(await pauseBeforeRestart(pause)).toBe("time");
  });

  it("asks the system, and ends when it is told to", async () => {
    const signal = AbortSignal.timeout(5);
    expect(await pauseBeforeRestart({ delayMs: hour, folder: "/", signal })).toBe("time");
    expect(await pauseBeforeRestart({ delayMs: 1, folder: "/not/there", signal: never })).toBe(
      "time",
    );
  });
});
