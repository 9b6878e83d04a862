import { randomBytes } from "node:crypto";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import Provider, { type Configuration } from "oidc-provider";
import { findPerson, people } from "./people.ts";

export interface IdentityOptions {
  /** Where it is reached: "http://127.0.0.1:5500". */
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Where it sends browsers back to. */
  readonly redirectUri: string;
}

/**
 * A real provider of OpenID Connect (oidc-provider) whose sign-in is a list of people to be. What it knows is in memory:
 * after a restart everybody chooses again. Development and tests only.
 */
export function createIdentityListener(options: IdentityOptions): RequestListener {
  const provider = new Provider(options.issuer, configurationOf(options));
  const answer = provider.callback();
  return (request, response) => {
    const path = request.url?.split("?", 1)[0] ?? "";
    if (path === "/healthz") response.end("{}\n");
    else if (/^\/people\/[\w-]+$/.test(path)) {
      choose(provider, request, response).catch(() => {
        // Too old, or not begun here; nobody is signed in by it.
        response.writeHead(400, { "content-type": "text/plain" }).end("This sign-in is over.\n");
      });
    } else void answer(request, response);
  };
}

function configurationOf(options: IdentityOptions): Configuration {
  const { clientId, clientSecret, redirectUri } = options;
  return {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [redirectUri],
        post_logout_redirect_uris: [`${new URL(redirectUri).origin}/`],
        grant_types: ["authorization_code"],
        response_types: ["code"],
      },
    ],
    // Into the ID token, as most providers of companies do it.
    conformIdTokenClaims: false,
    claims: { openid: ["sub"], profile: ["name", "roles"] },
    pkce: { required: () => true },
    cookies: { keys: [randomBytes(32).toString("hex")] },
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: true, logoutSource },
    },
    interactions: { url: (_, { uid }) => `/people/${uid}` },
    // Who signs in has said yes to everything that there is.
    async loadExistingGrant({ oidc }) {
      const { client, session } = oidc;
      const grant = new oidc.provider.Grant({
        ...(client && { clientId: client.clientId }),
        ...(session?.accountId && { accountId: session.accountId }),
      });
      grant.addOIDCScope("openid profile");
      await grant.save();
      return grant;
    },
    findAccount(_, id) {
      const person = findPerson(id);
      if (person === undefined) return undefined;
      const { name, roles } = person;
      return { accountId: id, claims: async () => ({ sub: id, name, roles: [...roles] }) };
    },
    ttl: { Interaction: 600, Session: 3_600, Grant: 300, AuthorizationCode: 60 },
  };
}

/** Signing out asks nothing more: the button was in Studio. */
async function logoutSource(
  context: { body: unknown; type?: string },
  form: string,
): Promise<void> {
  context.type = "html";
  context.body = page(
    "Sign out",
    `${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out here too</button>`,
  );
}

async function choose(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { prompt } = await provider.interactionDetails(request, response);
  if (request.method !== "POST") {
    response.writeHead(200, {
      "content-type": "text/html; charset=utf-8",
      "cache-control": "no-store",
    });
    response.end(page("Who are you?", prompt.name === "login" ? listOfPeople() : ""));
    return;
  }
  const accountId = new URLSearchParams(await bodyOf(request)).get("person") ?? "";
  if (findPerson(accountId) === undefined) {
    const denied = { error: "access_denied", error_description: "nobody was chosen" };
    await provider.interactionFinished(request, response, denied);
  } else await provider.interactionFinished(request, response, { login: { accountId } });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request as AsyncIterable<Buffer>) {
    text += chunk.toString("latin1");
    if (text.length > 1_024) throw new Error("the form is too large");
  }
  return text;
}

function listOfPeople(): string {
  const buttons = people.map(
    ({ id, name, roles }) =>
      `<button name="person" value="${id}"><b>${name}</b> ${roles.join(", ") || "no role"}</button>`,
  );
  return `<form method="post">${buttons.join("")}<button name="person" value="">Cancel</button></form>`;
}

function page(title: string, inside: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>
  body { font-family: ui-sans-serif, system-ui, sans-serif; max-width: 28rem; margin: 10vh auto 0; padding: 0 1.5rem; line-height: 1.5 }
  form { display: grid; gap: .5rem }
  button { font: inherit; text-align: left; padding: .7rem 1rem; border-radius: .6rem; border: 1px solid #8886; background: #8881; color: inherit; cursor: pointer }
</style>
<h1>${title}</h1>
<p>A provider of identities for development: it asks for no password, and lets anybody be anybody.</p>
${inside}
</html>
`;
}
