-- The approvals that an intent had when its evidence was stored, and what passed without any.
-- compatible-from: 0005-ledger-identity.sql

-- 1 to 16 approvals of 102 bytes, all big-endian: decision u8 (1 APPROVE, 2 REJECT), issue time i64 and expire time i64 (Unix
-- seconds), approver 20 bytes, signature 65 bytes. Null: none.
alter table evidence add column approvals bytea
  check (length(approvals) between 102 and 1632 and length(approvals) % 102 = 0);

-- What was stored without its approvals under a rule of the policy, in one asset and one minute: the sums that no stolen key
-- gets past. Counted in the transaction that stores the evidence, under a lock.
create table clearing_day_sum (
  -- The rule's name, a slash, and the ledger's number.
  key text not null check (key ~ '^[A-Z][A-Z0-9_]{0,63}/[1-9][0-9]{0,9}$'),
  -- Minutes since 1970.
  minute bigint not null,
  -- Minor units.
  amount numeric(60) not null check (amount > 0),
  primary key (key, minute)
);

-- Sums only grow, whoever asks.
create function guard_clearing_day_sum() returns trigger language plpgsql as $$
begin
  if new.key <> old.key or new.minute <> old.minute or new.amount < old.amount then
    raise exception 'what was counted stays counted' using errcode = 'insufficient_privilege';
  end if;
  return new;
end $$;
create trigger clearing_day_sum_guarded before update on clearing_day_sum
  for each row execute function guard_clearing_day_sum();
create trigger clearing_day_sum_stays before delete or truncate on clearing_day_sum
  for each statement execute function refuse_change();
