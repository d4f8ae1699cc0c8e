import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repository } from './working-copy.js';

const textOf = (file: string): string => readFileSync(join(repository, file), 'utf8');
const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: repository, encoding: 'utf8' }).trim().split('\n');
const prose = (file: string): string => textOf(file).replace(/^```[\s\S]*?^```/gm, '');

/** What a heading is linked by, as on GitHub. */
const anchorOf = (heading: string): string => heading.toLowerCase().replace(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-');
const anchorsOf = (file: string): string[] => [...prose(file).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

describe('the documentation', () => {
  it.each(pages)('has no dead link in %s', (page) => {
    const dead = [...prose(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)].filter(([, path = '', anchor]) => {
      const target = path === '' ? page : join(dirname(page), path);
      if (!existsSync(join(repository, target))) return true;
      return anchor !== undefined && !anchorsOf(target).includes(anchor);
    });
    expect(dead.map(([link]) => link)).toEqual([]);
  });

  it('says of every app and library what it may import', () => {
    const parts = ['apps', 'libs'].flatMap((folder) => readdirSync(join(repository, folder)).map((name) => join(folder, name, 'README.md')));
    expect(parts.length).toBeGreaterThan(10);
    expect(parts.filter((file) => !existsSync(join(repository, file)) || !/may import/i.test(textOf(file)))).toEqual([]);
  });

  it('leads to every app and library from the first page, and to every decision from their index', () => {
    const leadsTo = (page: string, target: string): boolean => textOf(page).includes(`](${target})`);
    const parts = pages.filter((page) => /^(apps|libs)\/[^/]+\/README\.md$/.test(page));
    expect(parts.filter((part) => !leadsTo('README.md', part))).toEqual([]);
    const decisions = pages.filter((page) => /^docs\/adr\/\d/.test(page)).map((page) => page.replace('docs/adr/', ''));
    expect(decisions.filter((decision) => !leadsTo('docs/adr/README.md', decision))).toEqual([]);
  });
});

describe('the list of error codes', () => {
  /** Names of settings and of the environment, and codes of Node and of packages. */
  const others = /^(RUNLEDGER|STEPFLOW|ERR|HPE|FST|Z)_|^(LC_ALL|NATS_URL)$/;
  const sources = execFileSync('git', ['ls-files', 'apps/*.ts', 'libs/*.ts'], { cwd: repository, encoding: 'utf8' }).trim().split('\n');
  const text = sources.filter((file) => !/\.spec\.ts$|\/generated\/|^libs\/testing\//.test(file)).map(textOf).join('\n');
  // Most have a `_`; those that have none stand where only a code stands.
  const literal = /'([A-Z]+(?:_[A-Z]+)+)'|(?:code: |code: string = |Problem\(\d{3}, |EXIT\.\w+, |UpError\()'([A-Z]+)'/g;
  const inSources = new Set([...text.matchAll(literal)].map(([, long, short]) => long ?? short ?? '').filter((code) => !others.test(code)));
  const listed = new Set(['docs/errors.md', 'apps/cli/README.md'].flatMap((page) => {
    const rows = textOf(page).match(/^\| `[A-Z].*$/gm) ?? [];
    return rows.flatMap((row) => [...(row.split(' | ')[0] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, code = '']) => code));
  }));

  it('has every code that there is', () => {
    expect(inSources.size).toBeGreaterThan(100);
    expect([...inSources].filter((code) => !listed.has(code)).sort()).toEqual([]);
  });

  it('has no code that is gone', () => {
    expect([...listed].filter((code) => !text.includes(`'${code}'`) && !new RegExp(`\\b${code}: (\\d|\\()`).test(text)).sort()).toEqual([]);
  });
});
