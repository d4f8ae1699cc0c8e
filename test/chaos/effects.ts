import { readFileSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { JsonObject, PlanTask } from '#libs/contracts';
import type { Random } from '../simulation/random.js';

/** One time that a task did what it does to the world. Times are milliseconds since the epoch. */
export type Effect = {
  readonly kind: 'command' | 'request';
  readonly execution: string;
  readonly taskId: string;
  readonly attempt: number;
  /** The incarnation that ran it, where that can be known. */
  readonly executor: string;
  readonly beganAt: number;
  endedAt: number | undefined;
  /** Another one of the same task was under way when it began. */
  readonly isBeside: boolean;
};

/**
 * Notes its beginning and its end, each in one write. A lock that the kernel takes back, whatever the process dies of, tells whether another one is under way. The
 * first argument says what becomes of each attempt, the second how many seconds that takes, the third what the names of its files begin with: one
 * that a marker names, and one that is there at the end.
 */
const SCRIPT = `key=$RUNLEDGER_IDEMPOTENCY_KEY; attempt=$RUNLEDGER_ATTEMPT
exec 9>> "$RUNLEDGER_ROOT/$(echo "$key" | tr / .).lock"
if flock -n 9; then how=alone; else how=beside; fi
printf 'begin %s %s %s %s %s\\n' "$key" "$attempt" "$RUNLEDGER_EXECUTOR" "$how" "$(date +%s%3N)" >> "$RUNLEDGER_ROOT/effects"
echo STEP_START:work
made() { mkdir -p files; { echo "$key $attempt"; head -c 200000 /dev/zero | tr '\\0' x; } > "$1"; }
name=$(echo "$key" | tr / .)-$attempt
if [ -n "$3" ]; then made "files/marked-$3-$name"; echo "ARTIFACT:files/marked-$3-$name:by attempt $attempt"; fi
fate=$(echo "$1," | cut -d, -f"$attempt"); took=$(echo "$2," | cut -d, -f"$attempt")
sleep "\${took:-0}"
echo STEP_COMPLETE:work
if [ -n "$3" ]; then made "files/found-$3-$name"; fi
printf 'end %s %s %s %s %s\\n' "$key" "$attempt" "$RUNLEDGER_EXECUTOR" "$how" "$(date +%s%3N)" >> "$RUNLEDGER_ROOT/effects"
[ "\${fate:-ok}" = ok ]
`;

const HANG_SECONDS = 60;
const PLANNED_ATTEMPTS = 6;

/** Side effects of commands, which note them in a file, and of requests, which are counted by a server. */
export class Effects {
  readonly requests: Effect[] = [];
  private readonly server: Server;

  constructor(private readonly folder: string) {
    writeFileSync(join(folder, 'effect.sh'), SCRIPT);
    this.server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', 'http://effects');
      // By its key, as parts of a task have keys of their own; a request without one is nobody's.
      const [execution = '', taskId = ''] = String(request.headers['idempotency-key']).split('/');
      const attempt = url.pathname.slice(1);
      const isBeside = this.requests.some((other) => other.execution === execution && other.taskId === taskId && other.endedAt === undefined);
      const effect: Effect = { kind: 'request', execution, taskId, attempt: Number(attempt), executor: '', beganAt: Date.now(), endedAt: undefined, isBeside };
      this.requests.push(effect);
      response.once('close', () => (effect.endedAt ??= Date.now()));
      const of = (name: string): string => url.searchParams.get(name)?.split(',')[effect.attempt - 1] ?? '';
      const status = { '': 200, ok: 200, fails: 503, 'asks for time': 503 }[of('fates')];
      const headers = of('fates') === 'asks for time' ? { 'retry-after': '1' } : {};
      setTimeout(() => response.writeHead(status ?? 400, headers).end('{}'), Number(of('seconds')) * 1_000).unref();
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }

  /** What the task does, in place of what it is to do where time is virtual. */
  planned(random: Random, task: PlanTask): PlanTask {
    const attempts = Array.from({ length: PLANNED_ATTEMPTS }, () => {
      const fate = random.weighted({ ok: 16, fails: 4, 'asks for time': 1, hangs: task.input['mayHang'] === true ? 4 : 0 });
      return { fate, seconds: fate === 'hangs' ? HANG_SECONDS : random.pick([0, 0.05, 0.3, random.int(5, 30) / 10, random.int(20, 60) / 10]) };
    });
    const fates = attempts.map(({ fate }) => fate).join();
    const seconds = attempts.map((attempt) => attempt.seconds).join();
    const { bulk } = task.input;
    const files = random.chance(0.2) ? String(random.int(0, 1e9)) : '';
    const argv = ['sh', join(this.folder, 'effect.sh'), fates, seconds, files];
    return random.chance(0.7)
      ? { ...task, runner: 'command', ...(files !== '' && { artifacts: [`files/found-${files}-*`] }), input: { argv, cwd: this.folder, markers: true, ...(bulk !== undefined && { stdin: bulk }) } }
      : { ...task, runner: 'http', input: this.request(fates, seconds, task.input) };
  }

  /** All of them, in the order in which they began within their kind. */
  all(): readonly Effect[] {
    return [...this.commands(), ...this.requests];
  }

  private request(fates: string, seconds: string, { bulk }: JsonObject): JsonObject {
    const { port } = this.server.address() as AddressInfo;
    const query = new URLSearchParams({ fates, seconds }).toString();
    return { method: 'POST', url: `http://127.0.0.1:${port}/{{ attempt }}?${query}`, ...(bulk !== undefined && { body: bulk }) };
  }

  private commands(): readonly Effect[] {
    const effects = new Map<string, Effect>();
    const again: Effect[] = [];
    for (const line of this.lines()) {
      const [what, key = '', attempt = '', executor = '', how, at] = line.split(' ');
      const [execution = '', taskId = ''] = key.split('/');
      const name = `${key}/${attempt}/${executor}`;
      const known = effects.get(name);
      if (what === 'end' && known) known.endedAt = Number(at);
      else {
        const effect: Effect = { kind: 'command', execution, taskId, attempt: Number(attempt), executor, beganAt: Number(at), endedAt: undefined, isBeside: how === 'beside' };
        if (known) again.push(effect);
        else effects.set(name, effect);
      }
    }
    return [...effects.values(), ...again];
  }

  private lines(): readonly string[] {
    try {
      return readFileSync(join(this.folder, 'effects'), 'utf8').trimEnd().split('\n');
    } catch {
      return [];
    }
  }
}
