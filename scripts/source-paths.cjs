// For dependency-cruiser: `#libs/<name>` means the sources here; package.json maps it to what a build leaves in dist.
const path = require('node:path');

module.exports = {
  resolve: { alias: { '#libs/*': path.resolve('libs/*/src/index.ts') } },
};
