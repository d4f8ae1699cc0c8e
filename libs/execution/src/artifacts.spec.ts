import { type Step, T0, advance, at, cancel, fail, given, iso, request, start, succeed, task } from '#libs/testing';
import { LOG_ARTIFACT, type NewArtifact, lacksLog } from './artifacts.js';
import { keyedCause } from './commands.js';
import { illegality } from './legality.js';
import { MAX_ARTIFACTS } from './limits.js';

const artifact = (artifactId: string, more: Partial<NewArtifact> = {}): NewArtifact => ({
  artifactId,
  name: 'report.txt',
  type: 'report',
  tags: [],
  mimeType: 'text/plain',
  size: 3,
  sha256: '0'.repeat(64),
  public: false,
  object: `object-${artifactId}`,
  ...more,
});

const add = (id: string, more: Partial<NewArtifact> = {}): Step => ({ type: 'AddArtifact', artifact: artifact(id, more) });
const remove = (artifactId: string): Step => ({ type: 'DeleteArtifact', artifactId });
const expire = (artifactId: string): Step => ({ type: 'ExpireArtifact', artifactId });
const record = (id: string, attempt = 1): Step => ({ type: 'RecordArtifact', taskId: 'a', attempt, artifact: artifact(id, { taskId: 'a', attempt }) });

const asked = request([task('a')]);
const ended = [asked, start('a'), succeed('a')] as const;

describe('artifacts', () => {
  it('are added to an execution that runs, and to one that has ended, whose status stays as it is', () => {
    given(asked).when(add('x')).decides({ type: 'ArtifactCreated', data: artifact('x') });
    const after = given(...ended).when(add('x'));
    after.decides({ type: 'ArtifactCreated', data: artifact('x') });
    expect(after.state()).toMatchObject({ status: 'completed', open: 0 });
  });

  it('are not added to what is not there', () => {
    given().when(add('x')).refuses('EXECUTION_NOT_FOUND');
  });

  it('are deleted once', () => {
    given(...ended, add('x')).when(remove('x')).decides({ type: 'ArtifactDeleted', data: { artifactId: 'x' } });
    given(...ended, add('x'), remove('x')).when(remove('x')).refuses('ARTIFACT_NOT_FOUND');
    given(...ended).when(remove('x')).refuses('ARTIFACT_NOT_FOUND');
  });

  it('expire once, and not before their time', () => {
    const kept = [...ended, add('x', { expiresAt: iso(1_000) })];
    given(...kept).when(at(999, expire('x'))).decides();
    given(...kept).when(at(1_000, expire('x'))).decides({ type: 'ArtifactExpired', data: { artifactId: 'x' } });
    given(...kept, at(1_000, expire('x'))).when(at(2_000, expire('x'))).decides();
    given(...ended, add('x')).when(at(1_000_000, expire('x'))).decides();
  });

  it('that a client names with a key are added once, and not under the same key with another content', () => {
    const named = (fingerprint: string): Step => ({ ...add('x'), cause: keyedCause('k', fingerprint) });
    given(...ended, named('1')).when(named('1')).decides();
    given(...ended, named('1')).when(named('2')).refuses('IDEMPOTENCY_KEY_REUSED');
  });

  it('of an attempt are those of the one that runs', () => {
    given(asked, start('a')).when(record('x')).decidesTypes('ArtifactCreated');
    given(asked, start('a')).when(record('x', 2)).decides();
    given(...ended).when(record('x')).decides();
    given(asked, start('a'), cancel('immediate'), fail('a')).when(record('x')).decides();
  });

  it('take no key from clients: an attempt may make several', () => {
    const again = given(asked, start('a'), { ...record('x'), cause: 'a/1' });
    again.when({ ...record('y'), cause: 'a/1' }).decidesTypes('ArtifactCreated');
    again.when({ ...add('z'), cause: keyedCause('a/1', 'f') }).decidesTypes('ArtifactCreated');
  });

  it('are so many at most at a time', () => {
    const many = Array.from({ length: MAX_ARTIFACTS }, (_, n) => add(`x${n}`));
    given(...ended, ...many).when(add('more')).refuses('ARTIFACTS_FULL');
    given(asked, start('a'), ...many).when(record('more')).decides();
    given(...ended, ...many, remove('x7')).when(add('more')).decidesTypes('ArtifactCreated');
  });

  it('of all output are wanted once, from the end on, where the plan asks for it', () => {
    const wanting = [request([task('a')], { logArtifact: true }), start('a')] as const;
    const log: Step = { ...add('log'), cause: LOG_ARTIFACT };
    const isLacking = (...steps: readonly Step[]): boolean => lacksLog(given(...steps).state);
    expect(isLacking(...wanting)).toBe(false);
    expect(isLacking(...wanting, succeed('a'))).toBe(true);
    expect(isLacking(...wanting, succeed('a'), add('x'))).toBe(true);
    expect(isLacking(...wanting, succeed('a'), log)).toBe(false);
    expect(isLacking(...wanting, succeed('a'), log, remove('log'))).toBe(false);
    expect(isLacking(...wanting, succeed('a'), { type: 'DeleteExecution' })).toBe(false);
    expect(isLacking(...ended)).toBe(false);
    given(...wanting, succeed('a'), log, remove('log')).when(log).decides();
  });

  it('change nothing of what is due', () => {
    given(asked, start('a'), add('x')).when(advance).decides();
    given(asked, add('x'), start('a')).when(succeed('a')).decidesTypes('TaskCompleted', 'ExecutionCompleted');
  });
});

describe('legality of artifacts', () => {
  const event = (fact: Pick<Parameters<typeof illegality>[1], 'type' | 'data'>, ms = 10_000): Parameters<typeof illegality>[1] =>
    ({ ...fact, at: new Date(T0 + ms).toISOString(), cause: 'c', actor: 'a', correlationId: 'r' }) as Parameters<typeof illegality>[1];
  const { state } = given(...ended, add('x', { expiresAt: iso(5_000) }));

  it('lets them follow an end, and nothing else than them', () => {
    expect(illegality(state, event({ type: 'ArtifactCreated', data: artifact('y', { taskId: 'a', attempt: 1 }) }))).toBeUndefined();
    expect(illegality(state, event({ type: 'ArtifactDeleted', data: { artifactId: 'x' } }))).toBeUndefined();
    expect(illegality(state, event({ type: 'ArtifactExpired', data: { artifactId: 'x' } }))).toBeUndefined();
    expect(illegality(state, event({ type: 'ExecutionPaused', data: {} }))).toContain('completed');
  });

  it('knows two of the same id, what is not there, and a time that has not come', () => {
    expect(illegality(state, event({ type: 'ArtifactCreated', data: artifact('x') }))).toContain('already');
    expect(illegality(state, event({ type: 'ArtifactDeleted', data: { artifactId: 'y' } }))).toContain('no artifact y');
    expect(illegality(state, event({ type: 'ArtifactExpired', data: { artifactId: 'x' } }, 4_999))).toContain('whose time has come');
  });
});
