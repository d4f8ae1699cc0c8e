/** What the process ends with. */
export const EXIT = {
  ok: 0,
  /** The execution failed, faults were found, digests differ. */
  failed: 1,
  misuse: 2,
  notFound: 3,
  /** The server understood, and would not. */
  refused: 4,
  /** No connection, the server can't at the moment, or nowhere to write the answer: the same again may work. */
  unavailable: 5,
  /** Of up and provision: the broker, as it is, will not do; the message says what to change. */
  misconfigured: 78,
  /** By Ctrl-C, or the execution was cancelled. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_HELP = `
Exit codes
  0    ok; of run and watch: the execution completed
  1    the execution failed; verify found faults; rebuild failed, or the rows were not what the log says
  2    misuse of the command line
  3    not found, or deleted
  4    refused by the server
  5    unavailable: no connection, the server can't answer at the moment, or its answer can't be written
  78   of up and provision: the nats-server will not do as it is, or does not let this user in
  130  interrupted; of run and watch also: the execution was cancelled
`;
