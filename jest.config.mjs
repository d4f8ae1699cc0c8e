const swc = [
  '@swc/jest',
  {
    swcrc: false,
    sourceMaps: 'inline',
    jsc: {
      target: 'es2022',
      keepClassNames: true,
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    },
  },
];
// CommonJS packages that require ESM-only ones; Node resolves this by itself from 24.9 on.
const esmRequiredByCjs = ['cookie', 'content-disposition', '@nestjs/common', '@nestjs/core'];

export default {
  testEnvironment: 'node',
  workerIdleMemoryLimit: '600MB',
  // A bound for what hangs, not for what is slow: machines that run these tests are busy.
  testTimeout: 30_000,
  testMatch: ['<rootDir>/{apps,libs,test}/**/*.(spec|e2e-spec).ts'],
  modulePathIgnorePatterns: ['<rootDir>/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': swc,
    [`/node_modules/(${esmRequiredByCjs.join('|')})/.+\\.js$`]: ['@swc/jest', { swcrc: false }],
  },
  transformIgnorePatterns: [`/node_modules/(?!(.+/node_modules/)?(${esmRequiredByCjs.join('|')})/)`],
  moduleNameMapper: {
    '^#libs/([^/]+)$': '<rootDir>/libs/$1/src/index.ts',
    '^(\\.{1,2}/.+)\\.js$': ['$1.ts', '$1.js'],
  },
};
