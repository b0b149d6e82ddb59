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
