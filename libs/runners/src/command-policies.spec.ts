import type { Json } from '#libs/contracts';
import { policiesFrom, policyProblems } from './command-policies.js';
import { type CommandPolicy, grant } from './command-policy.js';

const defaults: CommandPolicy = {
  roots: ['/srv'],
  readable: [],
  network: 'never',
  limits: { processes: 100, outputBytes: 1_000 },
};

describe('a document of policies', () => {
  it('says of each tenant what it says, else what it says of everyone, else the defaults, limit by limit', () => {
    const policyOf = policiesFrom(
      {
        '*': { network: 'requested', programs: ['git'], limits: { cpuSeconds: 10 } },
        acme: { roots: ['/acme'], limits: { cpuSeconds: 60, processes: null } },
        free: { programs: null, network: 'always' },
      },
      defaults,
    );
    const everyone = { ...defaults, network: 'requested', programs: ['git'], limits: { ...defaults.limits, cpuSeconds: 10 } };
    expect(policyOf('other')).toEqual(everyone);
    expect(policyOf('*')).toEqual(everyone);
    expect(policyOf('constructor')).toEqual(everyone);
    expect(policyOf('acme')).toEqual({ ...everyone, roots: ['/acme'], limits: { outputBytes: 1_000, cpuSeconds: 60 } });
    const { programs: _, ...free } = everyone;
    expect(policyOf('free')).toEqual({ ...free, network: 'always' });
    expect(policiesFrom({}, defaults)('acme')).toEqual(defaults);
  });

  it.each<[Json, readonly string[]]>([
    [[], ['']],
    ['x', ['']],
    [{ acme: [] }, ['/acme']],
    [{ 'a.b': {} }, ['/a.b']],
    [{ acme: { root: ['/x'] } }, ['/acme/root']],
    [{ acme: { roots: ['/x', 'y'] } }, ['/acme/roots/1']],
    [{ acme: { roots: null } }, ['/acme/roots']],
    [{ acme: { programs: ['git', 'bin/git', ''] } }, ['/acme/programs/1', '/acme/programs/2']],
    [{ acme: { network: true } }, ['/acme/network']],
    [{ acme: { limits: { cpuSeconds: 0, cpu: 1, memoryBytes: 1.5e9, openFiles: '9' } } }, ['/acme/limits/cpuSeconds', '/acme/limits/cpu', '/acme/limits/openFiles']],
    [{ '*': { limits: { timeMs: -1 } } }, ['/*/limits/timeMs']],
  ])('%j is faulty at %j', (document, paths) => {
    expect(policyProblems(document).map((problem) => problem.path)).toEqual(paths);
  });

  it('without faults has none', () => {
    expect(policyProblems({ '*': {}, acme: { roots: [], readable: ['/data'], programs: null, network: 'never', limits: { cpuSeconds: null } } })).toEqual([]);
  });
});

describe('what a plan is granted', () => {
  it.each<[CommandPolicy['network'], boolean | undefined, unknown]>([
    ['never', undefined, false],
    ['never', false, false],
    ['never', true, 'COMMAND_NETWORK_REFUSED'],
    ['requested', undefined, false],
    ['requested', false, false],
    ['requested', true, true],
    ['always', undefined, true],
    ['always', false, false],
    ['always', true, true],
  ])('of the network, where the policy says %s and the plan %s: %s', (network, asked, expected) => {
    const granted = grant({ ...defaults, network }, asked === undefined ? {} : { network: asked });
    expect('code' in granted ? granted.code : granted.network).toBe(expected);
  });

  it('is never more than its policy allows', () => {
    const limitsOf = (input: Parameters<typeof grant>[1]): unknown => {
      const granted = grant(defaults, input);
      return 'limits' in granted && granted.limits;
    };
    expect(limitsOf({ limits: { processes: 1_000, cpuSeconds: 5 }, maxOutputBytes: 2_000 })).toEqual({
      processes: 100,
      outputBytes: 1_000,
      cpuSeconds: 5,
    });
    expect(limitsOf({ limits: { processes: 10 }, maxOutputBytes: 0 })).toEqual({ processes: 10, outputBytes: 0 });
  });
});
