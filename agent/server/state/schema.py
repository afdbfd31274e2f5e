"""The tables. A step is never changed: a new one is added, which brings older files on."""

_FIRST = """
CREATE TABLE responses (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    previous_id TEXT,
    conversation_id TEXT,
    container_id TEXT,
    run TEXT,
    body TEXT NOT NULL,
    input TEXT NOT NULL,
    history_sha256 TEXT,
    is_background INTEGER NOT NULL,
    events BLOB
) STRICT;
CREATE INDEX responses_of_owner ON responses (owner_id, number);
CREATE INDEX responses_by_age ON responses (created_at);
CREATE INDEX responses_of_run ON responses (run) WHERE run IS NOT NULL;
CREATE INDEX responses_unfinished ON responses (status) WHERE status IN ('in_progress', 'queued');
CREATE TABLE response_items (
    item_id TEXT NOT NULL,
    response_id TEXT NOT NULL REFERENCES responses (id) ON DELETE CASCADE,
    is_output INTEGER NOT NULL,
    PRIMARY KEY (item_id, response_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX items_of_response ON response_items (response_id);
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL,
    metadata TEXT NOT NULL
) STRICT;
CREATE TABLE conversation_items (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    item TEXT NOT NULL,
    UNIQUE (conversation_id, id)
) STRICT;
CREATE INDEX items_of_conversation ON conversation_items (conversation_id, number);
CREATE TABLE containers (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_active_at INTEGER NOT NULL,
    idle_minutes INTEGER NOT NULL,
    memory_limit TEXT,
    status TEXT NOT NULL,
    run TEXT,
    head_response TEXT
) STRICT;
CREATE INDEX containers_of_owner ON containers (owner_id, number);
CREATE INDEX containers_running ON containers (status) WHERE status = 'running';
CREATE INDEX containers_of_run ON containers (run) WHERE run IS NOT NULL;
CREATE TABLE contents (
    place TEXT PRIMARY KEY,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE container_files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    file_id TEXT,
    is_pending INTEGER NOT NULL,
    place TEXT,
    UNIQUE (container_id, path)
) STRICT;
CREATE INDEX files_of_container ON container_files (container_id, number);
CREATE INDEX container_files_at ON container_files (place) WHERE place IS NOT NULL;
CREATE TABLE files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner_id TEXT NOT NULL,
    filename TEXT NOT NULL,
    purpose TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    place TEXT NOT NULL
) STRICT;
CREATE INDEX files_of_owner ON files (owner_id, number);
CREATE INDEX files_at ON files (place);
CREATE TABLE keys (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL UNIQUE,
    sha256 TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    max_sessions INTEGER,
    requests_per_minute INTEGER,
    tokens_per_day INTEGER
) STRICT;
CREATE TABLE key_days (
    key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    day TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    PRIMARY KEY (key_id, day)
) STRICT, WITHOUT ROWID
"""

_REMOVED_FILES = """
CREATE TABLE removed_files (
    container_id TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    PRIMARY KEY (container_id, path)
) STRICT, WITHOUT ROWID
"""

STEPS = (_FIRST, _REMOVED_FILES)
"""Each step brings a file from one version to the next. The version of a file is how many steps it has behind it."""
