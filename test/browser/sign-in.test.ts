// Goal: people and wallets sign in to Studio as they do anywhere, see what is theirs to see, and are out when they leave.
// Method: Chromium against a whole mesh with a real provider of identities, ./mesh up --sign-in.
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  browserMissing,
  complaints,
  keepScreenshot,
  openBrowser,
} from "../support/browser/browser.ts";
import { openStudio, overflow, waitMs } from "../support/browser/studio-page.ts";
import { startMesh, type TestMesh } from "../support/mesh/mesh.ts";

const why = browserMissing === undefined ? "" : ` (skipped: ${browserMissing})`;

describe.skipIf(browserMissing !== undefined)(`Sign-in to Studio, in Chromium${why}`, () => {
  let mesh: TestMesh;
  let browser: Browser;
  let url: string;

  beforeAll(async () => {
    [mesh, browser] = await Promise.all([
      startMesh({ environment: { MESH_SIGN_IN: "true" } }),
      openBrowser(),
    ]);
    url = `http://${mesh.address}/`;
  });
  afterAll(() => Promise.all([browser?.close(), mesh?.stop()]));

  async function openPage(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      ...options,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(waitMs);
    await page.goto(url);
    return page;
  }

  async function signInAs(page: Page, name: RegExp): Promise<void> {
    await page.getByRole("link", { name: "Sign in as staff" }).click();
    await page.getByRole("button", { name }).click();
  }

  it("lets a person in by the provider, to look, to take a token, and to leave", async () => {
    const page = await openPage();
    const said = complaints(page);
    await signInAs(page, /Tess Treasurer/);
    await page.getByRole("heading", { name: "Activity" }).waitFor();
    await page.locator('[data-connection="live"]').waitFor();
    expect(await page.getByRole("navigation").getByRole("link").allInnerTexts()).toEqual([
      "Activity",
      "Account",
    ]);

    // Everybody's events are there, not one wallet's.
    const shopper = mesh.wallet("alice");
    expect(await mesh.run("fund", shopper.address, "5.00")).toMatchObject({ code: 0 });
    await page.getByText("Test money received").first().click();
    await page.getByRole("heading", { name: "Checked in this browser" }).waitFor();

    await page.getByRole("link", { name: "Account" }).click();
    await page.getByRole("heading", { name: "Tess Treasurer" }).waitFor();
    expect(await page.getByTestId("roles").innerText()).toBe("treasurer");
    await page.getByRole("button", { name: "Show a token" }).click();
    await page.getByTestId("token").waitFor();
    // A reload finds the session again; no script can read it.
    await page.reload();
    await page.getByRole("heading", { name: "Tess Treasurer" }).waitFor();
    expect(await page.evaluate("document.cookie")).toBe("");
    expect(said).toEqual([]);

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: "Sign out here too" }).click();
    await page.getByRole("button", { name: "Create a demo wallet" }).waitFor();
    expect(new URL(page.url()).host).toBe(mesh.address);
    await page.context().close();
  });

  it("shows the way in again when somebody has ended the session", async () => {
    const page = await openPage();
    await signInAs(page, /Vera Viewer/);
    await page.locator('[data-connection="live"]').waitFor();
    await page.context().clearCookies();
    await page.reload();
    await page.getByRole("link", { name: "Sign in as staff" }).waitFor();
    await page.context().close();
  });

  it("says who is let in nowhere, and leads back", async () => {
    const page = await openPage();
    await signInAs(page, /Nora Nobody/);
    await page.getByText("Nora Nobody has no role here").waitFor();
    await keepScreenshot(page, "sign-in-refused");
    await page.getByRole("link", { name: "Back to Studio" }).click();
    await page.getByRole("button", { name: "Create a demo wallet" }).waitFor();
    await page.context().close();
  });

  it("signs a wallet in by its signature, which then buys as ever", async () => {
    const studio = await openStudio(browser, url);
    const { page } = studio;
    await studio.fund("20.00");
    await studio.buy("milk");
    await studio.cleared();
    await studio.closeDialog();
    await page.getByRole("link", { name: "Wallet" }).click();
    await page.getByText("this wallet's signature (EIP-4361)").waitFor();
    const cookies = await page.context().cookies();
    expect(cookies).toMatchObject([{ name: "sovr-session", httpOnly: true, sameSite: "Strict" }]);
    expect(studio.complaints).toEqual([]);
    await studio.close();
  });

  it.each([
    [390, 844, "light"],
    [390, 844, "dark"],
    [1440, 900, "light"],
    [1440, 900, "dark"],
  ] as const)("fits %s × %s pixels in %s", async (width, height, colorScheme) => {
    const page = await openPage({ viewport: { width, height }, colorScheme });
    await page.getByRole("link", { name: "Sign in as staff" }).waitFor();
    await keepScreenshot(page, `sign-in-welcome-${width}-${colorScheme}`);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.getByRole("link", { name: "Sign in as staff" }).click();
    await page.getByRole("button", { name: /Olu Operator/ }).waitFor();
    await keepScreenshot(page, `sign-in-provider-${width}-${colorScheme}`);
    await page.getByRole("button", { name: /Olu Operator/ }).click();
    await page.locator('[data-connection="live"]').waitFor();
    await keepScreenshot(page, `sign-in-activity-${width}-${colorScheme}`);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.goto(`${url}#/account`);
    await page.getByRole("button", { name: "Show a token" }).click();
    await page.getByTestId("token").waitFor();
    await keepScreenshot(page, `sign-in-account-${width}-${colorScheme}`);
    expect(await overflow(page)).toBeLessThanOrEqual(0);
    await page.context().close();
  });
});
