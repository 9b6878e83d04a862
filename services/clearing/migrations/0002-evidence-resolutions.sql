-- What posted or voided a pending intent: EventStream asks when it starts among open reservations.
create index evidence_pending_intent on evidence (pending_intent_id) where pending_intent_id is not null;
