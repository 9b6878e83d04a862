/** A bounded number of places, such as for those who listen. */
export class Places {
  readonly #placesMax: number;
  readonly #onFull: () => Error;
  #taken = 0;

  /** `onFull` makes what `take` throws when all are taken. */
  constructor(placesMax: number, onFull: () => Error) {
    this.#placesMax = placesMax;
    this.#onFull = onFull;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Takes a place; call the result to give it back, which is safe to repeat. Throws what `onFull` makes. */
  take(): () => void {
    if (this.#taken >= this.#placesMax) throw this.#onFull();
    this.#taken += 1;
    let isTaken = true;
    return () => {
      if (isTaken) this.#taken -= 1;
      isTaken = false;
    };
  }
}
