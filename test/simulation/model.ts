import type { Event, Plan, PlanTask } from '#libs/contracts';
import { type TaskModel, isWhole, ofExpansion, ofStart, ofWhole, partsOf } from './model-parts.js';

type TaskEvent = Extract<Event, { readonly data: { readonly taskId: string } }>;
type ArtifactEvent = Extract<Event, { readonly data: { readonly artifactId: string } }>;

const endings: readonly string[] = ['completed', 'failed', 'cancelled'];
const timeOf = (time: string | undefined): number | undefined => (time === undefined ? undefined : Date.parse(time));

/**
 * What an execution may do, told a second time and on purpose without the core: slower, simpler, and with a complaint wherever an event can't follow from
 * those before it.
 */
export class Model {
  status = 'unborn';
  readonly tasks = new Map<string, TaskModel>();
  readonly complaints: string[] = [];
  private plan: Plan = { name: '', tasks: [] };
  /** When each expires, of those that are there. */
  private readonly artifacts = new Map<string, number>();
  private at = 0;
  private hasStarted = false;
  private cancel: string | undefined;
  /** Events of the request that have not come. */
  missing = 0;
  private partAt = 0;
  private isOverdue = false;
  private isUndoing = false;
  /** Names of tasks in the order in which they completed. */
  private readonly completed: string[] = [];
  private deadlineAt: number | undefined;

  isDeleted = false;

  get hasEnded(): boolean {
    return endings.includes(this.status);
  }

  /** It has artifacts whose time is to come. */
  get isExpiring(): boolean {
    return !this.isDeleted && [...this.artifacts.values()].some((expiresAt) => expiresAt !== Infinity);
  }

  /** What is done by its parts does not run itself. */
  get running(): number {
    return [...this.tasks.values()].filter(({ status, plan }) => status === 'running' && !isWhole(plan)).length;
  }

  private get stoppedBy(): string | undefined {
    return [...this.tasks.values()].find(({ status, plan }) => status === 'failed' && plan.onFailure === 'stop')?.plan.id;
  }

  take(event: Event): void {
    const at = Date.parse(event.at);
    this.expect(at >= this.at, `${event.type} is older than the event before it`);
    this.at = Math.max(at, this.at);
    if (this.deadlineAt !== undefined && this.at >= this.deadlineAt) this.isOverdue = true;
    this.expect(!this.isDeleted, `${event.type} after the deletion`);
    if (event.type === 'ExecutionDeleted') return this.delete(event.data.status);
    if ('artifactId' in event.data) return this.takeOfArtifact(event as ArtifactEvent);
    this.expect(!this.hasEnded || event.type === 'TaskResultIgnored', `${event.type} after the end`);
    if ('taskId' in event.data) this.takeOfTask(event as TaskEvent);
    else this.takeOfExecution(event);
  }

  private expect(holds: boolean, complaint: string): void {
    if (!holds) this.complaints.push(complaint);
  }

  private partsOf(id: string): readonly TaskModel[] {
    return [...this.tasks.values()].filter(({ whole }) => whole === id);
  }

  /** How it ended is all that is known of it from here on. */
  private delete(status: string): void {
    this.expect(this.hasEnded && status === this.status, `deleted as ${status} while ${this.status}`);
    this.isDeleted = true;
    this.tasks.clear();
  }

  /** Also after the end. */
  private takeOfArtifact(event: ArtifactEvent): void {
    const { artifactId } = event.data;
    const expiresAt = this.artifacts.get(artifactId);
    if (event.type === 'ArtifactCreated') {
      this.expect(this.status !== 'unborn' && expiresAt === undefined, `artifact ${artifactId} is created twice, or before its execution`);
      this.artifacts.set(artifactId, timeOf(event.data.expiresAt) ?? Infinity);
      return;
    }
    this.expect(expiresAt !== undefined, `${event.type} of artifact ${artifactId}, which is not there`);
    if (event.type === 'ArtifactExpired') this.expect(this.at >= (expiresAt ?? Infinity), `artifact ${artifactId} expires before its time`);
    this.artifacts.delete(artifactId);
  }

  private takeOfExecution(event: Event): void {
    const is = `while ${this.status}`;
    if (event.type === 'ExecutionRequested') {
      this.expect(this.status === 'unborn', `requested ${is}`);
      this.status = 'pending';
      this.plan = event.data.plan;
      this.missing = event.data.following ?? 0;
      this.learn(this.plan.tasks);
    } else if (event.type === 'ExecutionPlanExtended') {
      this.expect(this.missing > 0 && event.data.first === this.tasks.size, `more of a plan, of which ${this.missing} parts are missing`);
      this.missing -= 1;
      this.learn(event.data.tasks);
    } else if (event.type === 'ExecutionStarted') {
      this.expect(this.missing === 0, `started without ${this.missing} parts of its plan`);
      this.expect(!this.hasStarted && this.status === 'pending', `started ${is}`);
      this.hasStarted = true;
      this.status = 'running';
      this.deadlineAt = timeOf(event.data.deadlineAt);
    } else if (event.type === 'ExecutionPaused') {
      this.expect(this.status === 'pending' || this.status === 'running', `paused ${is}`);
      this.status = 'paused';
    } else if (event.type === 'ExecutionResumed') {
      this.expect(this.status === 'paused', `resumed ${is}`);
      this.status = this.hasStarted ? 'running' : 'pending';
    } else if (event.type === 'ExecutionCancelRequested') {
      this.expect(this.cancel === undefined || (this.cancel === 'graceful' && event.data.mode === 'immediate'), 'cancelled twice');
      this.cancel = event.data.mode;
      this.status = 'cancelling';
    } else if (event.type === 'ExecutionCompleted') this.end('completed');
    else if (event.type === 'ExecutionFailed') this.end('failed');
    else if (event.type === 'ExecutionCancelled') this.end('cancelled');
    else if (event.type === 'ExecutionCompensationStarted') this.startUndoing();
  }

  private learn(tasks: readonly PlanTask[]): void {
    this.partAt = this.at;
    for (const plan of tasks) {
      this.expect(!this.tasks.has(plan.id), `${plan.id} comes twice`);
      this.tasks.set(plan.id, newTask(plan));
    }
  }

  private startUndoing(): void {
    const open = [...this.tasks.values()].filter(({ status, plan }) => plan.compensates === undefined && (status === 'pending' || status === 'running'));
    this.expect(!this.isUndoing && open.length === 0, `undoing begins with ${open.map(({ plan }) => plan.id).join(', ')} open, or twice`);
    this.expect(this.cancel === 'graceful' || (this.cancel === undefined && (this.hasFailed || this.isOverdue)), 'undoing begins without a reason');
    this.isUndoing = true;
  }

  private get hasFailed(): boolean {
    return [...this.tasks.values()].some(({ status, plan }) => status === 'failed' && plan.onFailure !== 'continue');
  }

  /** How it must end, by what became of its tasks. */
  private end(status: string): void {
    const tasks = [...this.tasks.values()];
    const open = tasks.filter((task) => task.status === 'pending' || task.status === 'running');
    this.expect(open.length === 0, `${status} with ${open.map(({ plan }) => plan.id).join(', ')} open`);
    const isNeverWhole = this.missing > 0 && this.at >= this.partAt + 60_000;
    this.expect(this.missing === 0 || isNeverWhole || this.cancel !== undefined, `${status} while parts of its plan may yet come`);
    const right = this.cancel !== undefined ? ['cancelled'] : isNeverWhole ? ['failed'] : this.hasFailed ? ['failed'] : this.isOverdue ? ['failed', 'completed'] : ['completed'];
    this.expect(right.includes(status), `${status}, not ${right.join(' or ')}`);
    this.status = status;
  }

  private takeOfTask(event: TaskEvent): void {
    const task = this.tasks.get(event.data.taskId);
    if (!task) return this.expect(false, `${event.type} of a task that is not in the plan`);
    const { id } = task.plan;
    if (event.type === 'TaskStarted') this.start(task, event);
    else if (event.type === 'TaskExpanded') this.expand(task, event);
    else if (event.type === 'TaskCompleted') {
      this.endAttempt(task, event.data.attempt, 'completed');
      this.completed.push(id);
      this.expect(task.wakeAt === undefined || this.at >= task.wakeAt, `${id} has not waited long enough`);
    } else if (event.type === 'TaskCancelled') {
      const isStoppedWait = task.executor === '' && (task.plan.runner !== 'execution' || isWhole(task.plan)) && this.stoppedBy !== undefined;
      this.expect(this.cancel !== undefined || this.isOverdue || isStoppedWait, `${id} was cancelled, and nobody wanted it`);
      this.endAttempt(task, event.data.attempt, 'cancelled');
    } else if (event.type === 'TaskTimedOut') {
      this.expect(task.deadlineAt !== undefined && this.at >= task.deadlineAt, `${id} timed out before its time`);
      task.failures += 1;
      this.endAttempt(task, event.data.attempt, event.data.final ? 'failed' : 'pending');
    } else if (event.type === 'TaskFailed') {
      task.isLost = event.data.error.code === 'ATTEMPT_LOST';
      if (!task.isLost) task.failures += 1;
      this.expect(!task.isLost || event.data.final || task.plan.onLost !== 'fail', `${id} is to run again after it was lost`);
      this.endAttempt(task, event.data.attempt, event.data.final ? 'failed' : 'pending');
    } else if (event.type === 'TaskRetryScheduled') {
      this.expect(task.status === 'pending' && event.data.attempt === task.attempt + 1, `${id} is retried while ${task.status}`);
      this.expect(task.failures < (task.plan.retry?.maxAttempts ?? 1), `${id} is retried once too often`);
      task.notBefore = Date.parse(event.data.at);
    } else if (event.type === 'TaskCarriedOver') {
      this.expect((!this.hasStarted || task.whole !== undefined) && task.status === 'pending' && task.attempt === 0, `${id} is carried over while ${task.status}`);
      this.partCame();
      task.status = event.data.status;
      task.isPassedOver = event.data.status === 'skipped';
      if (task.status === 'completed') this.completed.push(id);
    } else if (event.type === 'TaskSkipped') {
      this.expect(task.status === 'pending', `${id} is skipped while ${task.status}`);
      if (event.data.kind === 'origin') this.partCame();
      task.status = 'skipped';
      task.isPassedOver = event.data.kind === 'condition';
    }
  }

  /** What is taken over from another execution is told with the plan, before that is whole. */
  private partCame(): void {
    this.missing = Math.max(0, this.missing - 1);
  }

  private start(task: TaskModel, { data }: Extract<Event, { readonly type: 'TaskStarted' }>): void {
    const { id, dependsOn, compensates } = task.plan;
    // Where items are carried over, what they are items of is begun with the request.
    const isCarriedOver = !this.hasStarted && this.cancel === undefined && task.plan.forEach !== undefined && data.executor === '';
    if (isCarriedOver) this.partCame();
    if (compensates === undefined) this.expect(this.status === 'running' || isCarriedOver, `${id} starts while ${this.status}`);
    else this.expectUndoing(task);
    const whole = this.tasks.get(task.whole ?? '');
    if (whole) this.complaints.push(...ofStart(task, whole, this.partsOf(whole.plan.id)));
    this.expect(task.status === 'pending' && data.attempt === task.attempt + 1, `${id}/${data.attempt} starts while attempt ${task.attempt} is ${task.status}`);
    this.expect(this.at >= task.notBefore, `${id}/${data.attempt} starts before its time`);
    for (const name of dependsOn) {
      const dependency = this.tasks.get(name);
      const isWell = dependency?.status === 'completed' || dependency?.isPassedOver === true || (dependency?.status === 'failed' && dependency.plan.onFailure === 'continue');
      this.expect(isWell, `${id} starts although ${name} is ${dependency?.status}`);
    }
    this.expect(compensates !== undefined || this.stoppedBy === undefined, `${id} starts although ${this.stoppedBy} has stopped the execution`);
    Object.assign(task, { status: 'running', attempt: data.attempt, executor: data.executor });
    task.wakeAt = timeOf(data.wakeAt);
    task.deadlineAt = timeOf(data.deadlineAt);
    this.expect(this.running <= (this.plan.concurrency ?? Infinity), `${this.running} tasks run at once`);
  }

  private expand(task: TaskModel, { data }: Extract<Event, { readonly type: 'TaskExpanded' }>): void {
    if (!this.hasStarted) this.partCame();
    this.complaints.push(...ofExpansion(task, this.partsOf(task.plan.id), data, this.at));
    for (const plan of partsOf(task.plan, data)) this.tasks.set(plan.id, { ...newTask(plan, task.plan.id), notBefore: timeOf(data.notBefore) ?? 0 });
  }

  /** One at a time, the last completed first; of one its parts beside each other. */
  private expectUndoing({ plan: { id }, whole }: TaskModel): void {
    const others = [...this.tasks.values()].filter((task) => task.status === 'running' && task.plan.id !== whole && (whole === undefined || task.whole !== whole));
    const isTime = this.isUndoing && others.length === 0 && this.status === (this.cancel === undefined ? 'running' : 'cancelling');
    this.expect(isTime && this.cancel !== 'immediate', `${id} starts while ${this.status}, and nothing is to be undone now`);
    if (whole !== undefined) return;
    const left = [...this.tasks.values()].filter(({ status, plan }) => status === 'pending' && plan.compensates !== undefined);
    const next = this.completed.toReversed().flatMap((done) => left.find(({ plan }) => plan.compensates === done)?.plan.id ?? [])[0];
    this.expect(id === next, `${id} starts before ${next}`);
  }

  private endAttempt(task: TaskModel, attempt: number, status: TaskModel['status']): void {
    const isCurrent = task.status === 'running' && task.attempt === attempt;
    this.expect(isCurrent, `${task.plan.id}/${attempt} ends while attempt ${task.attempt} is ${task.status}`);
    if (isWhole(task.plan)) this.complaints.push(...ofWhole(task, this.partsOf(task.plan.id), status));
    task.status = status;
  }
}

const newTask = (plan: PlanTask, whole?: string): TaskModel => ({
  plan,
  whole,
  status: 'pending',
  attempt: 0,
  failures: 0,
  isLost: false,
  isPassedOver: false,
  executor: '',
  notBefore: 0,
  wakeAt: undefined,
  deadlineAt: undefined,
});
