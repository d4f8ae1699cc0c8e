// Who may import whom. test/repository/dependency-rules.spec.ts plants a violation of each rule.

const spec = '\\.(spec|e2e-spec)\\.ts$';
const npm = 'node_modules/';

/** Everything a library may import beside its own files. A library without an entry may import nothing. */
const libraries = {
  contracts: { libs: [] },
  execution: { libs: ['contracts'] },
  expressions: { libs: ['contracts'], modules: [`${npm}@bufbuild/cel/`] },
  projections: { libs: ['contracts', 'execution'] },
  access: { libs: ['contracts'], modules: [`${npm}jose/`, '^(node:)?crypto$'] },
  secrets: { libs: ['contracts'], modules: ['^(node:)?crypto$'] },
  ledger: { libs: ['contracts', 'execution'], modules: ['^(node:)?crypto$'] },
  jetstream: { libs: ['contracts', 'execution', 'ledger', 'secrets'], modules: [`${npm}@nats-io/`], builtins: true },
  artifacts: { libs: ['contracts', 'execution', 'ledger', 'jetstream'], modules: [`${npm}file-type/`], builtins: true },
  output: { libs: ['contracts', 'ledger', 'jetstream'], builtins: true },
  runners: { libs: ['contracts', 'secrets'], builtins: true },
  platform: { libs: ['contracts', 'execution', 'ledger', 'secrets'], modules: [npm], builtins: true },
  testing: { libs: ['[^/]+'], modules: [npm], builtins: true },
};
const known = Object.keys(libraries).join('|');

const closed = Object.entries(libraries).map(([name, { libs, modules = [], builtins = false }]) => ({
  name: `${name}-imports`,
  comment: `libs/${name} imports only what its entry in .dependency-cruiser.cjs allows.`,
  severity: 'error',
  from: { path: `^libs/${name}/`, pathNot: spec },
  to: {
    pathNot: [...[name, ...libs].map((lib) => `^libs/${lib}/`), ...modules],
    ...(builtins && { dependencyTypesNot: ['core'] }),
  },
}));

const forbidden = [
  ...closed,
  {
    name: 'unlisted-library',
    comment: 'Give the library an entry in .dependency-cruiser.cjs first.',
    severity: 'error',
    from: { path: '^libs/', pathNot: `^libs/(${known})/` },
    to: {},
  },
  {
    name: 'execution-takes-types-only',
    comment: 'The core is pure: it takes nothing but types from the contracts.',
    severity: 'error',
    from: { path: '^libs/execution/', pathNot: spec },
    to: { path: '^libs/contracts/', dependencyTypesNot: ['type-only'] },
  },
  {
    name: 'nats-behind-jetstream',
    comment: 'Everything else reaches NATS through the ports of libs/ledger and the exports of libs/jetstream.',
    severity: 'error',
    from: { path: '^(apps|libs)/', pathNot: '^libs/(jetstream|testing)/' },
    to: { path: `${npm}(@nats-io|nats)/` },
  },
  {
    name: 'nest-in-apps-and-platform',
    comment: 'Libraries are plain TypeScript; Nest wires them in the apps.',
    severity: 'error',
    from: { path: '^libs/', pathNot: '^libs/platform/' },
    to: { path: `${npm}@nestjs/` },
  },
  {
    name: 'app-imports-app',
    comment: 'Apps meet over NATS; what two of them share belongs in a library.',
    severity: 'error',
    from: { path: '^apps/([^/]+)/' },
    to: { path: '^apps/', pathNot: '^apps/$1/' },
  },
  {
    name: 'library-imports-app',
    severity: 'error',
    from: { path: '^libs/' },
    to: { path: '^apps/' },
  },
  {
    name: 'library-by-its-door',
    comment: "A library is entered through its index.ts, as '#libs/<name>'.",
    severity: 'error',
    from: { path: '^libs/([^/]+)/' },
    to: { path: '^libs/', pathNot: ['^libs/$1/', '^libs/[^/]+/src/index\\.ts$'] },
  },
  {
    name: 'library-by-its-door-from-outside',
    comment: "A library is entered through its index.ts, as '#libs/<name>'.",
    severity: 'error',
    from: { pathNot: '^libs/' },
    to: { path: '^libs/', pathNot: '^libs/[^/]+/src/index\\.ts$' },
  },
  {
    name: 'library-by-its-name',
    comment: "Write '#libs/<name>', not a path to the other library's index.ts.",
    severity: 'error',
    from: { path: '^((?:apps|libs|test|bench)/[^/]+)/' },
    to: { path: '^libs/[^/]+/src/index\\.ts$', pathNot: '^$1/', dependencyTypesNot: ['aliased'] },
  },
  {
    name: 'siblings-directly',
    comment: 'Files of one library import each other by relative path.',
    severity: 'error',
    from: { path: '^libs/([^/]+)/' },
    to: { path: '^libs/$1/', dependencyTypes: ['aliased'] },
  },
  {
    name: 'testing-in-tests-only',
    comment: 'libs/testing is left out of the build.',
    severity: 'error',
    from: { path: '^(apps|libs)/', pathNot: [spec, '^libs/testing/'] },
    to: { path: '^libs/testing/' },
  },
  {
    name: 'tests-are-not-imported',
    severity: 'error',
    from: { path: '^(apps|libs)/' },
    to: { path: ['^(test|bench)/', spec] },
  },
  {
    name: 'no-cycles',
    comment: 'In ESM a cycle of injected classes dies at start; a cycle of types hides two things that are one.',
    severity: 'error',
    from: {},
    to: { circular: true },
  },
  {
    name: 'declared-packages-only',
    comment: 'package.json names what the sources import; development dependencies are not there in production.',
    severity: 'error',
    from: { path: '^(apps|libs)/', pathNot: [spec, '^libs/testing/'] },
    to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
  },
  {
    name: 'resolvable',
    severity: 'error',
    from: {},
    to: { couldNotResolve: true },
  },
];

module.exports = {
  forbidden,
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    // Imports of types count too: they are coupling that the emitted code no longer shows.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    webpackConfig: { fileName: 'scripts/source-paths.cjs' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
      mainFields: ['main', 'types'],
    },
  },
};
