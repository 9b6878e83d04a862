/**
 * Goal: what a shopper with a card is promised holds in a real browser. Method: a mesh of the test's own with its
 * simulator of Stripe, Chromium before its Envoy, and cards that pay, are declined, or have to ask the bank.
 */
import type { Browser, Request } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { browserMissing, keepScreenshot, openBrowser } from "../support/browser.ts";
import { startMesh, type TestMesh } from "../support/mesh.ts";
import { openStudio } from "../support/studio-page.ts";

const why = browserMissing === undefined ? "" : ` (skipped: ${browserMissing})`;

const confirm = /\/stripe-sim\/v1\/payment_intents\/\w+\/confirm$/;

describe.skipIf(browserMissing !== undefined)(`Cards in Studio, in Chromium${why}`, () => {
  let mesh: TestMesh;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    [mesh, browser] = await Promise.all([startMesh(), openBrowser()]);
    url = `http://${mesh.address}/`;
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await mesh?.stop();
  });

  /** What Checkout has of an order. */
  async function checkoutOf(intentId: string) {
    const { code, stdout } = await mesh.run(
      "call",
      "CheckoutService/GetCheckout",
      JSON.stringify({ intentId }),
    );
    expect(code).toBe(0);
    return (JSON.parse(stdout) as { readonly checkout: CheckoutJson }).checkout;
  }

  it("buys the bundle by card: no balance is needed, the states come live, and the event too", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("the bundle");
    await studio.state("AWAITING_PAYMENT");
    await page.getByText("Simulator", { exact: true }).waitFor();
    await keepScreenshot(page, "card-form");
    await studio.payWith("Pays");
    await studio.state("CLEARED");
    const intentId = await studio.cleared();
    await page.getByText("Told by the event stream").waitFor();
    await studio.eventsOf(intentId).getByText("Bought milk, eggs, and bread by card").waitFor();
    await keepScreenshot(page, "card-cleared");
    const { transitions, ...checkout } = await checkoutOf(intentId);
    expect(checkout).toMatchObject({
      amount: "750",
      paymentMethod: "PAYMENT_METHOD_CARD",
      clearedIntentId: intentId,
    });
    expect(transitions.map(({ toState }) => toState.replace("CHECKOUT_STATE_", ""))).toEqual([
      "CREATED",
      "AWAITING_PAYMENT",
      "PAID",
      "CLEARED",
    ]);

    await page.getByRole("link", { name: "See the proof" }).click();
    await page.getByRole("heading", { name: "Checked in this browser" }).waitFor();
    expect(await page.locator('[data-ok="false"]').count()).toBe(0);
    await page.getByRole("link", { name: "Orders" }).click();
    const row = page.locator(`[data-order="${intentId}"]`);
    await row.locator('[data-state="CLEARED"]').waitFor();
    expect(await row.getByRole("link", { name: "Journal entry" }).getAttribute("href")).toBe(
      `#/journal/${intentId}`,
    );
    expect(studio.complaints).toEqual([]);
    await studio.context.close();
  });

  it("tells the bank's word of a declined card, and takes a better one for the same order", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("milk");
    for (const [card, word] of [
      ["Is declined", "generic_decline"],
      ["Insufficient funds", "insufficient_funds"],
    ] as const) {
      await studio.payWith(card);
      await page.getByText(`PAYMENT_DECLINED ${word}`).waitFor();
    }
    await keepScreenshot(page, "card-declined");
    await studio.payWith("Pays");
    const checkout = await checkoutOf(await studio.cleared());
    expect(checkout).toMatchObject({ state: "CHECKOUT_STATE_CLEARED", purchases: [{}] });
    await studio.context.close();
  });

  it.each([
    ["Complete authentication", true],
    ["Fail authentication", false],
  ])(
    "goes to the bank's page where the card asks for it, and comes back: %s",
    async (button, passes) => {
      const studio = await openStudio(browser, url);
      const { page } = studio;
      await studio.buyByCard("eggs");
      await studio.payWith("Asks the bank first");
      await page.getByRole("heading", { name: "Simulated bank" }).waitFor();
      await page.getByRole("button", { name: button }).click();
      if (!passes) {
        await page
          .getByTestId("card-problem")
          .getByText("It was not confirmed with the bank.")
          .waitFor();
        await studio.payWith("Pays");
      }
      await studio.cleared();
      // What the bank's page has brought along is not left in the address.
      expect(page.url()).toMatch(/\/#\/orders\/[0-9a-f-]{36}$/);
      await studio.closeDialog();
      await page.getByTestId("orders").locator('[data-state="CLEARED"]').waitFor();
      await studio.context.close();
    },
  );

  it("sells several products in several quantities in one order, which clears at once", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await page.getByRole("button", { name: "Add milk" }).click();
    const shelf = page.locator('article[data-sku="MILK"]');
    await shelf.getByRole("button", { name: "One milk more" }).click();
    await page.getByRole("button", { name: "Add bread" }).click();
    await page.getByRole("button", { name: "Add the bundle" }).click();
    await page.reload(); // the basket stays
    await shelf.getByText("2", { exact: true }).waitFor();
    await studio.checkOut();
    await page.getByRole("dialog").getByTestId("total").filter({ hasText: "16.00 USD" }).waitFor();
    await page.getByRole("button", { name: "Pay by card" }).click();
    await studio.payWith("Pays");
    const intentId = await studio.cleared();
    const { items } = await checkoutOf(intentId);
    expect(items).toMatchObject([
      { sku: "MILK", quantity: 2, amount: "700" },
      { sku: "BREAD", quantity: 1, amount: "150" },
      { sku: "BUNDLE", quantity: 1, amount: "750" },
    ]);
    await studio.closeDialog();
    await page.getByText("Nothing in it yet.").waitFor();
    await studio.context.close();
  });

  it("keeps an order over a reload before its card is charged, and finishes it with the same payment", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("bread");
    await page.route(confirm, () => undefined); // never answered
    const sent = page.waitForRequest(confirm);
    await studio.payWith("Pays");
    const first = (await sent).url();
    // Reload first: Chromium lets a held request go on when its route goes, and the card would be charged.
    await page.reload();
    await page.unroute(confirm);
    await page.getByText("is not paid, as far as this browser knows").waitFor();
    await keepScreenshot(page, "card-unfinished");
    await page.getByRole("button", { name: "Continue" }).click();
    const again = page.waitForRequest(confirm);
    await studio.payWith("Pays");
    expect((await again).url()).toBe(first);
    const checkout = await checkoutOf(await studio.cleared());
    expect(checkout).toMatchObject({ amount: "150", purchases: [{}] });
    await studio.context.close();
  });

  it("is not fooled by a lost answer of the card's: what was charged is not charged again", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("bread");
    let confirmed = 0;
    await page.route(confirm, async (route) => {
      confirmed += 1;
      await route.fetch(); // it is charged, and nobody hears
      await route.abort("connectionreset");
    });
    await studio.payWith("Pays");
    await studio.cleared();
    expect(confirmed).toBe(1);
    await studio.context.close();
  });

  it("follows an order that is paid elsewhere, also after the stream to Checkout broke", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.buyByCard("milk");
    await studio.state("AWAITING_PAYMENT");
    const held = new Promise<Request>((resolve) => {
      void page.route(confirm, async (route) => {
        resolve(route.request());
        await route.abort("connectionreset");
      });
    });
    await studio.payWith("Pays");
    const request = await held;
    await page.getByText("The card payments do not answer").waitFor();
    const again = page.waitForResponse(/CheckoutService\/WatchCheckout$/);
    mesh.kill("checkout");
    await again;
    const paid = await fetch(request.url(), {
      method: "POST",
      headers: { authorization: (await request.headerValue("authorization")) ?? "" },
      body: new URLSearchParams(request.postData() ?? ""),
    });
    expect(paid.status).toBe(200);
    await studio.state("CLEARED");
    await studio.context.close();
  });

  it("says when an order is over before it is paid", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await page.getByRole("link", { name: "Orders" }).click();
    await page.getByText("No orders yet").waitFor();
    await page.goto(`${url}#/orders/019abcde-f012-7abc-9def-0123456789ab`);
    await page.getByText("There is no such order").waitFor();
    await studio.context.close();
  });
});

interface CheckoutJson {
  readonly state: string;
  readonly items: readonly object[];
  readonly purchases: readonly object[];
  readonly transitions: readonly { readonly toState: string }[];
}
