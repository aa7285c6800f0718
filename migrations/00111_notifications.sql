-- +goose Up
-- What people of a role are told, under its natural key. A notice is settled when nobody
-- needs to act on it any more, and opened again, as another episode, when it holds again.
CREATE TABLE notifications (
    id          text PRIMARY KEY, -- kind|object|deadline or occasion|role
    kind        text NOT NULL CHECK (kind IN ('approval_waiting', 'first_invoice', 'approval_reminder', 'approval_expiring', 'approval_expired',
        'cycle_returned', 'cycle_blocked', 'cycle_needs_human', 'break_blocks_close')),
    environment text NOT NULL,
    account_id  text NOT NULL,
    period      text NOT NULL,
    cycle_id    text,
    role        text NOT NULL CHECK (role IN ('finance', 'approver')),
    title       text NOT NULL CHECK (title <> ''),
    detail      text NOT NULL,
    next_action text NOT NULL,
    path        text NOT NULL CHECK (path LIKE '/%'),
    due_at      timestamptz,
    episode     integer NOT NULL DEFAULT 1 CHECK (episode > 0),
    opened_at   timestamptz NOT NULL,
    settled_at  timestamptz,
    FOREIGN KEY (account_id, environment) REFERENCES accounts (id, environment),
    FOREIGN KEY (cycle_id, environment) REFERENCES cycles (id, environment),
    CHECK ((cycle_id IS NULL) = (kind = 'break_blocks_close'))
);
CREATE INDEX notifications_newest ON notifications (opened_at DESC, id DESC);
CREATE INDEX notifications_open ON notifications (opened_at, id) WHERE settled_at IS NULL;

-- How an episode got through a channel. next_at is when it is tried again, or until when
-- somebody is trying.
CREATE TABLE notification_deliveries (
    notification_id text NOT NULL REFERENCES notifications (id),
    episode         integer NOT NULL,
    channel         text NOT NULL CHECK (channel IN ('webhook', 'mail')),
    attempts        integer NOT NULL DEFAULT 0,
    next_at         timestamptz NOT NULL,
    delivered_at    timestamptz,
    error           text NOT NULL DEFAULT '',
    PRIMARY KEY (notification_id, episode, channel)
);

-- +goose Down
DROP TABLE notification_deliveries, notifications;
