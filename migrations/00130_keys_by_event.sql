-- +goose Up
-- Every connection's events are found by their ID, and a connection is the same for most of
-- them: a key that begins with it compares it at every step down, twice for each event.
ALTER TABLE event_processing DROP CONSTRAINT event_processing_connection_id_event_id_created_key;
ALTER TABLE event_processing ADD UNIQUE (event_id, connection_id, created);
ALTER TABLE fact_keys DROP CONSTRAINT fact_keys_pkey;
ALTER TABLE fact_keys ADD PRIMARY KEY (fact_key, connection_id);

-- +goose Down
ALTER TABLE fact_keys DROP CONSTRAINT fact_keys_pkey;
ALTER TABLE fact_keys ADD PRIMARY KEY (connection_id, fact_key);
ALTER TABLE event_processing DROP CONSTRAINT event_processing_event_id_connection_id_created_key;
ALTER TABLE event_processing ADD UNIQUE (connection_id, event_id, created);
