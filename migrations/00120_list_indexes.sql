-- +goose Up
-- What the lists of the pages and of the API are read by (docs/benchmarks.md shows their
-- plans). Every order ends with what is unique, so that a page begins where the one before
-- ended. An index on events or facts costs at every event, and eight of them cost the endpoint its
-- lead: there is none of these.
CREATE INDEX event_processing_attention_newest ON event_processing (created DESC, connection_id DESC, event_id DESC) WHERE status IN ('dead', 'quarantined');

CREATE INDEX reward_events_charge ON reward_events (connection_id, charge_id) WHERE customer_id = '' AND charge_id <> '';
CREATE INDEX charge_owners_customer ON charge_owners (connection_id, customer_id);

DROP INDEX cycles_period;
CREATE INDEX cycles_newest ON cycles (period DESC, id DESC);
CREATE INDEX cycles_updated ON cycles (updated_at DESC, id DESC);
CREATE INDEX cycles_by_account ON cycles (account_id DESC, id DESC);
CREATE INDEX cycles_by_state ON cycles (state DESC, id DESC);
CREATE INDEX cycles_state_newest ON cycles (state, period DESC, id DESC);

CREATE INDEX writeback_intents_newest ON writeback_intents (period DESC, cycle_id DESC) WHERE state <> 'superseded';
CREATE INDEX writeback_intents_amount ON writeback_intents (total_minor DESC, cycle_id DESC) WHERE state <> 'superseded';
CREATE INDEX writeback_intents_number ON writeback_intents (number DESC, cycle_id DESC) WHERE state <> 'superseded';
CREATE INDEX writeback_intents_finalized ON writeback_intents ((coalesce(finalized_at, 'epoch')) DESC, cycle_id DESC) WHERE state <> 'superseded';
CREATE INDEX writeback_intents_account ON writeback_intents (account_id, period DESC, cycle_id DESC) WHERE state <> 'superseded';
CREATE INDEX writeback_intents_customer ON writeback_intents (customer) WHERE state <> 'superseded';

CREATE INDEX policy_snapshots_newest ON policy_snapshots (shipped_at DESC, (account_id || '~' || id) DESC);

CREATE INDEX audit_log_action ON audit_log (action, at DESC, chain DESC, seq DESC);
CREATE INDEX audit_log_refused ON audit_log (at DESC, chain DESC, seq DESC) WHERE outcome = 'refused';

CREATE INDEX recon_breaks_state ON recon_breaks (state, first_seen DESC, id DESC);
CREATE INDEX recon_breaks_account ON recon_breaks (account_id, first_seen DESC, id DESC);

-- +goose Down
DROP INDEX recon_breaks_account, recon_breaks_state, audit_log_refused, audit_log_action, policy_snapshots_newest, writeback_intents_customer, writeback_intents_account,
    writeback_intents_finalized, writeback_intents_number, writeback_intents_amount, writeback_intents_newest, cycles_state_newest, cycles_by_state, cycles_by_account,
    cycles_updated, cycles_newest, charge_owners_customer, reward_events_charge,
    event_processing_attention_newest;
CREATE INDEX cycles_period ON cycles (period DESC, id);
