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
  /** Opens the dialog of a product and agrees. */
  buy(product: "milk" | "eggs" | "bread" | "the bundle"): Promise<void>;
  /** Waits until the dialog says that the purchase cleared. Gives the intent's id. */
  cleared(): Promise<string>;
  closeDialog(): Promise<void>;
  /** The rows of the events of an intent. */
  eventsOf(intentId: string): Locator;
  /** Every intent of the feed, newest first. */
  feedIntents(): Promise<string[]>;
  available(text: string): Promise<void>;
}

export const waitMs = 15_000;

/** Opens Studio with a new demo wallet, once its streams are live. */
export async function openStudio(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<StudioPage> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(waitMs);
  const said = complaints(page);
  await page.goto(url);
  await page.getByRole("button", { name: "Create a demo wallet" }).click();
  await page.locator('[data-connection="live"]').waitFor();
  return { ...studioOf(page), context, complaints: said };
}

function studioOf(page: Page): Omit<StudioPage, "context" | "complaints"> {
  const proof = page.getByRole("link", { name: "See the proof" });
  const available = (text: string) =>
    page.getByTestId("available").filter({ hasText: text }).waitFor();
  return {
    page,
    available,
    async fund(text) {
      await page.getByRole("button", { name: "Get 20.00 test USD" }).click();
      await available(text);
    },
    async buy(product) {
      await page.getByRole("button", { name: `Buy ${product}` }).click();
      await page.getByRole("button", { name: /^Sign and pay/ }).click();
    },
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
