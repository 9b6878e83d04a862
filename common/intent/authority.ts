import type { Intent } from "./intent.ts";

/** Who must have authorised an intent. Both may be needed. */
export interface Authority {
  /** The wallet's own signature over the digest. */
  readonly wallet: boolean;
  /** The scope `attest.house`. */
  readonly house: boolean;
}

/** Stored intents that the rules of some postings refer to. */
export interface RelatedIntents {
  /** For POST and VOID: the pending intent, if one is stored under that id. */
  readonly pending?: Intent | undefined;
  /** For what gives back: the corrected intent, if one is stored under that digest. */
  readonly corrected?: Intent | undefined;
}
