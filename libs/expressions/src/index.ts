export { ExpressionError } from './expression-error.js';
export { expressionRules } from './rules.js';
export { type Scope, conditionHolds, hasTemplates, renderInput } from './render.js';
