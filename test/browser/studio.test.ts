/**
 * Goal: what Studio promises to people holds in a real browser. Method: a mesh of the test's own, Chromium before its
 * Envoy, and a user who funds, buys, looks and reloads while parts of the mesh are killed and answers tampered with.
 */
import { createClient } from "@connectrpc/connect";
import type { Browser, Request, Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ClearingState } from "#gen/sovr/clearing/v1/clearing_pb.ts";
import { ClearingService } from "#gen/sovr/clearing/v1/clearing_service_pb.ts";
import { browserMissing, keepScreenshot, openBrowser } from "../support/browser/browser.ts";
import {
  openStudio,
  overflow,
  type StudioProduct,
  waitMs,
} from "../support/browser/studio-page.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";

const why = browserMissing === undefined ? "" : ` (skipped: ${browserMissing})`;

describe.skipIf(browserMissing !== undefined)(`Studio in Chromium${why}`, () => {
  let mesh: TestMesh;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    [mesh, browser] = await Promise.all([startMesh(), openBrowser()]);
    url = `http://${mesh.address}/`;
  });
  afterAll(async () => {
    await browser?.close();
    await mesh?.stop();
  });

  it("buys milk, eggs and the bundle, moves the balance, and shows the events within a second", async () => {
    const studio = await openStudio(browser, url);
    await studio.fund("20.00");
    const delays: number[] = [];
    const buy = async (product: StudioProduct, left: string) => {
      await studio.page.evaluate(watchForEvents);
      await studio.buy(product);
      const intentId = await studio.cleared();
      await studio.eventsOf(intentId).waitFor();
      // The stream may tell of both before the answer is here. It is the second: the first proposed what was signed.
      await expect.poll(() => studio.page.evaluate(answersSeen)).toBeGreaterThan(1);
      delays.push(await studio.page.evaluate(eventDelay, intentId));
      await studio.page.getByText("Told by the event stream").waitFor();
      await keepScreenshot(studio.page, `bought-${product.replace(" ", "-")}`);
      await studio.closeDialog();
      await studio.available(left);
    };
    await buy("milk", "16.50");
    await buy("eggs", "14.00");
    await buy("the bundle", "6.50");
    // A machine that pauses makes some of them late; a page that asks now and then makes most of them, however many.
    const isPrompt = () => {
      const late = delays.filter((delayMs) => delayMs >= 1_000);
      return 2 * late.length < delays.length;
    };
    for (const left of ["5.00", "3.50", "2.00", "0.50"]) if (!isPrompt()) await buy("bread", left);
    expect(isPrompt(), `late by ${delays.join(", ")} ms`).toBe(true);
    await keepScreenshot(studio.page, "shop");
    expect(studio.complaints).toEqual([]);
    await studio.close();
  });

  it("signs what it showed: the digest of the words is the digest that was cleared", async () => {
    const studio = await openStudio(browser, url);
    await studio.fund("20.00");
    const { page } = studio;
    await studio.checkOut("the bundle");
    await page.getByRole("button", { name: "Pay from balance" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByText("MILK_OBLIGATION").waitFor();
    expect(await dialog.getByRole("listitem").allInnerTexts()).toEqual([
      expect.stringMatching(/^Your wallet\s+MILK_OBLIGATION.*3\.50 USD$/s),
      expect.stringMatching(/^Your wallet\s+EGGS_OBLIGATION.*2\.50 USD$/s),
      expect.stringMatching(/^Your wallet\s+BREAD_OBLIGATION.*1\.50 USD$/s),
    ]);
    const shown = await dialog.getByTestId("digest").getAttribute("data-digest");
    await dialog.getByRole("button", { name: /^Sign and pay/ }).click();
    const intentId = await studio.cleared();
    const clearing = createClient(ClearingService, mesh.client().transport);
    expect(await clearing.getClearing({ intentId })).toMatchObject({
      clearing: { digest: shown, state: ClearingState.CLEARED },
      intent: { reference: expect.stringMatching(/^studio-/), postings: [{}, {}, {}] },
    });
    await studio.close();
  });

  it("loses no event and repeats none when EventStream is killed under the open page", async () => {
    const studio = await openStudio(browser, url);
    await studio.fund("20.00");
    const { page } = studio;
    await studio.buy("milk");
    const before = await studio.cleared();
    await studio.eventsOf(before).waitFor();
    await studio.closeDialog();
    // It is up again in a moment; that the page was cut off for that long, its count of resumes tells below.
    mesh.kill("eventstream");
    await studio.buy("bread");
    const meanwhile = await studio.cleared();
    await keepScreenshot(page, "eventstream-killed");
    await studio.eventsOf(meanwhile).waitFor();
    await page.locator('header [data-connection="live"]').waitFor();
    await studio.closeDialog();
    await studio.available("15.00");
    expect((await studio.feedIntents()).slice(0, 2)).toEqual([meanwhile, before]);

    await page.getByRole("link", { name: "Activity" }).click();
    await page.getByTestId("gaps").filter({ hasText: "0" }).waitFor();
    expect(Number(await page.getByTestId("resumes").innerText())).toBeGreaterThan(0);
    const rows = await studio.feedIntents();
    expect(rows).toHaveLength(new Set(rows).size);
    await keepScreenshot(page, "activity");

    // A reload goes on from the cursor that it kept.
    const subscribed = page.waitForRequest(/EventStreamService\/Subscribe$/);
    await page.reload();
    expect((await subscribed).postDataBuffer()?.length).toBeGreaterThan(40);
    await studio.eventsOf(meanwhile).waitFor();
    expect(await studio.feedIntents()).toEqual(rows);
    await studio.close();
  });

  it("asks the same again when the answer that it has cleared is lost, and pays once", async () => {
    const studio = await openStudio(browser, url);
    await studio.fund("20.00");
    const bodies: string[] = [];
    await studio.page.route(createCheckout, async (route: Route) => {
      bodies.push(route.request().postDataBuffer()?.toString("hex") ?? "");
      if (bodies.length !== 2) return route.continue();
      await route.fetch(); // the mesh clears it, and nobody hears
      await route.abort("connectionreset");
    });
    await studio.buy("milk");
    await studio.cleared();
    await studio.available("16.50");
    // The stream may tell that it has cleared before the same is asked again.
    await expect.poll(() => bodies.length).toBe(3);
    expect(bodies[2]).toBe(bodies[1]);
    expect(bodies[1]).not.toBe(bodies[0]);
    await studio.close();
  });

  it("keeps a signed order over a reload in the middle of its purchase, and finishes it", async () => {
    const studio = await openStudio(browser, url);
    await studio.fund("20.00");
    const { page } = studio;
    await studio.checkOut("eggs");
    await page.getByRole("button", { name: "Pay from balance" }).click();
    await page.getByRole("button", { name: /^Sign and pay/ }).waitFor();
    await page.route(createCheckout, () => undefined); // never answered
    const sent = page.waitForRequest(createCheckout);
    await page.getByRole("button", { name: /^Sign and pay/ }).click();
    const before = (await sent).postDataBuffer()?.toString("hex");
    // Reload first: Chromium lets a held request go on when its route goes, and the mesh would clear it.
    await page.reload();
    await page.unroute(createCheckout);
    await page.getByRole("button", { name: "Continue" }).waitFor();
    await keepScreenshot(page, "unfinished");
    const [again] = await Promise.all([
      page.waitForRequest(createCheckout),
      page.getByRole("button", { name: "Continue" }).click(),
    ]);
    expect(again.postDataBuffer()?.toString("hex")).toBe(before);
    await studio.cleared();
    await studio.available("17.50");
    await studio.close();
  });

  it("says in words what is final, by its reason", async () => {
    const studio = await openStudio(browser, url);
    await studio.fund("20.00");
    for (let bought = 0; bought < 2; bought += 1) {
      await studio.buy("the bundle");
      await studio.cleared();
      await studio.closeDialog();
    }
    // What is left covers an order that waits for its signature until another is paid from it.
    const { page } = studio;
    await studio.checkOut("milk");
    await page.getByRole("button", { name: "Pay from balance" }).click();
    await page.getByRole("button", { name: /^Sign and pay/ }).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Close" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await studio.buy("milk");
    await studio.cleared();
    await studio.closeDialog();
    await studio.available("1.50");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("button", { name: /^Sign and pay/ }).click();
    const alert = studio.page.getByRole("dialog").locator('[data-reason="INSUFFICIENT_FUNDS"]');
    await alert.getByText("Your balance does not cover this").waitFor();
    await alert.getByRole("button", { name: "Start a new purchase" }).waitFor();
    await keepScreenshot(studio.page, "insufficient-funds");
    await studio.available("1.50");
    await studio.close();
  });

  it("checks a journal entry by itself, and turns red when what it is told was tampered with", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await page.getByRole("link", { name: "Wallet" }).click();
    await page.getByText("JSON", { exact: true }).click();
    await page.getByRole("link", { name: "Shop" }).click();
    await studio.fund("20.00");
    await studio.buy("the bundle");
    const intentId = await studio.cleared();
    await page.getByRole("link", { name: "See the proof" }).click();
    await page.getByRole("heading", { name: "Checked in this browser" }).waitFor();
    expect(await page.locator('[data-ok="true"]').count()).toBe(6);
    await keepScreenshot(page, "journal");

    const tampered: readonly (readonly [string, RegExp, (json: Json) => void, string])[] = [
      [
        "an amount of the ledger",
        /GetJournalEntry$/,
        ({ journalEntry }) => {
          journalEntry.lines[0].amount = "351";
        },
        "Every row is what was signed",
      ],
      [
        "an amount of the evidence",
        /GetClearing$/,
        ({ intent }) => {
          intent.postings[0].amount = "351";
        },
        "The digest is that of the intent",
      ],
      [
        "the trusted signers",
        /GetDomain$/,
        ({ signers }) => {
          signers[0].address = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
        },
        "A trusted signer attested it",
      ],
    ];
    for (const [, method, change, check] of tampered) {
      await page.route(method, (route) => answerChanged(route, change));
      await page.goto("about:blank");
      await page.goto(`${url}#/journal/${intentId}`);
      await page.getByRole("heading", { name: "This entry does not hold" }).waitFor();
      await page.locator('[data-ok="false"]').filter({ hasText: check }).waitFor();
      await page.unroute(method);
    }
    await keepScreenshot(page, "journal-tampered");
    await studio.close();
  });

  it.each([
    ["Connect", "application/proto", "application/connect+proto"],
    ["JSON", "application/json", "application/connect+json"],
    ["gRPC-Web", "application/grpc-web+proto", "application/grpc-web+proto"],
  ])("speaks %s through Envoy, calls and streams", async (protocol, unary, stream) => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await page.getByRole("link", { name: "Wallet" }).click();
    const requests: Request[] = [];
    page.on("request", (request) => requests.push(request));
    await page.getByText(protocol, { exact: true }).click();
    await page.reload();
    await page.locator('header [data-connection="live"]').waitFor();
    await page.getByRole("button", { name: "Get 20.00 test USD" }).click();
    await studio.available("20.00");
    await page.getByRole("link", { name: "Shop" }).click();
    await studio.eventsOf("").getByText("Account opened").waitFor();
    const typesOf = (method: string) =>
      requests
        .filter((request) => request.url().endsWith(`/${method}`))
        .map((request) => request.headers()["content-type"])
        .at(-1);
    expect({
      GetDomain: typesOf("GetDomain"),
      Subscribe: typesOf("Subscribe"),
      WatchBalances: typesOf("WatchBalances"),
    }).toEqual({ GetDomain: unary, Subscribe: stream, WatchBalances: stream });
    expect(studio.complaints).toEqual([]);
    await studio.close();
  });

  it.each([
    [390, 844, "light"],
    [390, 844, "dark"],
    [1440, 900, "light"],
    [1440, 900, "dark"],
  ] as const)("fits %s × %s pixels in %s", async (width, height, colorScheme) => {
    const options = { viewport: { width, height }, colorScheme };
    const welcome = await browser.newContext(options);
    const first = await welcome.newPage();
    await first.goto(url);
    await first.getByRole("button", { name: "Create a demo wallet" }).waitFor();
    await keepScreenshot(first, `welcome-${width}-${colorScheme}`);
    expect(await overflow(first)).toBeLessThanOrEqual(0);
    await welcome.close();

    const studio = await openStudio(browser, url, options);
    const { page } = studio;
    await studio.fund("20.00");
    await studio.checkOut("milk", "the bundle");
    await page.getByRole("button", { name: "Pay from balance" }).waitFor();
    await keepScreenshot(page, `checkout-${width}-${colorScheme}`);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.getByRole("button", { name: "Pay from balance" }).click();
    await page.getByRole("button", { name: /^Sign and pay/ }).waitFor();
    await keepScreenshot(page, `proposal-${width}-${colorScheme}`);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.getByRole("button", { name: /^Sign and pay/ }).click();
    const intentId = await studio.cleared();
    await studio.closeDialog();
    await studio.buyByCard("milk");
    await studio.payWith("Insufficient funds");
    await page.getByText("The card was declined").waitFor();
    await keepScreenshot(page, `card-${width}-${colorScheme}`);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Add eggs" }).click();
    for (const [name, hash] of [
      ["shop", "#/"],
      ["orders", "#/orders"],
      ["activity", "#/activity"],
      ["wallet", "#/wallet"],
      ["journal", `#/journal/${intentId}`],
    ]) {
      await page.goto(`${url}${hash}`);
      await page.getByRole("heading", { level: 1 }).waitFor();
      if (name === "orders") await page.getByTestId("orders").waitFor();
      if (name === "journal") await page.getByText("Checked in this browser").waitFor();
      expect([name, await overflow(page)]).toEqual([name, 0]);
      await keepScreenshot(page, `${name}-${width}-${colorScheme}`);
    }
    const ground = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(await ground()).toBe(colorScheme === "dark" ? "rgb(15, 19, 20)" : "rgb(245, 247, 247)");
    await page.getByRole("button", { name: /^Switch to/ }).click();
    await expect
      .poll(ground)
      .toBe(colorScheme === "dark" ? "rgb(245, 247, 247)" : "rgb(15, 19, 20)");
    expect(studio.complaints).toEqual([]);
    await studio.close();
  });

  it("is bought from with the keyboard alone", async () => {
    const studio = await openStudio(browser, url);
    await studio.fund("20.00");
    const { page } = studio;
    const focused = () =>
      page.evaluate(
        "(({ ariaLabel, textContent }) => ariaLabel ?? textContent)(document.activeElement)",
      );
    const tabTo = async (label: RegExp) => {
      for (let presses = 0; !label.test(String(await focused())); presses += 1) {
        expect(presses).toBeLessThan(30);
        await page.keyboard.press("Tab");
      }
    };
    await page.getByRole("button", { name: "Add milk" }).waitFor();
    await page.locator("body").press("Tab");
    await tabTo(/^Add milk$/);
    await page.keyboard.press("Enter");
    // The button gave way to others; the focus stays at the milk.
    await expect.poll(focused).toBe("One milk more");
    await tabTo(/^Check out/);
    await page.keyboard.press("Enter");
    await expect.poll(focused).toMatch(/^Pay from balance/);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /^Sign and pay/ }).waitFor();
    await expect.poll(focused).toMatch(/^Sign and pay/);
    await page.keyboard.press("Enter");
    await studio.cleared();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await studio.close();
  });

  it("gives its streams back while nobody looks, and loses nothing by it", async () => {
    const studio = await openStudio(browser, url);
    await studio.fund("20.00");
    const { page } = studio;
    await page.getByText("+20.00 USD").waitFor();
    const ended: string[] = [];
    page.on("requestfailed", (request) => ended.push(request.url().split("/").at(-1) ?? ""));
    await page.clock.install();
    await page.evaluate(setVisibility("hidden"));
    // In one leap: step by step, a message that comes just now is followed by silence, and that opens the stream anew.
    await page.clock.fastForward(31_000);
    await expect.poll(() => ended.toSorted()).toEqual(["Subscribe", "WatchBalances"]);
    const wallet = await page.evaluate("Object.keys(sessionStorage)[0].split('.').at(-1)");
    expect(await mesh.run("fund", String(wallet), "1.00")).toMatchObject({ code: 0 });
    await page.evaluate(setVisibility("visible"));
    await page.locator('header [data-connection="live"]').waitFor();
    await studio.available("21.00");
    await page.getByText("+1.00 USD").waitFor();
    await studio.close();
  });

  it("renews its token by itself before the old one expires", async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    page.setDefaultTimeout(waitMs);
    await page.clock.install();
    await page.goto(url);
    const first = page.waitForResponse(/\/dev\/token$/);
    await page.getByRole("button", { name: "Create a demo wallet" }).click();
    const { expiresAtMs } = (await (await first).json()) as { expiresAtMs: number };
    expect(expiresAtMs - Date.now()).toBeLessThanOrEqual(900_000);
    const second = page.waitForResponse(/\/dev\/token$/);
    await page.clock.runFor(725_000);
    expect((await second).ok()).toBe(true);
    await context.close();
  });
});

const createCheckout = /CheckoutService\/CreateCheckout$/;

type Json = Record<string, never> & {
  readonly journalEntry: { readonly lines: [{ amount: string }] };
  readonly intent: { readonly postings: [{ amount: string }] };
  readonly signers: [{ address: string }];
};

/** In the page: shows or hides it, as another tab before it would. */
const setVisibility = (state: "hidden" | "visible") => `(() => {
  Object.defineProperty(document, "visibilityState", { value: "${state}", configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
})()`;

/** Answers what the mesh answers, changed. */
async function answerChanged(route: Route, change: (json: Json) => void): Promise<void> {
  const response = await route.fetch();
  const json = (await response.json()) as Json;
  change(json);
  await route.fulfill({ response, json });
}

/** In the page: notes when the row of an event comes, and when the answers of CreateCheckout do. */
const watchForEvents = `(() => {
  const seen = (globalThis.seen = { rows: {}, answersMs: [] });
  new PerformanceObserver((list) => {
    for (const { name, responseEnd } of list.getEntries()) {
      if (name.endsWith("CheckoutService/CreateCheckout")) seen.answersMs.push(responseEnd);
    }
  }).observe({ type: "resource" });
  new MutationObserver(() => {
    for (const row of document.querySelectorAll("[data-intent]")) {
      seen.rows[row.dataset.intent] ??= performance.now();
    }
  }).observe(document.body, { childList: true, subtree: true });
})()`;

const answersSeen = "globalThis.seen.answersMs.length";

/** In the page: milliseconds from the answer that it cleared to the row; negative if the event was faster. */
function eventDelay(intentId: string): number {
  const { seen } = globalThis as unknown as {
    readonly seen: {
      readonly rows: Record<string, number>;
      readonly answersMs: readonly number[];
    };
  };
  return (seen.rows[intentId] ?? Number.NaN) - (seen.answersMs.at(-1) ?? Number.NaN);
}
