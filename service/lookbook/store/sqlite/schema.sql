CREATE TABLE IF NOT EXISTS predictions (
    key           BLOB PRIMARY KEY,  -- the id, see prediction.sort_key()
    file_name     TEXT NOT NULL,
    labels        TEXT NOT NULL,     -- the best three, a JSON array
    scores        TEXT NOT NULL,     -- the scores of these labels
    model_name    TEXT NOT NULL,
    model_version TEXT NOT NULL,
    expires       REAL               -- Unix time; NULL: never
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS predictions_expires ON predictions (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS thumbnails (
    key     BLOB PRIMARY KEY,
    picture BLOB NOT NULL,
    expires REAL
);
CREATE INDEX IF NOT EXISTS thumbnails_expires ON thumbnails (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS idempotency_keys (
    key     TEXT PRIMARY KEY,
    id      BLOB NOT NULL,
    digest  BLOB NOT NULL,
    expires REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS idempotency_keys_expires ON idempotency_keys (expires);
-- `key` is that of a prediction, except in comparisons and drift_references, which have keys of their own.
CREATE TABLE IF NOT EXISTS inputs (
    key     BLOB PRIMARY KEY,
    kind    TEXT NOT NULL,
    content BLOB NOT NULL,
    expires REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS inputs_expires ON inputs (expires);
CREATE TABLE IF NOT EXISTS samples (
    key           BLOB PRIMARY KEY,
    model_name    TEXT NOT NULL,
    model_version TEXT NOT NULL,
    day           INTEGER NOT NULL,  -- see prediction.day()
    u             REAL NOT NULL,     -- see prediction.permanent_random()
    rate          REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS samples_of_day ON samples (day, model_name, model_version, u, key);
CREATE TABLE IF NOT EXISTS judgments (
    key       BLOB NOT NULL,
    judgment  BLOB NOT NULL,  -- the key of its own id
    annotator TEXT NOT NULL,
    label     TEXT,           -- NULL: unclear
    withdraws BLOB,           -- the key of a judgment
    PRIMARY KEY (key, judgment)
) WITHOUT ROWID;
-- A row without scores and ids records when a sample of the day was deleted, or added later.
CREATE TABLE IF NOT EXISTS frames (
    model_name    TEXT NOT NULL,
    model_version TEXT NOT NULL,
    day           INTEGER NOT NULL,
    scores        BLOB,
    ids           BLOB,
    read_at       REAL NOT NULL,  -- Unix time
    expires       REAL,
    PRIMARY KEY (model_name, model_version, day)
);
CREATE INDEX IF NOT EXISTS frames_expires ON frames (expires) WHERE expires IS NOT NULL;
CREATE TABLE IF NOT EXISTS review_claims (
    key     BLOB PRIMARY KEY,
    owner   TEXT NOT NULL,
    expires REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS review_claims_expires ON review_claims (expires);
CREATE TABLE IF NOT EXISTS comparisons (
    key       BLOB PRIMARY KEY,
    baseline  TEXT NOT NULL,  -- name/version
    candidate TEXT NOT NULL,
    report    TEXT NOT NULL,
    expires   REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS comparisons_of_baseline ON comparisons (baseline, key);
CREATE INDEX IF NOT EXISTS comparisons_expires ON comparisons (expires);
CREATE TABLE IF NOT EXISTS flips (
    comparison      BLOB NOT NULL,
    u               REAL NOT NULL,
    key             BLOB NOT NULL,
    baseline_label  TEXT NOT NULL,
    candidate_label TEXT NOT NULL,
    candidate_score REAL NOT NULL,
    PRIMARY KEY (comparison, u, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS flips_of_prediction ON flips (key);
CREATE TABLE IF NOT EXISTS drift_references (
    model_name    TEXT NOT NULL,
    model_version TEXT NOT NULL,
    key           BLOB NOT NULL,
    annotator     TEXT NOT NULL,
    PRIMARY KEY (model_name, model_version, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
    name    TEXT PRIMARY KEY,
    tag     INTEGER NOT NULL,  -- see job.Job.tag
    started INTEGER NOT NULL,  -- microseconds since 1970
    bundle  TEXT NOT NULL,     -- its digest
    images  INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS jobs_of_tag ON jobs (tag);
-- Triggers, so that nothing stays behind when an older version, which does not know these tables, removes a prediction.
CREATE TRIGGER IF NOT EXISTS prediction_removed AFTER DELETE ON predictions BEGIN
    INSERT INTO frames (model_name, model_version, day, read_at, expires)
        SELECT model_name, model_version, day, now, now + 86400
        -- SQLite's clock has whole milliseconds.
        FROM samples, (SELECT (julianday('now') - 2440587.5) * 86400 + 0.002 AS now)
        WHERE key = OLD.key AND (OLD.expires IS NULL OR OLD.expires > now)
        ON CONFLICT DO UPDATE SET scores = NULL, ids = NULL, read_at = excluded.read_at, expires = excluded.expires;
    DELETE FROM inputs WHERE key = OLD.key;
    DELETE FROM samples WHERE key = OLD.key;
    DELETE FROM judgments WHERE key = OLD.key;
    DELETE FROM review_claims WHERE key = OLD.key;
    DELETE FROM flips WHERE key = OLD.key;
END;
CREATE TRIGGER IF NOT EXISTS comparison_removed AFTER DELETE ON comparisons BEGIN
    DELETE FROM flips WHERE comparison = OLD.key;
END;
