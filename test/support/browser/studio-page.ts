import type {
  Browser,
  BrowserContext,
  BrowserContextOptions,
  Locator,
  Page,
} from "playwright-core";
import { complaints } from "./browser.ts";

/** Studio in a browser of its own, as a user works with it. */
export interface StudioPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page complained of. */
  readonly complaints: readonly string[];
  /** Gets 20.00 from the faucet and waits until the balance shows it. */
  fund(available: string): Promise<void>;
  /** Puts products into the basket, one of each, and opens the way to pay them. */
  checkOut(...products: readonly StudioProduct[]): Promise<void>;
  /** Buys a product from the balance, up to the shopper's word. */
  buy(product: StudioProduct): Promise<void>;
  /** Buys a product by card, up to the card form. */
  buyByCard(product: StudioProduct): Promise<void>;
  /** Chooses a test card by what it does, and pays. */
  payWith(
    card: "Pays" | "Asks the bank first" | "Is declined" | "Insufficient funds",
  ): Promise<void>;
  /** Waits until the open order is in a state, such as "PAID". */
  state(name: string): Promise<void>;
  /** Waits until the dialog says that the purchase cleared. Gives the intent's id. */
  cleared(): Promise<string>;
  closeDialog(): Promise<void>;
  /** The rows of the events of an intent. */
  eventsOf(intentId: string): Locator;
  /** Every intent of the feed, newest first. */
  feedIntents(): Promise<string[]>;
  available(text: string): Promise<void>;
  /** Ends the browser, also while requests are held or changed on their way. */
  close(): Promise<void>;
}

export type StudioProduct = "milk" | "eggs" | "bread" | "the bundle";

export const waitMs = 60_000;

/** Opens Studio with a new demo wallet, once its streams are live. `given`: a context that was made before. */
export async function openStudio(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
  given?: BrowserContext,
): Promise<StudioPage> {
  const viewport = { width: 1440, height: 900 };
  const context = given ?? (await browser.newContext({ viewport, ...options }));
  const page = await context.newPage();
  page.setDefaultTimeout(waitMs);
  const said = complaints(page);
  await page.goto(url);
  await page.getByRole("button", { name: "Create a demo wallet" }).click();
  await page.locator('[data-connection="live"]').waitFor();
  return {
    ...studioOf(page),
    context,
    complaints: said,
    async close() {
      // What a test does to a request may not have ended; that it cannot any more is no failure.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await context.close();
    },
  };
}

/** Not the choice of the method, which is "Pay by card". */
const payByCard = /^Pay .*USD by card$/;

function studioOf(page: Page): Omit<StudioPage, "context" | "complaints" | "close"> {
  const proof = page.getByRole("link", { name: "See the proof" });
  const available = (text: string) =>
    page.getByTestId("available").filter({ hasText: text }).waitFor();
  async function checkOut(...products: readonly StudioProduct[]): Promise<void> {
    for (const product of products) {
      await page.getByRole("button", { name: `Add ${product}` }).click();
    }
    await page.getByRole("button", { name: /^Check out/ }).click();
  }
  return {
    page,
    available,
    async fund(text) {
      await page.getByRole("button", { name: "Get 20.00 test USD" }).click();
      await available(text);
    },
    checkOut,
    async buy(product) {
      await checkOut(product);
      await page.getByRole("button", { name: "Pay from balance" }).click();
      await page.getByRole("button", { name: /^Sign and pay/ }).click();
    },
    async buyByCard(product) {
      await checkOut(product);
      await page.getByRole("button", { name: "Pay by card" }).click();
      await page.getByRole("button", { name: payByCard }).waitFor();
    },
    async payWith(card) {
      await page.getByRole("radio", { name: card }).first().check();
      await page.getByRole("button", { name: payByCard }).click();
    },
    state: (name) => page.getByRole("dialog").locator(`[data-state="${name}"]`).waitFor(),
    async cleared() {
      await proof.waitFor();
      return ((await proof.getAttribute("href")) ?? "").replace("#/journal/", "");
    },
    async closeDialog() {
      await page.getByRole("dialog").getByRole("button", { name: "Done" }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
    },
    eventsOf: (intentId) => page.locator(`[data-intent="${intentId}"]`),
    feedIntents: () =>
      page
        .locator("[data-intent]")
        .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-intent") ?? "")),
  };
}

/** By how many pixels a page is wider than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
}
