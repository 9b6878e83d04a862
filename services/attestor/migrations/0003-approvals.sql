-- Proposals, what approvers decided on them, and what passed without approval.
-- compatible-from: 0002-role.sql

-- 1 to 16 approvals of 102 bytes, all big-endian: decision u8 (1 APPROVE, 2 REJECT), issue time i64 and expire time i64 (Unix
-- seconds), approver 20 bytes, signature 65 bytes. Null: none.
alter table attestation_signature add column approvals bytea
  check (length(approvals) between 102 and 1632 and length(approvals) % 102 = 0);

-- An intent that was put before approvers. Its id is bound in the same transaction, so an id has a proposal from the first
-- moment on, or never.
create table attestation_proposal (
  intent_id uuid primary key references attestation_intent (intent_id),
  -- Grows with every proposal: lists go by it.
  number bigint generated always as identity unique,
  -- The proto JSON of the ClearingIntent.
  intent jsonb not null,
  wallet_signature bytea check (length(wallet_signature) = 65),
  proposer text not null check (length(proposer) <= 256),
  signer bytea not null check (length(signer) = 20),
  -- Unix seconds: the intent's.
  expire_time bigint not null,
  -- OPEN changes once, into one of the others, under the row's lock.
  state text not null default 'OPEN' check (state in ('OPEN', 'APPROVED', 'REJECTED', 'WITHDRAWN')),
  -- Those that counted when they were enough, as attestation_signature.approvals.
  approvals bytea check (length(approvals) between 102 and 1632 and length(approvals) % 102 = 0),
  insert_time timestamptz not null default now(),
  close_time timestamptz,
  check ((state = 'OPEN') = (close_time is null)),
  check ((state = 'APPROVED') = (approvals is not null))
);

-- What is open, and what was approved and may not be signed yet.
create index attestation_proposal_expire on attestation_proposal (expire_time)
  where state in ('OPEN', 'APPROVED');

-- What an approver decided. Another decision of the same approver takes its place, while the proposal is open.
create table attestation_decision (
  intent_id uuid not null references attestation_proposal (intent_id),
  approver bytea not null check (length(approver) = 20),
  -- One approval, as attestation_signature.approvals.
  approval bytea not null check (length(approval) = 102),
  insert_time timestamptz not null default now(),
  primary key (intent_id, approver)
);

create function guard_attestation_proposal() returns trigger language plpgsql as $$
begin
  if old.state <> 'OPEN' or new.intent_id <> old.intent_id or new.intent <> old.intent
    or new.proposer <> old.proposer or new.signer <> old.signer or new.expire_time <> old.expire_time
    or new.wallet_signature is distinct from old.wallet_signature
  then
    raise exception 'a proposal that is closed stays as it is' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger attestation_proposal_guarded before update on attestation_proposal
  for each row execute function guard_attestation_proposal();
create trigger attestation_proposal_stays before delete or truncate on attestation_proposal
  for each statement execute function refuse_attestation_change();
create trigger attestation_decision_stays before delete or truncate on attestation_decision
  for each statement execute function refuse_attestation_change();

-- What was bound without its approvals under a rule of the policy, in one asset and one minute. Counted in the transaction
-- that binds the id, under a lock.
create table attestation_day_sum (
  -- The rule's name, a slash, and the ledger's number.
  key text not null check (key ~ '^[A-Z][A-Z0-9_]{0,63}/[1-9][0-9]{0,9}$'),
  -- Minutes since 1970.
  minute bigint not null,
  -- Minor units.
  amount numeric(60) not null check (amount > 0),
  primary key (key, minute)
);

-- Sums only grow, whoever asks.
create function guard_attestation_day_sum() returns trigger language plpgsql as $$
begin
  if new.key <> old.key or new.minute <> old.minute or new.amount < old.amount then
    raise exception 'what was counted stays counted' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger attestation_day_sum_guarded before update on attestation_day_sum
  for each row execute function guard_attestation_day_sum();
create trigger attestation_day_sum_stays before delete or truncate on attestation_day_sum
  for each statement execute function refuse_attestation_change();
