/** What this page's server tells it. */
export interface PageConfig {
  /** With what cards are paid; undefined where this mesh takes none. */
  readonly stripe: PageStripe | undefined;
  /** How one signs in; undefined in a development mesh that lets in everybody at one click. */
  readonly signIn: PageSignIn | undefined;
}

export interface PageSignIn {
  /** Whether people can, at a provider of identities. */
  readonly people: boolean;
}

export interface PageStripe {
  /** pk_…, which is no secret. */
  readonly publishableKey: string;
  /** True: cards are those of the mesh's own simulator, and no money moves. */
  readonly simulated: boolean;
}

/** Reads the config that came with the page. What is malformed, or absent as under a plain file server, is no config. */
export function loadPageConfig(page: Document = document): PageConfig {
  const meta = page.querySelector<HTMLMetaElement>('meta[name="studio-config"]');
  try {
    const { stripe, signIn } = JSON.parse(meta?.content ?? "") as {
      readonly stripe: PageStripe | null;
      readonly signIn?: PageSignIn | null;
    };
    return { stripe: stripe ?? undefined, signIn: signIn ?? undefined };
  } catch {
    return { stripe: undefined, signIn: undefined };
  }
}
