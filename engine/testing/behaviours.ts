import type { Account, Transfer } from "tigerbeetle-node";
import {
  AccountFlags as A,
  type CreateAccountStatus,
  type CreateTransferStatus,
  TransferFlags as F,
} from "tigerbeetle-node";
import { MAX } from "./fuzz-script.ts";

/**
 * What both engines must do, as tables. Ids are small numbers that the runner moves to ids nobody
 * has used; a field that is not given is zero, except ledger and code, which are 1.
 */
export type AccountRow = [Partial<Account>, keyof typeof CreateAccountStatus];
export type TransferRow = [Partial<Transfer>, keyof typeof CreateTransferStatus];
export type Balances = readonly [bigint, bigint, bigint, bigint];

/** What is looked up, and how it must be. */
export type BehaviourCheck =
  /** Debits pending and posted, credits pending and posted; null if there is no such account. */
  | { readonly balances: Readonly<Record<number, Balances | null>> }
  /** Whether the account is closed. */
  | { readonly closed: Readonly<Record<number, boolean>> }
  /** The amount of a stored transfer; null if there is none. */
  | { readonly amounts: Readonly<Record<number, bigint | null>> }
  /** Fields of a stored transfer. */
  | { readonly stored: Readonly<Record<number, Partial<Transfer>>> };

export type BehaviourStep =
  | { readonly accounts: readonly AccountRow[] }
  | { readonly transfers: readonly TransferRow[] }
  | BehaviourCheck
  /** Holds in the first second of a behaviour; later, pending transfers of a second may have expired. */
  | { readonly atFirst: BehaviourCheck }
  /** Holds soon: TigerBeetle releases what has expired at its next pulse. */
  | { readonly eventually: BehaviourCheck };

export type Behaviour = { readonly name: string; readonly steps: readonly BehaviourStep[] };

const two: BehaviourStep = {
  accounts: [
    [{ id: 1n }, "created"],
    [{ id: 2n }, "created"],
  ],
};
const move = { debit_account_id: 1n, credit_account_id: 2n };
const back = { debit_account_id: 2n, credit_account_id: 1n };

const accountBehaviours: Behaviour[] = [
  {
    name: "account statuses come in their order of precedence",
    steps: [
      {
        accounts: [
          [
            { id: 1n, user_data_128: 2n, user_data_64: 2n, user_data_32: 2, ledger: 3, code: 4 },
            "created",
          ],
          [
            {
              id: 0n,
              debits_pending: 1n,
              reserved: 1,
              ledger: 0,
              code: 0,
              flags: 0x8000,
              timestamp: 1n,
            },
            "timestamp_must_be_zero",
          ],
          [
            { id: 0n, debits_pending: 1n, reserved: 1, ledger: 0, code: 0, flags: 0x8000 },
            "reserved_field",
          ],
          [{ id: 0n, debits_pending: 1n, ledger: 0, code: 0, flags: 0x8000 }, "reserved_flag"],
          [{ id: 0n, debits_pending: 1n, ledger: 0, code: 0, flags: 64 | 6 }, "reserved_flag"],
          [{ id: 0n, debits_pending: 1n, ledger: 0, code: 0, flags: 6 }, "id_must_not_be_zero"],
          [{ id: MAX, debits_pending: 1n, ledger: 0, code: 0, flags: 6 }, "id_must_not_be_int_max"],
          [
            { id: 1n, debits_pending: 1n, ledger: 9, code: 9, flags: A.history },
            "exists_with_different_flags",
          ],
          [
            { id: 1n, debits_pending: 1n, ledger: 9, code: 9 },
            "exists_with_different_user_data_128",
          ],
          [{ id: 1n, user_data_128: 2n, ledger: 9, code: 9 }, "exists_with_different_user_data_64"],
          [
            { id: 1n, user_data_128: 2n, user_data_64: 2n, ledger: 9, code: 9 },
            "exists_with_different_user_data_32",
          ],
          [
            { id: 1n, user_data_128: 2n, user_data_64: 2n, user_data_32: 2, ledger: 9, code: 9 },
            "exists_with_different_ledger",
          ],
          [
            { id: 1n, user_data_128: 2n, user_data_64: 2n, user_data_32: 2, ledger: 3, code: 9 },
            "exists_with_different_code",
          ],
          [
            {
              id: 1n,
              debits_posted: 7n,
              user_data_128: 2n,
              user_data_64: 2n,
              user_data_32: 2,
              ledger: 3,
              code: 4,
            },
            "exists",
          ],
          [
            { id: 2n, debits_pending: 1n, ledger: 0, code: 0, flags: 6 },
            "flags_are_mutually_exclusive",
          ],
          [
            {
              id: 2n,
              debits_pending: 1n,
              debits_posted: 1n,
              credits_pending: 1n,
              credits_posted: 1n,
              ledger: 0,
              code: 0,
            },
            "debits_pending_must_be_zero",
          ],
          [
            {
              id: 2n,
              debits_posted: 1n,
              credits_pending: 1n,
              credits_posted: 1n,
              ledger: 0,
              code: 0,
            },
            "debits_posted_must_be_zero",
          ],
          [
            { id: 2n, credits_pending: 1n, credits_posted: 1n, ledger: 0, code: 0 },
            "credits_pending_must_be_zero",
          ],
          [{ id: 2n, credits_posted: 1n, ledger: 0, code: 0 }, "credits_posted_must_be_zero"],
          [{ id: 2n, ledger: 0, code: 0 }, "ledger_must_not_be_zero"],
          [{ id: 2n, code: 0 }, "code_must_not_be_zero"],
        ],
      },
      { balances: { 1: [0n, 0n, 0n, 0n], 2: null } },
    ],
  },
  {
    name: "a broken chain of accounts leaves nothing, and the events after it do not see it",
    steps: [
      {
        accounts: [
          [{ id: 7n }, "created"],
          [{ id: 1n, flags: A.linked }, "linked_event_failed"],
          [{ id: 2n, flags: A.linked }, "linked_event_failed"],
          [{ id: 1n, flags: A.linked }, "exists"],
          [{ id: 3n }, "linked_event_failed"],
          [{ id: 1n }, "created"],
          [{ id: 1n, code: 2, flags: A.linked }, "exists_with_different_flags"],
          [{ id: 2n }, "linked_event_failed"],
          [{ id: 2n }, "created"],
          [{ id: 3n, flags: A.linked }, "linked_event_failed"],
          [{ id: 1n, ledger: 2 }, "exists_with_different_ledger"],
          [{ id: 3n, flags: A.linked }, "created"],
          [{ id: 4n }, "created"],
        ],
      },
      { balances: { 1: [0n, 0n, 0n, 0n], 4: [0n, 0n, 0n, 0n], 7: [0n, 0n, 0n, 0n] } },
    ],
  },
  {
    name: "a chain that the batch leaves open fails, also when it has already failed",
    steps: [
      { accounts: [[{ id: 1n, flags: A.linked }, "linked_event_chain_open"]] },
      {
        accounts: [
          [{ id: 2n }, "created"],
          [{ id: 3n, flags: A.linked }, "linked_event_failed"],
          [{ id: 2n, flags: A.linked }, "exists_with_different_flags"],
          [{ id: 4n, flags: A.linked }, "linked_event_chain_open"],
        ],
      },
      { balances: { 1: null, 3: null, 4: null } },
    ],
  },
  {
    name: "an account may be created closed, and then takes nothing",
    steps: [
      {
        accounts: [
          [{ id: 1n, flags: A.closed }, "created"],
          [{ id: 2n }, "created"],
        ],
      },
      {
        transfers: [
          [{ id: 1n, ...move }, "debit_account_already_closed"],
          [{ id: 2n, ...back }, "credit_account_already_closed"],
          [{ id: 1n, ...move }, "id_already_failed"],
        ],
      },
    ],
  },
];

const transferBehaviours: Behaviour[] = [
  {
    name: "transfer statuses come in their order of precedence",
    steps: [
      {
        accounts: [
          [{ id: 1n }, "created"],
          [{ id: 2n, ledger: 2 }, "created"],
          [{ id: 3n }, "created"],
        ],
      },
      {
        transfers: [
          [
            { id: 0n, pending_id: 1n, ledger: 0, code: 0, flags: 0x8000, timestamp: 1n },
            "timestamp_must_be_zero",
          ],
          [{ id: 0n, pending_id: 1n, ledger: 0, code: 0, flags: 512 }, "reserved_flag"],
          [{ id: 0n, pending_id: 1n, ledger: 0, code: 0, flags: F.pending }, "id_must_not_be_zero"],
          [
            { id: MAX, pending_id: 1n, ledger: 0, code: 0, flags: F.pending },
            "id_must_not_be_int_max",
          ],
          [{ id: 1n, pending_id: 1n, ledger: 0, code: 0 }, "debit_account_id_must_not_be_zero"],
          [
            { id: 1n, debit_account_id: MAX, pending_id: 1n, ledger: 0, code: 0 },
            "debit_account_id_must_not_be_int_max",
          ],
          [
            { id: 1n, debit_account_id: 8n, pending_id: 1n, ledger: 0, code: 0 },
            "credit_account_id_must_not_be_zero",
          ],
          [
            {
              id: 1n,
              debit_account_id: 8n,
              credit_account_id: MAX,
              pending_id: 1n,
              ledger: 0,
              code: 0,
            },
            "credit_account_id_must_not_be_int_max",
          ],
          [
            {
              id: 1n,
              debit_account_id: 8n,
              credit_account_id: 8n,
              pending_id: 1n,
              ledger: 0,
              code: 0,
            },
            "accounts_must_be_different",
          ],
          [
            {
              id: 1n,
              debit_account_id: 8n,
              credit_account_id: 9n,
              pending_id: 1n,
              timeout: 1,
              ledger: 0,
              code: 0,
            },
            "pending_id_must_be_zero",
          ],
          [
            {
              id: 1n,
              debit_account_id: 8n,
              credit_account_id: 9n,
              timeout: 1,
              ledger: 0,
              code: 0,
              flags: F.closing_debit,
            },
            "timeout_reserved_for_pending_transfer",
          ],
          [
            {
              id: 1n,
              debit_account_id: 8n,
              credit_account_id: 9n,
              ledger: 0,
              code: 0,
              flags: F.closing_debit,
            },
            "closing_transfer_must_be_pending",
          ],
          [
            {
              id: 1n,
              debit_account_id: 8n,
              credit_account_id: 9n,
              ledger: 0,
              code: 0,
              flags: F.closing_credit,
            },
            "closing_transfer_must_be_pending",
          ],
          [
            { id: 1n, debit_account_id: 8n, credit_account_id: 9n, ledger: 0, code: 0 },
            "ledger_must_not_be_zero",
          ],
          [
            { id: 1n, debit_account_id: 8n, credit_account_id: 9n, ledger: 9, code: 0 },
            "code_must_not_be_zero",
          ],
          [
            { id: 1n, debit_account_id: 8n, credit_account_id: 9n, ledger: 9 },
            "debit_account_not_found",
          ],
          [{ id: 1n, debit_account_id: 1n, credit_account_id: 3n }, "id_already_failed"],
          [
            { id: 2n, debit_account_id: 1n, credit_account_id: 9n, ledger: 9 },
            "credit_account_not_found",
          ],
          [{ id: 2n, debit_account_id: 1n, credit_account_id: 3n }, "id_already_failed"],
          [
            { id: 3n, debit_account_id: 1n, credit_account_id: 2n, ledger: 9 },
            "accounts_must_have_the_same_ledger",
          ],
          [
            { id: 3n, debit_account_id: 1n, credit_account_id: 3n, ledger: 9 },
            "transfer_must_have_the_same_ledger_as_accounts",
          ],
          [{ id: 3n, debit_account_id: 1n, credit_account_id: 3n }, "created"],
        ],
      },
      { amounts: { 1: null, 2: null, 3: 0n } },
    ],
  },
  {
    name: "sums that do not fit 128 bits are refused, pending before posted before both",
    steps: [
      {
        accounts: [
          [{ id: 1n }, "created"],
          [{ id: 2n }, "created"],
          [{ id: 3n }, "created"],
          [{ id: 4n }, "created"],
        ],
      },
      {
        transfers: [
          [
            { id: 1n, debit_account_id: 1n, credit_account_id: 4n, amount: 100n, flags: F.pending },
            "created",
          ],
          [{ id: 2n, debit_account_id: 1n, credit_account_id: 4n, amount: 200n }, "created"],
          [
            { id: 3n, debit_account_id: 3n, credit_account_id: 2n, amount: 110n, flags: F.pending },
            "created",
          ],
          [{ id: 4n, debit_account_id: 3n, credit_account_id: 2n, amount: 210n }, "created"],
          [{ id: 9n, ...move, amount: MAX - 99n, flags: F.pending }, "overflows_debits_pending"],
          [{ id: 9n, ...move, amount: MAX - 109n, flags: F.pending }, "overflows_credits_pending"],
          [
            {
              id: 9n,
              debit_account_id: 4n,
              credit_account_id: 2n,
              amount: MAX - 109n,
              flags: F.pending,
            },
            "overflows_credits_pending",
          ],
          [{ id: 9n, ...move, amount: MAX - 199n, flags: F.pending }, "overflows_debits_posted"],
          [
            {
              id: 9n,
              debit_account_id: 4n,
              credit_account_id: 2n,
              amount: MAX - 209n,
              flags: F.pending,
            },
            "overflows_credits_posted",
          ],
          [{ id: 9n, ...move, amount: MAX - 299n, flags: F.pending }, "overflows_debits"],
          [{ id: 9n, ...move, amount: MAX - 319n, flags: F.pending }, "overflows_credits"],
          [{ id: 9n, ...move, amount: MAX - 320n, flags: F.pending }, "created"],
        ],
      },
      { balances: { 1: [MAX - 220n, 200n, 0n, 0n], 2: [0n, 0n, MAX - 210n, 210n] } },
    ],
  },
  {
    name: "limits count what is pending, and a refused id is burnt",
    steps: [
      {
        accounts: [
          [{ id: 1n, flags: A.debits_must_not_exceed_credits }, "created"],
          [{ id: 2n, flags: A.credits_must_not_exceed_debits }, "created"],
          [{ id: 3n }, "created"],
        ],
      },
      {
        transfers: [
          [{ id: 1n, debit_account_id: 3n, credit_account_id: 1n, amount: 10n }, "created"],
          [{ id: 2n, debit_account_id: 2n, credit_account_id: 3n, amount: 20n }, "created"],
          [
            { id: 3n, debit_account_id: 1n, credit_account_id: 3n, amount: 6n, flags: F.pending },
            "created",
          ],
          [{ id: 4n, ...move, amount: 5n }, "exceeds_credits"],
          [{ id: 4n, ...move, amount: 4n }, "id_already_failed"],
          [{ id: 5n, ...move, amount: 4n }, "created"],
          [{ id: 6n, debit_account_id: 3n, credit_account_id: 2n, amount: 17n }, "exceeds_debits"],
          [{ id: 7n, debit_account_id: 3n, credit_account_id: 2n, amount: 16n }, "created"],
          [{ id: 8n, pending_id: 3n, amount: 0n, flags: F.void_pending_transfer }, "created"],
          [{ id: 9n, debit_account_id: 1n, credit_account_id: 3n, amount: 6n }, "created"],
        ],
      },
      { balances: { 1: [0n, 10n, 0n, 10n], 2: [0n, 20n, 0n, 20n], 3: [0n, 26n, 0n, 26n] } },
    ],
  },
  {
    name: "a repeated transfer exists, or says what differs, before anything else is checked",
    steps: [
      two,
      { accounts: [[{ id: 3n }, "created"]] },
      {
        transfers: [
          [
            {
              id: 1n,
              ...move,
              amount: 5n,
              timeout: 90,
              user_data_128: 7n,
              user_data_64: 8n,
              user_data_32: 9,
              flags: F.pending,
            },
            "created",
          ],
          [{ id: 1n }, "exists_with_different_flags"],
          [{ id: 1n, pending_id: 3n, flags: F.pending }, "exists_with_different_pending_id"],
          [{ id: 1n, flags: F.pending }, "exists_with_different_timeout"],
          [{ id: 1n, timeout: 90, flags: F.pending }, "exists_with_different_debit_account_id"],
          [
            { id: 1n, debit_account_id: 1n, timeout: 90, flags: F.pending },
            "exists_with_different_credit_account_id",
          ],
          [{ id: 1n, ...move, timeout: 90, flags: F.pending }, "exists_with_different_amount"],
          [
            { id: 1n, ...move, amount: 5n, timeout: 90, flags: F.pending },
            "exists_with_different_user_data_128",
          ],
          [
            { id: 1n, ...move, amount: 5n, timeout: 90, user_data_128: 7n, flags: F.pending },
            "exists_with_different_user_data_64",
          ],
          [
            {
              id: 1n,
              ...move,
              amount: 5n,
              timeout: 90,
              user_data_128: 7n,
              user_data_64: 8n,
              flags: F.pending,
            },
            "exists_with_different_user_data_32",
          ],
          [
            {
              id: 1n,
              ...move,
              amount: 5n,
              timeout: 90,
              user_data_128: 7n,
              user_data_64: 8n,
              user_data_32: 9,
              ledger: 0,
              code: 0,
              flags: F.pending,
            },
            "exists_with_different_ledger",
          ],
          [
            {
              id: 1n,
              ...move,
              amount: 5n,
              timeout: 90,
              user_data_128: 7n,
              user_data_64: 8n,
              user_data_32: 9,
              code: 0,
              flags: F.pending,
            },
            "exists_with_different_code",
          ],
          [
            {
              id: 1n,
              ...move,
              amount: 5n,
              timeout: 90,
              user_data_128: 7n,
              user_data_64: 8n,
              user_data_32: 9,
              flags: F.pending,
            },
            "exists",
          ],
        ],
      },
    ],
  },
  {
    name: "a broken chain of transfers is undone inside its batch; only the failed id is burnt",
    steps: [
      {
        accounts: [
          [{ id: 1n, flags: A.debits_must_not_exceed_credits }, "created"],
          [{ id: 2n }, "created"],
        ],
      },
      { transfers: [[{ id: 1n, ...back, amount: 20n }, "created"]] },
      {
        transfers: [
          [{ id: 2n, ...move, amount: 15n, flags: F.linked }, "linked_event_failed"],
          [{ id: 3n, ...move, amount: 6n, flags: F.linked }, "exceeds_credits"],
          [{ id: 4n, ...move, amount: 1n }, "linked_event_failed"],
          [{ id: 2n, ...move, amount: 15n }, "created"],
          [{ id: 3n, ...move, amount: 1n }, "id_already_failed"],
          [{ id: 4n, ...move, amount: 1n }, "created"],
        ],
      },
      { balances: { 1: [0n, 16n, 0n, 20n] } },
      {
        transfers: [
          [{ id: 2n, ...move, amount: 15n, flags: F.linked }, "exists_with_different_flags"],
          [{ id: 5n, ...move, amount: 1n }, "linked_event_failed"],
          [{ id: 6n, ...move, amount: 1n, flags: F.linked }, "linked_event_chain_open"],
        ],
      },
      { balances: { 1: [0n, 16n, 0n, 20n] } },
      { amounts: { 3: null, 5: null, 6: null } },
    ],
  },
  {
    name: "a committed chain that is repeated answers exists for its first event only",
    steps: [
      two,
      {
        transfers: [
          [{ id: 1n, ...move, amount: 1n, flags: F.linked }, "created"],
          [{ id: 2n, ...move, amount: 2n }, "created"],
        ],
      },
      {
        transfers: [
          [{ id: 1n, ...move, amount: 1n, flags: F.linked }, "exists"],
          [{ id: 2n, ...move, amount: 2n }, "linked_event_failed"],
        ],
      },
    ],
  },
  {
    name: "a chain that resolves a pending transfer and breaks leaves it pending",
    steps: [
      two,
      { transfers: [[{ id: 1n, ...move, amount: 9n, flags: F.pending }, "created"]] },
      {
        transfers: [
          [
            { id: 2n, pending_id: 1n, amount: 4n, flags: F.post_pending_transfer | F.linked },
            "linked_event_failed",
          ],
          [{ id: 3n, ...move, ledger: 0 }, "ledger_must_not_be_zero"],
          [{ id: 4n, pending_id: 1n, amount: 5n, flags: F.post_pending_transfer }, "created"],
          [
            { id: 5n, pending_id: 1n, flags: F.void_pending_transfer },
            "pending_transfer_already_posted",
          ],
        ],
      },
      { balances: { 1: [0n, 5n, 0n, 0n] } },
    ],
  },
];

const twoPhaseBehaviours: Behaviour[] = [
  {
    name: "post and void statuses come in their order of precedence",
    steps: [
      two,
      {
        transfers: [
          [{ id: 1n, ...move, amount: 15n }, "created"],
          [{ id: 2n, ...move, amount: 15n, timeout: 1000, flags: F.pending }, "created"],
          [{ id: 3n, ...move, amount: 15n, timeout: 50, flags: F.pending }, "created"],
          [
            {
              id: 5n,
              ...move,
              amount: 7n,
              user_data_128: 9n,
              user_data_64: 9n,
              user_data_32: 9,
              flags: F.pending,
            },
            "created",
          ],
          [
            {
              id: 101n,
              ...move,
              amount: 13n,
              pending_id: 2n,
              user_data_128: 1n,
              flags: F.post_pending_transfer,
            },
            "created",
          ],
          [
            { id: 102n, timeout: 50, flags: F.post_pending_transfer | F.void_pending_transfer },
            "flags_are_mutually_exclusive",
          ],
          [
            { id: 102n, timeout: 50, flags: F.pending | F.void_pending_transfer },
            "flags_are_mutually_exclusive",
          ],
          [
            { id: 102n, timeout: 50, flags: F.balancing_debit | F.post_pending_transfer },
            "flags_are_mutually_exclusive",
          ],
          [
            { id: 102n, timeout: 50, flags: F.balancing_credit | F.void_pending_transfer },
            "flags_are_mutually_exclusive",
          ],
          [
            { id: 102n, timeout: 50, flags: F.closing_debit | F.void_pending_transfer },
            "flags_are_mutually_exclusive",
          ],
          [
            { id: 102n, timeout: 50, flags: F.closing_credit | F.post_pending_transfer },
            "flags_are_mutually_exclusive",
          ],
          [
            { id: 102n, timeout: 50, flags: F.void_pending_transfer },
            "pending_id_must_not_be_zero",
          ],
          [
            { id: 102n, pending_id: MAX, timeout: 50, flags: F.void_pending_transfer },
            "pending_id_must_not_be_int_max",
          ],
          [
            { id: 102n, pending_id: 102n, timeout: 50, flags: F.void_pending_transfer },
            "pending_id_must_be_different",
          ],
          [
            { id: 102n, pending_id: 103n, timeout: 50, flags: F.void_pending_transfer },
            "timeout_reserved_for_pending_transfer",
          ],
          [
            { id: 102n, pending_id: 103n, flags: F.void_pending_transfer },
            "pending_transfer_not_found",
          ],
          [{ id: 102n, ...move, amount: 1n }, "id_already_failed"],
          [
            { id: 103n, pending_id: 102n, flags: F.void_pending_transfer },
            "pending_transfer_not_found",
          ],
          [
            { id: 104n, debit_account_id: 8n, pending_id: 1n, flags: F.void_pending_transfer },
            "pending_transfer_not_pending",
          ],
          [
            {
              id: 104n,
              ...back,
              amount: 16n,
              pending_id: 3n,
              ledger: 6,
              code: 7,
              flags: F.void_pending_transfer,
            },
            "pending_transfer_has_different_debit_account_id",
          ],
          [
            {
              id: 104n,
              debit_account_id: 1n,
              credit_account_id: 9n,
              amount: 16n,
              pending_id: 3n,
              ledger: 6,
              code: 7,
              flags: F.void_pending_transfer,
            },
            "pending_transfer_has_different_credit_account_id",
          ],
          [
            {
              id: 104n,
              amount: 16n,
              pending_id: 3n,
              ledger: 6,
              code: 7,
              flags: F.void_pending_transfer,
            },
            "pending_transfer_has_different_ledger",
          ],
          [
            {
              id: 104n,
              amount: 16n,
              pending_id: 3n,
              ledger: 0,
              code: 7,
              flags: F.void_pending_transfer,
            },
            "pending_transfer_has_different_code",
          ],
          [
            { id: 104n, amount: 16n, pending_id: 3n, flags: F.void_pending_transfer },
            "exceeds_pending_transfer_amount",
          ],
          [
            { id: 104n, amount: MAX, pending_id: 3n, flags: F.void_pending_transfer },
            "exceeds_pending_transfer_amount",
          ],
          [
            { id: 104n, amount: 14n, pending_id: 3n, flags: F.void_pending_transfer },
            "pending_transfer_has_different_amount",
          ],
          [
            { id: 104n, amount: 13n, pending_id: 2n, flags: F.post_pending_transfer },
            "pending_transfer_already_posted",
          ],
          [{ id: 104n, amount: 15n, pending_id: 3n, flags: F.void_pending_transfer }, "created"],
          [
            { id: 105n, amount: 13n, pending_id: 3n, flags: F.post_pending_transfer },
            "pending_transfer_already_voided",
          ],
          [
            { id: 105n, amount: 8n, pending_id: 5n, flags: F.post_pending_transfer },
            "exceeds_pending_transfer_amount",
          ],
          [
            {
              id: 105n,
              amount: MAX,
              pending_id: 5n,
              ledger: 0,
              code: 0,
              user_data_64: 3n,
              flags: F.post_pending_transfer,
            },
            "created",
          ],
        ],
      },
      { balances: { 1: [0n, 35n, 0n, 0n], 2: [0n, 0n, 0n, 35n] } },
      { amounts: { 101: 13n, 104: 15n, 105: 7n } },
      {
        stored: {
          105: {
            debit_account_id: 1n,
            credit_account_id: 2n,
            pending_id: 5n,
            user_data_128: 9n,
            user_data_64: 3n,
            user_data_32: 9,
            ledger: 1,
            code: 1,
            timeout: 0,
          },
        },
      },
    ],
  },
  {
    name: "a repeated post or void compares what it leaves out with the pending transfer",
    steps: [
      two,
      {
        transfers: [
          [
            {
              id: 1n,
              ...move,
              amount: 7n,
              user_data_128: 9n,
              user_data_64: 9n,
              user_data_32: 9,
              flags: F.pending,
            },
            "created",
          ],
          [
            {
              id: 2n,
              pending_id: 1n,
              amount: 6n,
              ledger: 0,
              code: 0,
              flags: F.post_pending_transfer,
            },
            "created",
          ],
          [
            { id: 2n, pending_id: 1n, amount: 6n, flags: F.void_pending_transfer },
            "exists_with_different_flags",
          ],
          [
            { id: 2n, pending_id: 3n, amount: 6n, flags: F.post_pending_transfer },
            "exists_with_different_pending_id",
          ],
          [
            { id: 2n, pending_id: 1n, amount: 6n, timeout: 1, flags: F.post_pending_transfer },
            "exists_with_different_timeout",
          ],
          [
            { id: 2n, ...back, pending_id: 1n, amount: 1n, flags: F.post_pending_transfer },
            "exists_with_different_debit_account_id",
          ],
          [
            {
              id: 2n,
              credit_account_id: 1n,
              pending_id: 1n,
              amount: 1n,
              flags: F.post_pending_transfer,
            },
            "exists_with_different_credit_account_id",
          ],
          [
            { id: 2n, pending_id: 1n, amount: MAX, flags: F.post_pending_transfer },
            "exists_with_different_amount",
          ],
          [
            { id: 2n, pending_id: 1n, amount: 0n, flags: F.post_pending_transfer },
            "exists_with_different_amount",
          ],
          [
            {
              id: 2n,
              pending_id: 1n,
              amount: 6n,
              user_data_128: 1n,
              flags: F.post_pending_transfer,
            },
            "exists_with_different_user_data_128",
          ],
          [
            {
              id: 2n,
              pending_id: 1n,
              amount: 6n,
              user_data_64: 1n,
              flags: F.post_pending_transfer,
            },
            "exists_with_different_user_data_64",
          ],
          [
            { id: 2n, pending_id: 1n, amount: 6n, user_data_32: 1, flags: F.post_pending_transfer },
            "exists_with_different_user_data_32",
          ],
          [
            { id: 2n, pending_id: 1n, amount: 6n, ledger: 2, flags: F.post_pending_transfer },
            "exists_with_different_ledger",
          ],
          [
            { id: 2n, pending_id: 1n, amount: 6n, code: 2, flags: F.post_pending_transfer },
            "exists_with_different_code",
          ],
          [
            {
              id: 2n,
              pending_id: 1n,
              amount: 6n,
              user_data_128: 9n,
              ledger: 0,
              code: 0,
              flags: F.post_pending_transfer,
            },
            "exists",
          ],
          [{ id: 3n, ...move, amount: 7n, flags: F.pending }, "created"],
          [
            {
              id: 4n,
              pending_id: 3n,
              amount: 0n,
              user_data_64: 5n,
              flags: F.void_pending_transfer,
            },
            "created",
          ],
          [
            {
              id: 4n,
              pending_id: 3n,
              amount: 7n,
              user_data_64: 5n,
              flags: F.void_pending_transfer,
            },
            "exists",
          ],
          [
            {
              id: 4n,
              pending_id: 3n,
              amount: 0n,
              user_data_64: 0n,
              flags: F.void_pending_transfer,
            },
            "exists_with_different_user_data_64",
          ],
          [
            {
              id: 4n,
              pending_id: 3n,
              amount: 6n,
              user_data_64: 5n,
              flags: F.void_pending_transfer,
            },
            "exists_with_different_amount",
          ],
        ],
      },
      { amounts: { 2: 6n, 4: 7n } },
    ],
  },
  {
    name: "the greatest amount can be pending and posted in full; amount 0 posts nothing",
    steps: [
      two,
      {
        transfers: [
          [{ id: 1n, ...move, amount: MAX, flags: F.pending }, "created"],
          [
            { id: 2n, ...move, pending_id: 1n, amount: MAX, flags: F.post_pending_transfer },
            "created",
          ],
          [
            { id: 2n, ...move, pending_id: 1n, amount: MAX, flags: F.post_pending_transfer },
            "exists",
          ],
          [{ id: 3n, ...back, amount: 5n, flags: F.pending }, "created"],
          [{ id: 4n, pending_id: 3n, amount: 0n, flags: F.post_pending_transfer }, "created"],
          [{ id: 4n, pending_id: 3n, amount: 0n, flags: F.post_pending_transfer }, "exists"],
          [
            { id: 4n, pending_id: 3n, amount: 5n, flags: F.post_pending_transfer },
            "exists_with_different_amount",
          ],
        ],
      },
      { balances: { 1: [0n, MAX, 0n, 0n], 2: [0n, 0n, 0n, MAX] } },
      { amounts: { 1: MAX, 2: MAX, 4: 0n } },
    ],
  },
  {
    name: "a pending transfer expires after its timeout, and cannot be resolved then",
    steps: [
      two,
      {
        transfers: [
          [{ id: 1n, ...move, amount: 10n, flags: F.pending }, "created"],
          [{ id: 2n, ...move, amount: 11n, timeout: 1, flags: F.pending }, "created"],
          [{ id: 3n, ...move, amount: 12n, timeout: 600, flags: F.pending }, "created"],
          [{ id: 4n, ...move, amount: 13n, timeout: 1, flags: F.pending }, "created"],
          [{ id: 5n, pending_id: 4n, amount: MAX, flags: F.post_pending_transfer }, "created"],
        ],
      },
      { atFirst: { balances: { 1: [33n, 13n, 0n, 0n], 2: [0n, 0n, 33n, 13n] } } },
      { eventually: { balances: { 1: [22n, 13n, 0n, 0n], 2: [0n, 0n, 22n, 13n] } } },
      {
        transfers: [
          [
            { id: 102n, pending_id: 2n, amount: MAX, flags: F.post_pending_transfer },
            "pending_transfer_expired",
          ],
          [
            { id: 102n, pending_id: 2n, flags: F.void_pending_transfer },
            "pending_transfer_expired",
          ],
          [
            { id: 102n, pending_id: 4n, flags: F.void_pending_transfer },
            "pending_transfer_already_posted",
          ],
          [{ id: 102n, pending_id: 3n, flags: F.void_pending_transfer }, "created"],
          [{ id: 2n, ...move, amount: 11n, timeout: 1, flags: F.pending }, "exists"],
        ],
      },
      { balances: { 1: [10n, 13n, 0n, 0n] } },
    ],
  },
  {
    name: "closing transfers close accounts, and voiding or expiring them reopens the accounts",
    steps: [
      two,
      { accounts: [[{ id: 3n }, "created"]] },
      {
        transfers: [
          [{ id: 1n, ...move, amount: 4n, flags: F.pending }, "created"],
          [
            {
              id: 2n,
              debit_account_id: 1n,
              credit_account_id: 3n,
              flags: F.pending | F.closing_debit,
            },
            "created",
          ],
          [{ id: 3n, ...move, amount: 1n }, "debit_account_already_closed"],
          [{ id: 4n, ...back, amount: 1n }, "credit_account_already_closed"],
          [
            { id: 5n, pending_id: 1n, amount: MAX, flags: F.post_pending_transfer },
            "debit_account_already_closed",
          ],
          [
            { id: 6n, pending_id: 2n, amount: MAX, flags: F.post_pending_transfer },
            "debit_account_already_closed",
          ],
          [{ id: 7n, pending_id: 1n, flags: F.void_pending_transfer }, "created"],
        ],
      },
      { closed: { 1: true, 3: false } },
      {
        accounts: [
          [{ id: 1n }, "exists_with_different_flags"],
          [{ id: 1n, flags: A.closed }, "exists"],
        ],
      },
      {
        transfers: [
          [{ id: 8n, pending_id: 2n, flags: F.void_pending_transfer }, "created"],
          [{ id: 9n, ...move, amount: 1n }, "created"],
          [
            {
              id: 10n,
              ...move,
              amount: 2n,
              timeout: 1,
              flags: F.pending | F.closing_debit | F.closing_credit,
            },
            "created",
          ],
        ],
      },
      { atFirst: { closed: { 1: true, 2: true } } },
      { eventually: { closed: { 1: false, 2: false } } },
      { balances: { 1: [0n, 1n, 0n, 0n], 2: [0n, 0n, 0n, 1n] } },
    ],
  },
];

const balancingBehaviours: Behaviour[] = [
  {
    name: "balancing transfers move at most what balances, and repeat with a limit that reaches it",
    steps: [
      {
        accounts: [
          [{ id: 1n, flags: A.debits_must_not_exceed_credits }, "created"],
          [{ id: 2n, flags: A.credits_must_not_exceed_debits }, "created"],
          [{ id: 3n }, "created"],
        ],
      },
      {
        transfers: [
          [{ id: 1n, debit_account_id: 3n, credit_account_id: 1n, amount: 10n }, "created"],
          [
            { id: 2n, debit_account_id: 1n, credit_account_id: 3n, amount: 1n, flags: F.pending },
            "created",
          ],
          [{ id: 3n, debit_account_id: 2n, credit_account_id: 3n, amount: 10n }, "created"],
          [
            {
              id: 11n,
              debit_account_id: 1n,
              credit_account_id: 3n,
              amount: 3n,
              flags: F.balancing_debit,
            },
            "created",
          ],
          [
            {
              id: 12n,
              debit_account_id: 1n,
              credit_account_id: 3n,
              amount: 13n,
              flags: F.balancing_debit,
            },
            "created",
          ],
          [
            {
              id: 13n,
              debit_account_id: 3n,
              credit_account_id: 2n,
              amount: 3n,
              flags: F.balancing_credit,
            },
            "created",
          ],
          [
            {
              id: 14n,
              debit_account_id: 3n,
              credit_account_id: 2n,
              amount: MAX,
              flags: F.balancing_credit,
            },
            "created",
          ],
          [
            { id: 15n, ...move, amount: 1n, flags: F.balancing_debit | F.balancing_credit },
            "created",
          ],
          [
            {
              id: 11n,
              debit_account_id: 1n,
              credit_account_id: 3n,
              amount: 2n,
              flags: F.balancing_debit,
            },
            "exists_with_different_amount",
          ],
          [
            {
              id: 11n,
              debit_account_id: 1n,
              credit_account_id: 3n,
              amount: 4n,
              flags: F.balancing_debit,
            },
            "exists",
          ],
          [
            {
              id: 12n,
              debit_account_id: 1n,
              credit_account_id: 3n,
              amount: 6n,
              flags: F.balancing_debit,
            },
            "exists",
          ],
          [
            {
              id: 14n,
              debit_account_id: 3n,
              credit_account_id: 2n,
              amount: 6n,
              flags: F.balancing_credit,
            },
            "exists_with_different_amount",
          ],
        ],
      },
      { amounts: { 11: 3n, 12: 6n, 13: 3n, 14: 7n, 15: 0n } },
      { balances: { 1: [1n, 9n, 0n, 10n], 2: [0n, 10n, 0n, 10n] } },
    ],
  },
  {
    name: "a balancing transfer may be pending, and the other side's limit still counts",
    steps: [
      {
        accounts: [
          [{ id: 1n, flags: A.debits_must_not_exceed_credits }, "created"],
          [{ id: 2n }, "created"],
          [{ id: 3n }, "created"],
        ],
      },
      {
        transfers: [
          [{ id: 1n, debit_account_id: 3n, credit_account_id: 1n, amount: 4n }, "created"],
          [{ id: 2n, debit_account_id: 2n, credit_account_id: 3n, amount: 5n }, "created"],
          [{ id: 3n, ...move, amount: 10n, flags: F.balancing_credit }, "exceeds_credits"],
          [{ id: 4n, ...move, amount: 10n, flags: F.balancing_debit | F.pending }, "created"],
          [{ id: 5n, pending_id: 4n, amount: MAX, flags: F.post_pending_transfer }, "created"],
        ],
      },
      { amounts: { 3: null, 4: 4n, 5: 4n } },
      { balances: { 1: [0n, 4n, 0n, 4n], 2: [0n, 5n, 0n, 4n] } },
    ],
  },
];

/** All behaviours. */
export const behaviours: readonly Behaviour[] = [
  ...accountBehaviours,
  ...transferBehaviours,
  ...twoPhaseBehaviours,
  ...balancingBehaviours,
];
