-- +goose Up
-- What came after the settlement of a contract year: one row for every look at the settled
-- year, by the cycle that took it, with the facts that it took up, the readouts that the
-- sealed plan gives with them, and what is due of it by month, line and cause.
CREATE TABLE true_ups (
    id               text PRIMARY KEY,
    account_id       text NOT NULL,
    environment      text NOT NULL,
    settlement_cycle text NOT NULL REFERENCES cycles (id),
    booking_cycle    text NOT NULL REFERENCES cycles (id),
    number           integer NOT NULL CHECK (number >= 1), -- of the year's looks
    watermark        timestamptz NOT NULL,
    state            text NOT NULL CHECK (state IN ('booked', 'nothing_new', 'not_measured', 'proposed')),
    reason           text NOT NULL DEFAULT '',
    fees_settled     bigint NOT NULL, -- what the settlement comes to, in fees that a measurement can move
    fees_measured    bigint NOT NULL, -- the same with everything that came since
    booked_before    bigint NOT NULL,
    due_minor        bigint NOT NULL,
    recorded_at      timestamptz NOT NULL,
    UNIQUE (settlement_cycle, number),
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment)
);

-- A cycle looks once; a person, where no cycle follows, as often as there is something new.
CREATE UNIQUE INDEX true_ups_one_per_cycle ON true_ups (settlement_cycle, booking_cycle) WHERE booking_cycle <> settlement_cycle;

CREATE TABLE true_up_facts (
    true_up_id   text NOT NULL REFERENCES true_ups (id),
    fact_key     text NOT NULL,
    unit_id      text NOT NULL,
    snapshot_id  text NOT NULL,
    cause        text NOT NULL CHECK (cause IN ('refund', 'dispute', 'late_event')),
    origin       text NOT NULL CHECK (origin ~ '^\d{4}-\d{2}(-settlement)?$'),
    happened_at  timestamptz NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0), -- what it changes; negative once more when it went to a later year
    PRIMARY KEY (true_up_id, fact_key)
);
CREATE INDEX true_up_facts_key ON true_up_facts (fact_key);

CREATE TABLE true_up_readouts (
    true_up_id  text NOT NULL REFERENCES true_ups (id),
    snapshot_id text NOT NULL,
    case_id     text NOT NULL,
    manifest    text NOT NULL,
    PRIMARY KEY (true_up_id, snapshot_id)
);

CREATE TABLE true_up_lines (
    true_up_id    text NOT NULL REFERENCES true_ups (id),
    origin_cycle  text NOT NULL REFERENCES cycles (id),
    snapshot_id   text NOT NULL,
    cause         text NOT NULL CHECK (cause IN ('refund', 'dispute', 'late_event')),
    facts         integer NOT NULL CHECK (facts >= 0), -- 0 where a line gives back what another one's facts undid
    happened_at   timestamptz NOT NULL,
    revenue_minor bigint NOT NULL,
    lift_minor    bigint NOT NULL,
    amount_minor  bigint NOT NULL,
    adjustment_id text NOT NULL DEFAULT '',
    PRIMARY KEY (true_up_id, origin_cycle, snapshot_id, cause)
);
CREATE UNIQUE INDEX true_up_lines_adjustment ON true_up_lines (adjustment_id) WHERE adjustment_id <> '';

-- What a fact has changed so far is all of it or nothing, whatever two workers do: they
-- hold the account's row.
-- +goose StatementBegin
CREATE FUNCTION check_true_up_fact() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    whole bigint;
    taken numeric;
BEGIN
    SELECT coalesce(sum(f.amount_minor), 0) INTO taken FROM true_up_facts f JOIN true_ups t ON t.id = f.true_up_id
        WHERE f.fact_key = NEW.fact_key AND t.settlement_cycle = (SELECT settlement_cycle FROM true_ups WHERE id = NEW.true_up_id);
    SELECT r.amount_minor INTO whole FROM true_ups t JOIN accounts a ON a.id = t.account_id
        JOIN reward_events r ON r.connection_id = a.source_connection AND r.fact_key = NEW.fact_key WHERE t.id = NEW.true_up_id LIMIT 1;
    IF whole IS NULL OR (taken <> 0 AND taken <> whole) THEN
        RAISE EXCEPTION 'fact % of % is trued up with %', NEW.fact_key, whole, taken
            USING ERRCODE = 'check_violation', CONSTRAINT = 'true_up_facts_once', TABLE = 'true_up_facts';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER true_up_facts_once AFTER INSERT ON true_up_facts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_true_up_fact();

-- The lines of a look sum to what is due, and each line with an amount has its adjustment,
-- unless a person is to credit it because no cycle follows.
-- +goose StatementBegin
CREATE FUNCTION check_true_up_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    total numeric;
    wrong bigint;
BEGIN
    SELECT coalesce(sum(l.amount_minor), 0), count(*) FILTER (WHERE coalesce(a.amount_minor, 0) <> CASE WHEN NEW.state = 'proposed' THEN 0 ELSE l.amount_minor END)
        INTO total, wrong FROM true_up_lines l LEFT JOIN adjustments a ON a.id = l.adjustment_id WHERE l.true_up_id = NEW.id;
    IF total <> NEW.due_minor OR wrong > 0 THEN
        RAISE EXCEPTION 'the lines of true-up % sum to %, due is %', NEW.id, total, NEW.due_minor
            USING ERRCODE = 'check_violation', CONSTRAINT = 'true_ups_sum', TABLE = 'true_ups';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE CONSTRAINT TRIGGER true_ups_sum AFTER INSERT ON true_ups DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_true_up_sum();

CREATE TRIGGER true_ups_append_only BEFORE UPDATE OR DELETE ON true_ups FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER true_ups_no_truncate BEFORE TRUNCATE ON true_ups FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER true_up_facts_append_only BEFORE UPDATE OR DELETE ON true_up_facts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER true_up_facts_no_truncate BEFORE TRUNCATE ON true_up_facts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER true_up_readouts_append_only BEFORE UPDATE OR DELETE ON true_up_readouts FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER true_up_readouts_no_truncate BEFORE TRUNCATE ON true_up_readouts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER true_up_lines_append_only BEFORE UPDATE OR DELETE ON true_up_lines FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER true_up_lines_no_truncate BEFORE TRUNCATE ON true_up_lines FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- +goose Down
DROP TABLE true_up_lines, true_up_readouts, true_up_facts, true_ups;
DROP FUNCTION check_true_up_sum();
DROP FUNCTION check_true_up_fact();
