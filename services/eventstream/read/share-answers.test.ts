import { expect, test } from "vitest";
import { shareAnswers } from "./share-answers.ts";

test("answers are shared, but none is older than its question", async () => {
  const open: { resolve(value: number): void; reject(error: Error): void }[] = [];
  const share = shareAnswers(
    () => new Promise<number>((resolve, reject) => open.push({ resolve, reject })),
  );
  const first = share();
  const meanwhile = [share(), share()];
  expect(open).toHaveLength(1);
  open[0]?.resolve(1);
  await expect(first).resolves.toBe(1);
  await expect.poll(() => open.length).toBe(2);
  const later = share();
  open[1]?.reject(new Error("away"));
  for (const answer of meanwhile) await expect(answer).rejects.toThrow("away");
  await expect.poll(() => open.length).toBe(3);
  open[2]?.resolve(3);
  await expect(later).resolves.toBe(3);
  const alone = share();
  open[3]?.resolve(4);
  await expect(alone).resolves.toBe(4);
});
