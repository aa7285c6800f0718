-- +goose Up
-- Asked again, whoever writes: a month is not opened again by who closed it.
-- +goose StatementBegin
CREATE FUNCTION refuse_own_reopening() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.action = 'reopened' AND EXISTS (SELECT 1 FROM (SELECT actor, person FROM month_closes WHERE account_id = NEW.account_id AND period = NEW.period ORDER BY seq DESC LIMIT 1) l
            WHERE l.actor = NEW.actor OR (l.person <> '' AND l.person = NEW.person)) THEN
        RAISE EXCEPTION '% of account % is not opened again by who closed it', NEW.period, NEW.account_id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER month_closes_two BEFORE INSERT ON month_closes FOR EACH ROW EXECUTE FUNCTION refuse_own_reopening();

-- +goose Down
DROP TRIGGER month_closes_two ON month_closes;
DROP FUNCTION refuse_own_reopening();
