-- The log. Triggers refuse what no part of this project does; a second program might.
CREATE TABLE entries (
  idx INTEGER PRIMARY KEY,
  data BLOB NOT NULL,
  leaf BLOB NOT NULL UNIQUE CHECK (length(leaf) = 32)
) STRICT;
CREATE TABLE checkpoints (
  size INTEGER PRIMARY KEY,
  note BLOB NOT NULL
) STRICT;

-- Caches of what a replay gives. Unique and non-negative here too, should the rules ever fail.
CREATE TABLE nullifiers (
  nullifier TEXT PRIMARY KEY,
  idx INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE balances (
  identity TEXT PRIMARY KEY,
  amount INTEGER NOT NULL CHECK (amount >= 0)
) STRICT, WITHOUT ROWID;

-- Digests of the state after some of the sizes; a replay must come to the same.
CREATE TABLE states (
  size INTEGER PRIMARY KEY,
  digest TEXT NOT NULL
) STRICT;

-- What this copy is: the last row counts, and without any it is the ledger itself.
CREATE TABLE standings (
  number INTEGER PRIMARY KEY,
  standing TEXT NOT NULL CHECK (standing IN ('live', 'copy', 'moved')),
  note TEXT NOT NULL CHECK ((note <> '') = (standing = 'moved'))
) STRICT;

-- Outside the log: what was not taken, and why. Of use to people only.
CREATE TABLE refusals (
  entry TEXT NOT NULL,
  code TEXT NOT NULL,
  signer TEXT NOT NULL,
  type TEXT NOT NULL,
  message TEXT NOT NULL,
  at TEXT NOT NULL,
  digest TEXT NOT NULL,
  PRIMARY KEY (entry, code)
) STRICT;

CREATE TRIGGER entries_contiguous BEFORE INSERT ON entries
WHEN NEW.idx <> (SELECT coalesce(max(idx) + 1, 0) FROM entries)
BEGIN SELECT raise(ABORT, 'entries are appended, in order'); END;
CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT raise(ABORT, 'entries are append-only'); END;
CREATE TRIGGER checkpoints_growing BEFORE INSERT ON checkpoints
WHEN NEW.size <= (SELECT coalesce(max(size), 0) FROM checkpoints)
BEGIN SELECT raise(ABORT, 'one checkpoint per size, and sizes grow'); END;
CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
BEGIN SELECT raise(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
BEGIN SELECT raise(ABORT, 'checkpoints are append-only'); END;
CREATE TRIGGER nullifiers_no_update BEFORE UPDATE ON nullifiers
BEGIN SELECT raise(ABORT, 'nullifiers are append-only'); END;
CREATE TRIGGER nullifiers_no_delete BEFORE DELETE ON nullifiers
BEGIN SELECT raise(ABORT, 'nullifiers are append-only'); END;
CREATE TRIGGER states_no_update BEFORE UPDATE ON states
BEGIN SELECT raise(ABORT, 'states are append-only'); END;
CREATE TRIGGER states_no_delete BEFORE DELETE ON states
BEGIN SELECT raise(ABORT, 'states are append-only'); END;
CREATE TRIGGER standings_no_update BEFORE UPDATE ON standings
BEGIN SELECT raise(ABORT, 'standings are append-only'); END;
CREATE TRIGGER standings_no_delete BEFORE DELETE ON standings
BEGIN SELECT raise(ABORT, 'standings are append-only'); END;
CREATE TRIGGER standings_moved_is_final BEFORE INSERT ON standings
WHEN EXISTS (SELECT 1 FROM standings WHERE standing = 'moved')
BEGIN SELECT raise(ABORT, 'the ledger was moved'); END;
CREATE TRIGGER entries_only_if_live BEFORE INSERT ON entries
WHEN (SELECT standing FROM standings ORDER BY number DESC LIMIT 1) <> 'live'
BEGIN SELECT raise(ABORT, 'this copy of the ledger does not go on'); END;
