import { describe, expect, it } from "vitest";
import { DomainError } from "./domain-error.ts";
import { type GroupCommitOptions, type GroupMember, groupCommit } from "./group-commit.ts";

/** A run that the test ends itself. */
interface Run {
  readonly items: readonly number[];
  end(): void;
  fail(error: Error): void;
}

function harness(options: Partial<GroupCommitOptions<number, string>> = {}) {
  const runs: Run[] = [];
  const submit = groupCommit<number, string>({
    run: (items) =>
      new Promise((resolve, reject) => {
        runs.push({ items, end: () => resolve(items.map(String)), fail: reject });
      }),
    weigh: (item) => item,
    weightMax: 10,
    runningMax: 1,
    waitingMax: 100,
    sends: true,
    divisible: false,
    ...options,
  });
  return { runs, submit };
}

class Attempt implements GroupMember {
  abandoned = false;
  sent = false;
  leaveQueue: (() => void) | undefined;

  abandon(): void {
    this.abandoned = true;
    this.leaveQueue?.();
  }
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe("groupCommit", () => {
  it("runs what comes in one turn together, and what comes later when the run returns", async () => {
    const { runs, submit } = harness();
    const first = [submit(1, new Attempt()), submit(2, new Attempt())];
    await nextTurn();
    const second = [submit(3, new Attempt()), submit(4, new Attempt())];
    await nextTurn();
    expect(runs.map(({ items }) => items)).toEqual([[1, 2]]);
    runs[0]?.end();
    expect(await Promise.all(first)).toEqual(["1", "2"]);
    await nextTurn();
    expect(runs.map(({ items }) => items)).toEqual([
      [1, 2],
      [3, 4],
    ]);
    runs[1]?.end();
    expect(await Promise.all(second)).toEqual(["3", "4"]);
  });

  it("fills runs up to the weight, in order, and lets one item be heavier than a run", async () => {
    const { runs, submit } = harness({ runningMax: 9 });
    for (const weight of [4, 6, 1, 25, 9]) void submit(weight, new Attempt());
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    expect(runs.map(({ items }) => items)).toEqual([[4, 6], [1], [25], [9]]);
  });

  it("never sends what was abandoned, and knows what it has sent", async () => {
    const { runs, submit } = harness();
    const [sent, waiting, late] = [new Attempt(), new Attempt(), new Attempt()];
    void submit(1, sent);
    await nextTurn();
    const dropped = submit(2, waiting);
    waiting.abandon();
    sent.abandon();
    late.abandon();
    await expect(dropped).rejects.toMatchObject({ kind: "NOT_SENT" });
    await expect(submit(3, late)).rejects.toMatchObject({ kind: "NOT_SENT" });
    runs[0]?.end();
    await nextTurn();
    await nextTurn();
    expect(runs).toHaveLength(1);
    expect([sent.sent, waiting.sent, late.sent]).toEqual([true, false, false]);
  });

  it("refuses all that wait, not what was sent, and takes more", async () => {
    const { runs, submit } = harness();
    const sent = submit(1, new Attempt());
    await nextTurn();
    const attempt = new Attempt();
    const waiting = submit(2, attempt);
    submit.refuseWaiting(new Error("refused"));
    await expect(waiting).rejects.toThrow("refused");
    const next = submit(3, attempt);
    runs[0]?.end();
    await sent;
    await nextTurn();
    await nextTurn();
    runs[1]?.end();
    await next;
    expect(runs.map(({ items }) => items)).toEqual([[1], [3]]);
    expect(attempt.sent).toBe(true);
  });

  it("refuses one more than may wait, and takes again when one has left", async () => {
    const { submit } = harness({ waitingMax: 1 });
    const attempt = new Attempt();
    const first = submit(1, attempt);
    await expect(submit(2, new Attempt())).rejects.toMatchObject({ kind: "RATE_LIMITED" });
    attempt.abandon();
    await expect(first).rejects.toMatchObject({ kind: "NOT_SENT" });
    const attempts = [new Attempt()];
    void submit(3, attempts[0] ?? attempt);
    await nextTurn();
    expect(attempts[0]?.sent).toBe(true);
  });

  it("finds the one bad item of a divisible run", async () => {
    const fault = new Error("item 5 is bad");
    const submit = groupCommit<number, string>({
      run: async (items) => {
        if (items.includes(5)) throw fault;
        return items.map(String);
      },
      weightMax: 100,
      runningMax: 1,
      waitingMax: 100,
      divisible: true,
    });
    const results = await Promise.allSettled(
      Array.from({ length: 9 }, (_, item) => submit(item, new Attempt())),
    );
    expect(results.map((result) => (result.status === "fulfilled" ? result.value : "bad"))).toEqual(
      ["0", "1", "2", "3", "4", "bad", "6", "7", "8"],
    );
  });

  it("repeats nothing when the refusal holds for all", async () => {
    let runs = 0;
    const submit = groupCommit<number, string>({
      run: async () => {
        runs += 1;
        throw new DomainError("RECORDS_UNAVAILABLE", "down");
      },
      weightMax: 100,
      runningMax: 1,
      waitingMax: 100,
      divisible: true,
    });
    const results = await Promise.allSettled([1, 2].map((item) => submit(item, new Attempt())));
    expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(runs).toBe(1);
  });

  it("needs no member where nobody gives up", async () => {
    const { runs, submit } = harness();
    const call = submit(1);
    await nextTurn();
    runs[0]?.end();
    expect(await call).toBe("1");
  });

  it("fails those of a run that throws at once", async () => {
    const { submit } = harness({
      run: () => {
        throw new Error("at once");
      },
    });
    await expect(submit(1, new Attempt())).rejects.toThrow("at once");
  });

  it("goes on after a run that failed", async () => {
    const { runs, submit } = harness();
    const [first, second] = [submit(10), submit(9)];
    const outcomes = Promise.allSettled([first, second]);
    await nextTurn();
    runs[0]?.fail(new Error("gone"));
    for (let turn = 0; turn < 3; turn += 1) await nextTurn();
    runs[1]?.end();
    expect((await outcomes).map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
  });

  it("fails a run that answers too little", async () => {
    const { submit } = harness({ run: async () => [] });
    await expect(submit(1, new Attempt())).rejects.toThrow("1 items were given 0 results");
  });
});
