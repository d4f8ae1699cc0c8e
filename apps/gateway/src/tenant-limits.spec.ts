import type { Plan } from '#libs/contracts';
import type { TenantPolicy } from '#libs/platform';
import type { UsageAnswer } from '#libs/projections';
import { TenantLimits } from './tenant-limits.js';

const planOf = (tasks: number): Plan => ({ name: 'p', tasks: Array.from({ length: tasks }, (_, n) => ({ id: `t${n}`, runner: 'noop', input: {}, dependsOn: [] })) });
const none: UsageAnswer = { asOfSeq: 0, activeExecutions: 0, queuedTasks: 0, storageBytes: 0 };

const start = (limits: TenantPolicy['limits']) => {
  const state = { now: 0, asked: 0, usage: none, isAway: false };
  const ask = (): Promise<UsageAnswer> => {
    state.asked += 1;
    return state.isAway ? Promise.reject(new Error('away')) : Promise.resolve(state.usage);
  };
  return { state, limits: new TenantLimits({ of: () => ({ limits, rates: {}, retention: {} }), hasLimits: true }, ask, () => state.now) };
};

describe('limits of a tenant', () => {
  it('count what the projection knows and what was accepted since, also while it is under way', async () => {
    const { state, limits } = start({ activeExecutions: 3 });
    state.usage = { ...none, asOfSeq: 10, activeExecutions: 1 };
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => limits.reserve('t', planOf(1))));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected']);
    expect(outcomes[4]).toMatchObject({ reason: { status: 429, code: 'TENANT_LIMIT', extra: { retryAfterSeconds: 5 } } });
    expect(state.asked).toBe(1);
    const [first, second] = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    second?.release();
    await limits.reserve('t', planOf(1));
    first?.accepted(11);

    // The projection has come to the first, whose execution has ended meanwhile; the third is still under way.
    state.now = 500;
    state.usage = { ...none, asOfSeq: 11, activeExecutions: 1 };
    await limits.reserve('t', planOf(1));
    await expect(limits.reserve('t', planOf(1))).rejects.toMatchObject({ code: 'TENANT_LIMIT' });
    expect(state.asked).toBe(2);
    // What nobody ever heard of again is let go.
    state.now = 61_000;
    await limits.reserve('t', planOf(1));
  });

  it.each<[string, TenantPolicy['limits'], Partial<UsageAnswer>, string | undefined]>([
    ['tasks, with room', { queuedTasks: 10 }, { queuedTasks: 8 }, undefined],
    ['tasks, without', { queuedTasks: 10 }, { queuedTasks: 9 }, 'TENANT_LIMIT'],
    ['tasks, of a plan that never fits', { queuedTasks: 1 }, {}, 'PLAN_TOO_LARGE'],
    ['bytes in the log, with room', { storageBytes: 1_000 }, { storageBytes: 500 }, undefined],
    ['bytes in the log, without', { storageBytes: 1_000 }, { storageBytes: 950 }, 'TENANT_LIMIT'],
    ['bytes of a plan, small enough', { planBytes: 200 }, {}, undefined],
    ['bytes of a plan, too many', { planBytes: 20 }, {}, 'PLAN_TOO_LARGE'],
    ['nothing at all', { activeExecutions: 0 }, {}, 'TENANT_LIMIT'],
  ])('hold for %s', async (_, wanted, usage, code) => {
    const { state, limits } = start(wanted);
    state.usage = { ...none, ...usage };
    const outcome = limits.reserve('t', planOf(2)).then(() => undefined, (error: { code: string }) => error.code);
    expect(await outcome).toBe(code);
  });

  it('refuse nobody while usage can not be asked, but by what was known until a moment ago', async () => {
    const { state, limits } = start({ activeExecutions: 1 });
    state.isAway = true;
    await limits.reserve('t', planOf(1));
    state.isAway = false;
    state.now = 600;
    await expect(limits.reserve('t', planOf(1))).rejects.toMatchObject({ code: 'TENANT_LIMIT' });
    state.isAway = true;
    state.now = 5_000;
    await expect(limits.reserve('t', planOf(1))).rejects.toMatchObject({ code: 'TENANT_LIMIT' });
    state.now = 10_600;
    await limits.reserve('t', planOf(1));
  });

  it('are not even asked for where there are none', async () => {
    const { state, limits } = start({});
    await limits.reserve('t', planOf(1));
    const { limits: sized, state: sizedState } = start({ planBytes: 10_000 });
    await sized.reserve('t', planOf(1));
    expect([state.asked, sizedState.asked]).toEqual([0, 0]);
  });
});
