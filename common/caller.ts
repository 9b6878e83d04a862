/** Who calls, as far as the domain cares. */
export interface Caller {
  /** The wallet, EIP-55, to which the caller's credential is bound; undefined for operators and services. */
  readonly wallet: string | undefined;
}
