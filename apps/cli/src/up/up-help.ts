export const UP_HELP = `
Environment
  NATS_URL              use the NATS servers there and start none; the RUNLEDGER_NATS_ settings of the README say as whom
  RUNLEDGER_NATS_PORT   port of the nats-server started here (4222); 0 is any free one
  RUNLEDGER_HOST        address that the API listens on (127.0.0.1)
  RUNLEDGER_PORT        port of the API (8080)
  RUNLEDGER_HOME        folder of state and logs (.runledger)
  RUNLEDGER_LOG         verbose: show everything the processes log
  RUNLEDGER_STOP_MS     how long an app may take to stop, in milliseconds (RUNLEDGER_GRACE_MS + 10000)
`;
