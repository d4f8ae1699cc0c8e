export const statusSchema = `
CREATE TABLE executions (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, name TEXT NOT NULL, status TEXT NOT NULL, dialect TEXT NOT NULL,
  labels TEXT NOT NULL, input TEXT NOT NULL, requested_at TEXT NOT NULL, started_at TEXT, ended_at TEXT,
  tasks_total INTEGER NOT NULL, tasks_ended INTEGER NOT NULL DEFAULT 0, tasks_failed INTEGER NOT NULL DEFAULT 0,
  version INTEGER NOT NULL DEFAULT 0, sequence INTEGER NOT NULL DEFAULT 0, head TEXT NOT NULL, result TEXT, reason TEXT, cancel TEXT,
  origin TEXT, origin_execution TEXT, parent TEXT, parent_execution TEXT,
  PRIMARY KEY (tenant, execution)) WITHOUT ROWID;
CREATE INDEX executions_by_time ON executions (tenant, requested_at, execution);
CREATE INDEX executions_by_status ON executions (tenant, status, requested_at, execution);
CREATE INDEX executions_by_origin ON executions (tenant, origin_execution, requested_at, execution) WHERE origin_execution IS NOT NULL;
CREATE INDEX executions_by_parent ON executions (tenant, parent_execution, requested_at, execution) WHERE parent_execution IS NOT NULL;
CREATE INDEX executions_by_end ON executions (tenant, ended_at, execution) WHERE ended_at IS NOT NULL;
CREATE TABLE deleted (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, version INTEGER NOT NULL, sequence INTEGER NOT NULL, head TEXT NOT NULL,
  PRIMARY KEY (tenant, execution)) WITHOUT ROWID;
CREATE TABLE labels (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (tenant, key, value, execution)) WITHOUT ROWID;
CREATE TABLE tasks (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL, runner TEXT NOT NULL,
  depends_on TEXT NOT NULL, status TEXT NOT NULL, attempt INTEGER NOT NULL, started_at TEXT, ended_at TEXT, retry_at TEXT,
  result TEXT, error TEXT, waits_for TEXT, sub_execution TEXT, why TEXT, carried_from TEXT, parent TEXT, item TEXT, progress TEXT,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
CREATE TABLE steps (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, task TEXT NOT NULL, number INTEGER NOT NULL,
  name TEXT NOT NULL, status TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, error TEXT, metadata TEXT NOT NULL,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
CREATE TABLE clarifications (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, task TEXT NOT NULL, attempt INTEGER NOT NULL, title TEXT NOT NULL,
  description TEXT, approvers TEXT NOT NULL, required INTEGER NOT NULL, delegable INTEGER NOT NULL, status TEXT NOT NULL,
  requested_at TEXT NOT NULL, expires_at TEXT, on_expiry TEXT NOT NULL, ended_at TEXT,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
CREATE INDEX clarifications_by_status ON clarifications (tenant, status, requested_at, execution, id);
CREATE TABLE metadata (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
CREATE TABLE answers (
  tenant TEXT NOT NULL, execution TEXT NOT NULL, id TEXT NOT NULL, clarification TEXT NOT NULL, by_actor TEXT NOT NULL,
  decision TEXT, reason TEXT, to_actor TEXT, at TEXT NOT NULL,
  PRIMARY KEY (tenant, execution, id)) WITHOUT ROWID;
`;
