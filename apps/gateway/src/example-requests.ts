/** Each runs as it stands, on any machine with a shell. */
export const exampleRequests = {
  hello: {
    plan: {
      name: 'hello',
      tasks: [
        { id: 'greet', runner: 'command', input: { argv: ['echo', 'hello'] } },
        { id: 'done', runner: 'noop', dependsOn: ['greet'] },
      ],
    },
    labels: { team: 'docs' },
  },
  diamond: {
    plan: {
      name: 'diamond',
      concurrency: 2,
      timeoutMs: 60_000,
      tasks: [
        { id: 'prepare', runner: 'command', input: { argv: ['date', '-u'] } },
        { id: 'left', runner: 'command', input: { argv: ['sleep', '0.2'] }, dependsOn: ['prepare'], timeoutMs: 5_000 },
        { id: 'right', runner: 'wait', input: { durationMs: 200 }, dependsOn: ['prepare'] },
        {
          id: 'report',
          runner: 'command',
          input: { shell: 'sh', script: 'echo "attempt $RUNLEDGER_ATTEMPT"; [ "$RUNLEDGER_ATTEMPT" -ge 2 ]' },
          dependsOn: ['left', 'right'],
          retry: { maxAttempts: 3, backoff: 'exponential', delayMs: 200 },
        },
      ],
    },
    labels: { team: 'docs' },
  },
  release: {
    plan: {
      name: 'release',
      tasks: [
        { id: 'approve', runner: 'approval', input: { title: 'Release 1.2?', description: 'The notes are in the wiki.' } },
        { id: 'sign', runner: 'approval', input: { title: 'Sign 1.2?', approvers: ['role:admin'], delegable: true, expiresInMs: 86_400_000 } },
        { id: 'publish', runner: 'command', input: { argv: ['echo', 'published'] }, dependsOn: ['approve', 'sign'] },
      ],
    },
    labels: { team: 'docs' },
  },
  saga: {
    plan: {
      name: 'saga',
      tasks: [
        { id: 'reserve', runner: 'noop', input: { result: { seat: '12A' } } },
        { id: 'release', runner: 'command', compensates: 'reserve', input: { argv: ['echo', 'seat {{ tasks.reserve.result.seat }} is free again'] } },
        { id: 'pay', runner: 'command', input: { argv: ['false'] }, dependsOn: ['reserve'] },
      ],
    },
    labels: { team: 'docs' },
  },
  conditional: {
    plan: {
      name: 'conditional',
      tasks: [
        { id: 'measure', runner: 'noop', input: { result: { size: 12, names: ['a', 'b'] } } },
        {
          id: 'report',
          runner: 'command',
          input: { argv: ['echo', '{{ tasks.measure.result.size }} of {{ execution.name }}:', '{{ tasks.measure.result.names.join(", ") }}'] },
          dependsOn: ['measure'],
        },
        { id: 'alert', runner: 'noop', dependsOn: ['measure'], when: 'tasks.measure.result.size > 100' },
      ],
    },
    labels: { team: 'docs' },
  },
  fanOut: {
    plan: {
      name: 'fan-out',
      tasks: [
        { id: 'find', runner: 'noop', input: { result: { names: ['ada', 'grace', 'barbara'] } } },
        {
          id: 'greet',
          runner: 'command',
          dependsOn: ['find'],
          forEach: { items: '{{ tasks.find.result.names }}', concurrency: 2 },
          input: { argv: ['echo', '{{ index }}: hello {{ item }}'] },
        },
        { id: 'count', runner: 'noop', dependsOn: ['greet'], input: { result: { greeted: '{{ tasks.greet.result.count }}' } } },
      ],
    },
    labels: { team: 'docs' },
  },
  loop: {
    plan: {
      name: 'loop',
      tasks: [
        {
          id: 'double',
          runner: 'noop',
          loop: { until: 'result.n > 100', maxIterations: 20 },
          input: { result: { n: '{{ iteration == 0 ? 1 : result.n * 2 }}' } },
        },
      ],
    },
    labels: { team: 'docs' },
  },
  nap: {
    plan: { name: 'nap', tasks: [{ id: 'nap', runner: 'wait', input: { durationMs: 600_000 } }] },
    labels: { team: 'docs' },
  },
} as const;

export type ExampleName = keyof typeof exampleRequests;
