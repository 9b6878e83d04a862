-- A checkout: what was ordered, and how far it has come. The first purchase intent's id names it.
create table checkout_order (
  intent_id uuid primary key,
  merchant_id text not null check (length(merchant_id) between 1 and 128),
  order_id text not null check (length(order_id) between 1 and 128),
  wallet bytea not null check (length(wallet) = 20),
  payment_method text not null check (payment_method in ('CARD', 'BALANCE')),
  -- [{"sku": "MILK", "quantity": 2}]
  items jsonb not null,
  -- Minor units of the ledger
  amount numeric(39) not null check (amount > 0),
  ledger integer not null,
  create_time timestamptz not null,
  expire_time timestamptz not null,
  state text not null check (state ~ '^[A-Z][A-Z_]{0,62}$'),
  payment_intent_id text unique,
  wallet_signature bytea check (length(wallet_signature) = 65),
  failure_reason text not null default '' check (length(failure_reason) <= 64),
  decline_code text not null default '' check (length(decline_code) <= 64),
  -- The card has paid and the purchase will never clear: the payment goes back
  return_owed boolean not null default false,
  returned_refund_id text,
  revision bigint not null default 1,
  change_time timestamptz not null default clock_timestamp(),
  -- When it is looked at again if nothing else happens; null: not before something does
  next_check_time timestamptz,
  unique (merchant_id, order_id)
);
create index checkout_order_due on checkout_order (next_check_time) where next_check_time is not null;
create index checkout_order_wallet on checkout_order (wallet, intent_id);
create index checkout_order_merchant on checkout_order (merchant_id, intent_id);

-- Every step that a checkout took, and why. Append-only.
create table checkout_transition (
  intent_id uuid not null references checkout_order (intent_id),
  revision bigint not null,
  -- Several steps may share a revision
  step smallint not null,
  from_state text,
  to_state text not null,
  cause text not null check (length(cause) <= 256),
  transition_time timestamptz not null default clock_timestamp(),
  primary key (intent_id, revision, step)
);

-- One effect that a checkout has on the ledger: its purchase, a refund, a correction, a fulfilment. What it takes or
-- gives back is decided under a lock on the checkout's row, from these rows alone.
create table checkout_entry (
  -- The id of its first intent
  entry_id uuid primary key,
  checkout_id uuid not null references checkout_order (intent_id),
  number integer not null,
  kind text not null check (kind in ('PURCHASE', 'REFUND', 'CORRECTION', 'FULFILMENT')),
  state text not null check (state in ('PENDING', 'CLEARED', 'FAILED', 'CORRECTED')),
  -- [{"sku": "MILK", "accountId": "4000001", "amount": "350", "bearer": "OBLIGATION"}]
  portions jsonb not null,
  items jsonb not null,
  stripe_refund_id text unique,
  external boolean not null default false,
  corrects_entry_id uuid unique references checkout_entry (entry_id),
  create_time timestamptz not null default clock_timestamp(),
  unique (checkout_id, number)
);

-- The intents made for an entry. A successor comes only after Clearing has made final that the one before never
-- clears; at most one of all clears.
create table checkout_attempt (
  intent_id uuid primary key,
  entry_id uuid not null references checkout_entry (entry_id),
  number smallint not null check (number between 1 and 16),
  intent jsonb not null,
  digest bytea check (length(digest) = 32),
  signature bytea check (length(signature) = 65),
  signer bytea check (length(signer) = 20),
  wallet_signature bytea check (length(wallet_signature) = 65),
  state text not null check (state in ('PENDING', 'CLEARED', 'DEAD')),
  -- Nanoseconds of the ledger's clock
  commit_timestamp numeric(20),
  create_time timestamptz not null default clock_timestamp(),
  unique (entry_id, number)
);
create unique index checkout_attempt_cleared on checkout_attempt (entry_id) where state = 'CLEARED';

-- What Stripe has told, once for each event id. The body is not kept: what it says is fetched again.
create table checkout_webhook_event (
  event_id text primary key check (event_id ~ '^[A-Za-z0-9_]{1,255}$'),
  type text not null check (length(type) <= 128),
  payment_intent_id text,
  state text not null default 'PENDING' check (state in ('PENDING', 'DONE', 'IGNORED', 'DEAD')),
  -- How often it was begun
  attempts integer not null default 0,
  last_error text not null default '' check (length(last_error) <= 512),
  -- When Stripe made it, by its own clock
  create_time timestamptz not null,
  receive_time timestamptz not null default clock_timestamp(),
  process_time timestamptz,
  -- While an attempt is under way: when it counts as lost
  next_attempt_time timestamptz default clock_timestamp()
);
create index checkout_webhook_event_due on checkout_webhook_event (next_attempt_time) where state = 'PENDING';
create index checkout_webhook_event_received on checkout_webhook_event (receive_time, event_id);
create index checkout_webhook_event_state on checkout_webhook_event (state, receive_time, event_id);

-- How far the sweep for lost webhooks has come.
create table checkout_webhook_sweep (
  only_row boolean primary key default true check (only_row),
  -- By Stripe's clock
  swept_to timestamptz not null,
  -- By ours: until then the sweep is somebody's
  held_until timestamptz not null
);

create function refuse_checkout_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end $$;
create trigger checkout_transition_append_only before update or delete or truncate on checkout_transition
  for each statement execute function refuse_checkout_change();

-- Checkout works as a role that may change its own tables and nothing else. The login role owns the tables and
-- migrates; it must be allowed to create roles, or find this one there.
do $$
begin
  begin
    create role sovr_checkout nologin;
  exception
    when duplicate_object or unique_violation then null;
  end;
  grant sovr_checkout to current_user;
end $$;

grant select, insert on checkout_transition to sovr_checkout;
grant select, insert, update on
  checkout_order, checkout_entry, checkout_attempt, checkout_webhook_event, checkout_webhook_sweep
  to sovr_checkout;
