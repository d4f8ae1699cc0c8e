/** What a request does, as far as anyone's right to it goes. */
export const permissions = [
  'executions.read',
  'executions.request',
  'executions.control',
  'executions.delete',
  'clarifications.respond',
  'artifacts.read',
  'artifacts.write',
  'projections.read',
  'projections.rebuild',
  'secrets.read',
  'secrets.manage',
  'keys.manage',
  'audit.read',
  'tasks.work',
] as const;
export type Permission = (typeof permissions)[number];

export const roles = ['viewer', 'operator', 'approver', 'admin', 'worker'] as const;
export type Role = (typeof roles)[number];

const reading: readonly Permission[] = ['executions.read', 'artifacts.read', 'projections.read'];

/** What each role may do within its tenant; docs/access.md shows the same table. */
export const grants: Readonly<Record<Role, readonly Permission[]>> = {
  viewer: reading,
  operator: [...reading, 'executions.request', 'executions.control', 'artifacts.write', 'secrets.read'],
  approver: [...reading, 'clarifications.respond'],
  admin: permissions,
  worker: ['tasks.work'],
};

export const isRole = (value: unknown): value is Role => (roles as readonly unknown[]).includes(value);
export const isPermission = (value: unknown): value is Permission => (permissions as readonly unknown[]).includes(value);

/** The roles that hold a permission, for refusals that say what would do. */
export const rolesWith = (permission: Permission): readonly Role[] => roles.filter((role) => grants[role].includes(permission));
