-- +goose Up
ALTER TABLE cycles
    DROP CONSTRAINT cycles_state_check,
    ADD CONSTRAINT cycles_state_check CHECK (state IN ('collecting', 'computing', 'proposed', 'writing', 'invoiced', 'withheld', 'dry_run', 'blocked',
        'needs_human', 'awaiting_approval', 'approved', 'held', 'returned', 'expired', 'skipped')),
    ADD CONSTRAINT cycles_approval_live CHECK (environment = 'live' OR state NOT IN ('awaiting_approval', 'approved', 'held', 'returned', 'expired', 'skipped')),
    ADD COLUMN waiting_since timestamptz, -- since when the present wait for a decision lasts
    ADD COLUMN waiting_until timestamptz, -- when the contract's terms decide
    ADD COLUMN reminders integer NOT NULL DEFAULT 0; -- how often people were reminded in this wait

-- What was decided about a cycle's invoice before it was written, by whom, and for which
-- plan exactly. The terms decide too: then the actor is a policy.
CREATE TABLE cycle_decisions (
    id          text PRIMARY KEY,
    cycle_id    text NOT NULL,
    number      integer NOT NULL CHECK (number > 0),
    environment text NOT NULL,
    plan_hash   text NOT NULL,
    total_minor bigint NOT NULL,
    action      text NOT NULL CHECK (action IN ('approve', 'hold', 'release', 'return', 'skip', 'expire')),
    actor_kind  text NOT NULL CHECK (actor_kind IN ('user', 'token', 'cli', 'system')),
    actor_id    text NOT NULL CHECK (actor_id <> ''),
    actor_name  text NOT NULL,
    person      text NOT NULL,
    reason      text NOT NULL,
    at          timestamptz NOT NULL,
    UNIQUE (cycle_id, number),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment),
    -- A person who signed in approves, or the terms do.
    CHECK (action <> 'approve' OR person <> '' OR (actor_kind = 'system' AND actor_id LIKE 'policy:%')),
    CHECK (action NOT IN ('hold', 'return', 'skip') OR reason <> '')
);
CREATE TRIGGER cycle_decisions_append_only BEFORE UPDATE OR DELETE ON cycle_decisions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER cycle_decisions_no_truncate BEFORE TRUNCATE ON cycle_decisions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- No invoice is begun for a plan that nobody approved: the last decision about the cycle
-- must be the approval of this very plan.
-- +goose StatementBegin
CREATE FUNCTION refuse_unapproved_intent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'planned' AND NOT coalesce((SELECT d.action = 'approve' AND d.plan_hash = NEW.plan_hash
            FROM cycle_decisions d WHERE d.cycle_id = NEW.cycle_id ORDER BY d.number DESC LIMIT 1), false) THEN
        RAISE EXCEPTION 'nobody approved this plan of cycle %', NEW.cycle_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
-- Before there were approvals the contracts released what was begun.
INSERT INTO cycle_decisions (id, cycle_id, number, environment, plan_hash, total_minor, action, actor_kind, actor_id, actor_name, person, reason, at)
    SELECT cycle_id || '/1', cycle_id, 1, environment, plan_hash, total_minor, 'approve', 'system', 'policy:contract', 'policy:contract', '', '', created_at
    FROM writeback_intents WHERE state <> 'superseded';
CREATE TRIGGER writeback_intents_approved AFTER INSERT ON writeback_intents FOR EACH ROW EXECUTE FUNCTION refuse_unapproved_intent();
CREATE TRIGGER writeback_intents_approved_again AFTER UPDATE OF plan_hash ON writeback_intents FOR EACH ROW EXECUTE FUNCTION refuse_unapproved_intent();

-- +goose Down
DROP TRIGGER writeback_intents_approved_again ON writeback_intents;
DROP TRIGGER writeback_intents_approved ON writeback_intents;
DROP FUNCTION refuse_unapproved_intent();
DROP TABLE cycle_decisions;
ALTER TABLE cycles DROP COLUMN reminders, DROP COLUMN waiting_until, DROP COLUMN waiting_since, DROP CONSTRAINT cycles_approval_live, DROP CONSTRAINT cycles_state_check,
    ADD CONSTRAINT cycles_state_check CHECK (state IN ('collecting', 'computing', 'proposed', 'writing', 'invoiced', 'withheld', 'dry_run', 'blocked', 'needs_human'));
