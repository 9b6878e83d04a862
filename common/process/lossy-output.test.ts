import { describe, expect, it } from "vitest";
import { LossyOutput } from "./lossy-output.ts";

/** A disk of so many bytes. */
function diskOf(space: number) {
  const disk = { space, text: "", dropped: 0 };
  const output = new LossyOutput({
    writeBytes: (bytes) => {
      if (disk.space === 0) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
      const count = Math.min(disk.space, bytes.length);
      disk.space -= count;
      disk.text += Buffer.from(bytes.subarray(0, count)).toString();
      return count;
    },
    onDrop: () => {
      disk.dropped += 1;
    },
    describeLoss: (lines) => `lost ${lines}`,
    againMs: 5,
  });
  return { disk, output };
}

describe("an output that may lose lines", () => {
  it("drops and counts what does not fit, and says so once when there is space again", () => {
    const { disk, output } = diskOf(6);
    for (const line of ["one\n", "two\n", "three\n"]) output.write(line);
    expect(disk).toMatchObject({ text: "one\ntw", dropped: 2 });
    disk.space = 100;
    for (const line of ["four\n", "five\n"]) output.write(line);
    expect(disk).toMatchObject({ text: "one\ntw\nlost 2\nfour\nfive\n", dropped: 2 });
  });

  it("goes on counting while there is space for nothing", () => {
    const { disk, output } = diskOf(0);
    for (let line = 0; line < 50; line += 1) output.write("a line\n");
    expect(disk).toMatchObject({ text: "", dropped: 50 });
    disk.space = 1_000;
    output.write("last\n");
    expect(disk.text).toBe("lost 50\nlast\n");
  });

  it("tells the loss by itself when there is space again and nothing else to say", async () => {
    const { disk, output } = diskOf(6);
    for (const line of ["one\n", "two\n", "three\n"]) output.write(line);
    disk.space = 100;
    await expect.poll(() => disk.text).toBe("one\ntw\nlost 2\n");
    output.write("four\n");
    expect(disk.text).toBe("one\ntw\nlost 2\nfour\n");
  });
});
