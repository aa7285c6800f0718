-- +goose Up
-- What Stripe's objects are now, per connection. Every row is the join of all that was
-- observed of its object, and the same for every order of the same observations: the
-- said_ columns are the stamp of the version that counts, extra holds what the columns
-- cannot (other versions of one second, fields that an older version knew), same is a
-- fingerprint of the row. simple: a newer version may replace the row without looking
-- into it. Rows are updated in place, so indexes name only what does not change.

CREATE TABLE stripe_customers (
    connection_id      text NOT NULL,
    id                 text NOT NULL,
    currency           text NOT NULL,
    country            text NOT NULL, -- ISO 3166-1 alpha-2, or empty
    created_at         timestamptz,
    balance_minor      bigint,
    delinquent         boolean NOT NULL,
    has_payment_method boolean NOT NULL,
    payment_method     text NOT NULL, -- its type, where it is known
    cash_balance       json,          -- minor units by currency
    deleted_at         timestamptz,
    undecided          boolean NOT NULL,
    said_rank          smallint NOT NULL,
    said_at            bigint NOT NULL,
    said_later         boolean NOT NULL,
    replaced           bigint NOT NULL,
    read_at            bigint NOT NULL,
    knows              smallint NOT NULL,
    same               bigint NOT NULL,
    simple             boolean NOT NULL,
    extra              json,
    PRIMARY KEY (connection_id, id)
) WITH (fillfactor = 85);
CREATE INDEX stripe_customers_newest ON stripe_customers (connection_id, (coalesce(created_at, 'epoch')) DESC, id DESC);

CREATE TABLE stripe_subscriptions (
    connection_id      text NOT NULL,
    id                 text NOT NULL,
    customer_id        text NOT NULL,
    status             text NOT NULL,
    currency           text NOT NULL,
    created_at         timestamptz,
    started_at         timestamptz,
    trial_start        timestamptz,
    trial_end          timestamptz,
    trial_end_action   text NOT NULL,
    term_start         timestamptz,
    term_end           timestamptz,
    cancel_at          timestamptz,
    cancel_at_term_end boolean NOT NULL,
    canceled_at        timestamptz,
    cancel_reason      text NOT NULL,
    ended_at           timestamptz,
    collection_method  text NOT NULL,
    collection_paused  text NOT NULL,
    days_until_due     bigint,
    next_pending_at    timestamptz,
    latest_invoice_id  text NOT NULL,
    has_payment_method boolean NOT NULL,
    payment_method     text NOT NULL,
    price_ids          text[] NOT NULL,
    product_ids        text[] NOT NULL,
    items              json NOT NULL,
    discounts          json NOT NULL,
    mrr_minor          numeric, -- per month by list prices; null is unknown
    net_mrr_minor      numeric, -- after lasting discounts
    list_mrr_minor     numeric, -- what it would bring if it were paying
    timeline           json NOT NULL,
    points             smallint NOT NULL, -- status changes that events told
    stands             text NOT NULL,     -- the last status of the timeline,
    since              bigint NOT NULL,   -- and since which second
    deleted_at         timestamptz,
    undecided          boolean NOT NULL,
    said_rank          smallint NOT NULL,
    said_at            bigint NOT NULL,
    said_later         boolean NOT NULL,
    replaced           bigint NOT NULL,
    read_at            bigint NOT NULL,
    knows              smallint NOT NULL,
    same               bigint NOT NULL,
    simple             boolean NOT NULL,
    extra              json,
    PRIMARY KEY (connection_id, id)
) WITH (fillfactor = 80);
CREATE INDEX stripe_subscriptions_customer ON stripe_subscriptions (connection_id, customer_id);

CREATE TABLE stripe_invoices (
    connection_id             text NOT NULL,
    id                        text NOT NULL,
    customer_id               text NOT NULL,
    subscription_id           text NOT NULL,
    charge_id                 text NOT NULL,
    number                    text NOT NULL,
    status                    text NOT NULL,
    currency                  text NOT NULL,
    billing_reason            text NOT NULL,
    collection_method         text NOT NULL,
    created_at                timestamptz,
    period_start              timestamptz,
    period_end                timestamptz,
    due_at                    timestamptz,
    next_attempt_at           timestamptz,
    finalized_at              timestamptz,
    paid_at                   timestamptz,
    voided_at                 timestamptz,
    uncollectible_at          timestamptz,
    total_minor               bigint,
    subtotal_minor            bigint,
    total_excluding_tax_minor bigint,
    amount_due_minor          bigint,
    amount_paid_minor         bigint,
    amount_remaining_minor    bigint,
    out_of_band_minor         bigint NOT NULL,
    attempts                  bigint NOT NULL,
    paid                      boolean NOT NULL,
    own                       boolean NOT NULL, -- an outcome invoice of ours
    deleted_at                timestamptz,
    undecided                 boolean NOT NULL,
    said_rank                 smallint NOT NULL,
    said_at                   bigint NOT NULL,
    said_later                boolean NOT NULL,
    replaced                  bigint NOT NULL,
    read_at                   bigint NOT NULL,
    knows                     smallint NOT NULL,
    same                      bigint NOT NULL,
    simple                    boolean NOT NULL,
    extra                     json,
    PRIMARY KEY (connection_id, id)
) WITH (fillfactor = 80);
CREATE INDEX stripe_invoices_customer ON stripe_invoices (connection_id, customer_id);

CREATE TABLE stripe_charges (
    connection_id         text NOT NULL,
    id                    text NOT NULL,
    customer_id           text NOT NULL,
    invoice_id            text NOT NULL,
    status                text NOT NULL,
    currency              text NOT NULL,
    description           text NOT NULL, -- cleaned of addresses and numbers of persons
    failure_code          text NOT NULL,
    payment_method        text NOT NULL,
    created_at            timestamptz,
    amount_minor          bigint,
    amount_refunded_minor bigint,
    refunded              boolean NOT NULL,
    disputed              boolean NOT NULL,
    deleted_at            timestamptz,
    undecided             boolean NOT NULL,
    said_rank             smallint NOT NULL,
    said_at               bigint NOT NULL,
    said_later            boolean NOT NULL,
    replaced              bigint NOT NULL,
    read_at               bigint NOT NULL,
    knows                 smallint NOT NULL,
    same                  bigint NOT NULL,
    simple                boolean NOT NULL,
    extra                 json,
    PRIMARY KEY (connection_id, id)
) WITH (fillfactor = 85);
CREATE INDEX stripe_charges_customer ON stripe_charges (connection_id, customer_id);

CREATE TABLE stripe_disputes (
    connection_id   text NOT NULL,
    id              text NOT NULL,
    charge_id       text NOT NULL,
    status          text NOT NULL,
    reason          text NOT NULL,
    currency        text NOT NULL,
    created_at      timestamptz,
    evidence_due_at timestamptz,
    amount_minor    bigint,
    deleted_at      timestamptz,
    undecided       boolean NOT NULL,
    said_rank       smallint NOT NULL,
    said_at         bigint NOT NULL,
    said_later      boolean NOT NULL,
    replaced        bigint NOT NULL,
    read_at         bigint NOT NULL,
    knows           smallint NOT NULL,
    same            bigint NOT NULL,
    simple          boolean NOT NULL,
    extra           json,
    PRIMARY KEY (connection_id, id)
) WITH (fillfactor = 85);
CREATE INDEX stripe_disputes_charge ON stripe_disputes (connection_id, charge_id);

CREATE TABLE stripe_products (
    connection_id text NOT NULL,
    id            text NOT NULL,
    name          text NOT NULL,
    active        boolean NOT NULL,
    deleted_at    timestamptz,
    undecided     boolean NOT NULL,
    said_rank     smallint NOT NULL,
    said_at       bigint NOT NULL,
    said_later    boolean NOT NULL,
    replaced      bigint NOT NULL,
    read_at       bigint NOT NULL,
    knows         smallint NOT NULL,
    same          bigint NOT NULL,
    simple        boolean NOT NULL,
    extra         json,
    PRIMARY KEY (connection_id, id)
) WITH (fillfactor = 85);

-- What was learnt by reading and not by events: stored events do not repeat it, so that
-- a rebuild starts from here. One state per object, the join of all its reads.
CREATE TABLE stripe_object_reads (
    connection_id text NOT NULL,
    object        text NOT NULL,
    id            text NOT NULL,
    state         json NOT NULL,
    PRIMARY KEY (connection_id, object, id)
);

-- +goose Down
DROP TABLE stripe_object_reads, stripe_products, stripe_disputes, stripe_charges, stripe_invoices, stripe_subscriptions, stripe_customers;
