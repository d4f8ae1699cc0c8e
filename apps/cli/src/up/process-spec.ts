/** A process to keep running, as data. */
export type ProcessSpec = {
  /** Names its log and pid files. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** On top of the supervisor's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** ipc: it sends { type: 'ready', … }. natsPort: a NATS server with JetStream answers there. */
  readonly readiness: 'ipc' | { readonly natsPort: number };
  /** How long it may take to stop after TERM; then it is killed. */
  readonly stopMs: number;
};

/** What a process said about itself when it got ready. */
export type ReadyDetails = Readonly<Record<string, unknown>>;
