import { Places } from "#common/places.ts";

/** Makes the refusal: of one key, or of all together. */
export type OnFull = (limit: number, isOfKey: boolean) => Error;

export interface KeyedPlacesOptions {
  readonly ofKeyMax: number;
  /** Default: no bound. */
  readonly inAllMax?: number;
  readonly onFull: OnFull;
}

/** A bounded number of places for each key, and of them all. What is remembered is bounded by the places taken. */
export class KeyedPlaces {
  readonly #ofKey = new Map<string, Places>();
  readonly #inAll: Places;
  readonly #options: KeyedPlacesOptions;

  constructor(options: KeyedPlacesOptions) {
    const { inAllMax = Number.POSITIVE_INFINITY, onFull } = options;
    this.#options = options;
    this.#inAll = new Places(inAllMax, () => onFull(inAllMax, false));
  }

  /** Takes a place; call the result to give it back, which is safe to repeat. Throws what `onFull` makes. */
  take(key: string): () => void {
    const { ofKeyMax, onFull } = this.#options;
    const places = this.#ofKey.get(key) ?? new Places(ofKeyMax, () => onFull(ofKeyMax, true));
    // Of the key first: who has all of his own must not be told that the house is full.
    const leaveKey = places.take();
    try {
      const leaveAll = this.#inAll.take();
      this.#ofKey.set(key, places);
      return () => {
        leaveAll();
        leaveKey();
        if (places.taken === 0 && this.#ofKey.get(key) === places) this.#ofKey.delete(key);
      };
    } catch (error) {
      leaveKey();
      throw error;
    }
  }
}
