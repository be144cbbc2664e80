-- Roles of a groundswell store on PostgreSQL, each with no more rights than its part needs. Connected to the store's database, as a
-- superuser or as its owner with CREATEROLE:
--
--     psql -d groundswell -f deploy/postgres/roles.sql
--
-- Run it once before the first start and again after every upgrade: it can be run any number of times, and passes over tables that are
-- not there yet. It makes no login and no password. Make those yourself, one for each process or person:
--
--     CREATE ROLE scorer LOGIN PASSWORD '...' IN ROLE groundswell_worker;
--     CREATE ROLE migrator LOGIN PASSWORD '...' IN ROLE groundswell_owner;
--     ALTER ROLE migrator SET role = groundswell_owner;  -- so that its tables belong to the owner
--
--     groundswell_owner    owns the tables and changes them: logs in for `groundswell doctor` after an upgrade and for `groundswell months`
--     groundswell_worker   `groundswell worker`
--     groundswell_desk     `groundswell desk`
--     groundswell_keeper   `groundswell run`, `backfill`, and whatever removes: every row, no table
--     groundswell_board    `groundswell board` without accounts, `series`, `search`, `alerts`, `explain`, a notebook: reads
--     groundswell_people   `groundswell board` with accounts, and whoever acknowledges or judges: adds what people do and say, changes none
--     groundswell_admin    the same board, where admins also look after accounts and dead letters on its pages
--     groundswell_crawler  `groundswell crawl`: says that records wait in its spool, and needs no store for anything else

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['groundswell_owner', 'groundswell_worker', 'groundswell_desk', 'groundswell_keeper', 'groundswell_board',
        'groundswell_people', 'groundswell_admin', 'groundswell_crawler'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
    -- Nobody comes in, makes a table or a temporary one by default.
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO groundswell_owner, groundswell_board', current_database());
    GRANT USAGE ON SCHEMA public TO groundswell_board;
    GRANT USAGE, CREATE ON SCHEMA public TO groundswell_owner;
    -- Every other part reads what the board reads.
    GRANT groundswell_board TO groundswell_worker, groundswell_desk, groundswell_keeper, groundswell_people;
    GRANT groundswell_people TO groundswell_admin;
    -- The crawler, which faces the world, sees what it has to say and nothing else.
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO groundswell_crawler', current_database());
    GRANT USAGE ON SCHEMA public TO groundswell_crawler;
END $$;

-- Tables of a store that was made before there were roles go to the owner.
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner <> 'groundswell_owner' LOOP
        EXECUTE format('ALTER TABLE public.%I OWNER TO groundswell_owner', name);
    END LOOP;
END $$;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO groundswell_board;
-- But not who has which password, and who did what: a worker has no business there.
DO $$
BEGIN
    IF to_regclass('public.people') IS NOT NULL THEN
        REVOKE ALL ON people, audit FROM groundswell_board;
    END IF;
    IF to_regclass('public.tokens') IS NOT NULL THEN
        REVOKE ALL ON tokens FROM groundswell_board;
    END IF;
END $$;
ALTER DEFAULT PRIVILEGES FOR ROLE groundswell_owner IN SCHEMA public GRANT SELECT ON TABLES TO groundswell_board;

-- What each part writes. UPDATE is there too where a row is locked or replaced; a row that is written once has only INSERT.
DO $$
DECLARE
    given record;
    name text;
BEGIN
    FOR given IN
        SELECT * FROM (VALUES
            ('groundswell_worker', 'INSERT', ARRAY[
                'documents', 'search', 'scores', 'admissions', 'drops', 'increments', 'stories', 'baselines', 'source_hours', 'exposures',
                'blind_spans', 'candidates', 'versions', 'in_force']),
            ('groundswell_worker', 'INSERT, UPDATE', ARRAY['runs', 'progress', 'heartbeats', 'taken', 'conditions']),
            ('groundswell_worker', 'INSERT, UPDATE, DELETE', ARRAY['suspects']),
            ('groundswell_desk', 'INSERT', ARRAY['decisions', 'alerts']),
            ('groundswell_desk', 'INSERT, UPDATE', ARRAY['incidents', 'outbox', 'progress', 'conditions', 'canaries', 'tallied', 'tallies', 'reach']),
            -- A press of a button in Slack comes to the desk.
            ('groundswell_desk', 'INSERT', ARRAY['actions', 'verdicts']),
            ('groundswell_people', 'SELECT', ARRAY['people']),
            ('groundswell_people', 'SELECT, INSERT', ARRAY['audit']),
            ('groundswell_people', 'INSERT, UPDATE', ARRAY['readers']),
            -- What is watched is changed on the board. The lock on a row asks for a right to change one column of it, the least of them.
            ('groundswell_people', 'INSERT', ARRAY['versions', 'in_force', 'rehearsals']),
            -- Somebody's programs: made and taken back, never changed into another.
            ('groundswell_people', 'SELECT, INSERT', ARRAY['tokens']),
            ('groundswell_people', 'UPDATE (revoked_ms)', ARRAY['tokens']),
            -- Only where an admin is to look after accounts and dead letters on the board itself.
            ('groundswell_admin', 'INSERT, UPDATE', ARRAY['people']),
            ('groundswell_admin', 'UPDATE', ARRAY['outbox']),
            ('groundswell_people', 'UPDATE (manifest, model_id)', ARRAY['runs']),
            ('groundswell_people', 'UPDATE (owner)', ARRAY['progress']),
            ('groundswell_keeper', 'SELECT', ARRAY['people', 'audit', 'tokens']),
            ('groundswell_keeper', 'INSERT', ARRAY['audit']),
            ('groundswell_people', 'INSERT', ARRAY['actions', 'verdicts', 'corrections', 'misses', 'stops']),
            ('groundswell_crawler', 'SELECT, INSERT, UPDATE', ARRAY['conditions']),
            ('groundswell_crawler', 'SELECT', ARRAY['alembic_version']),
            ('groundswell_keeper', 'INSERT, UPDATE, DELETE', ARRAY[
                'documents', 'search', 'scores', 'admissions', 'drops', 'increments', 'stories', 'baselines', 'source_hours', 'exposures',
                'blind_spans', 'candidates', 'versions', 'runs', 'fetched', 'progress', 'heartbeats', 'taken', 'suspects', 'conditions', 'removals',
                'decisions', 'alerts', 'incidents', 'outbox', 'drop_marks', 'in_force', 'canaries', 'dropped_months', 'dropped_counts', 'tallied', 'tallies', 'reach',
                'people', 'tokens', 'readers', 'rehearsals', 'actions', 'verdicts', 'corrections', 'misses', 'stops'])
        ) AS listed (role, rights, tables)
    LOOP
        FOREACH name IN ARRAY given.tables LOOP
            IF to_regclass('public.' || name) IS NOT NULL THEN
                EXECUTE format('GRANT %s ON public.%I TO %I', given.rights, name, given.role);
            END IF;
        END LOOP;
    END LOOP;
END $$;
