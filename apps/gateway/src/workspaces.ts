import type { FastifyRequest } from 'fastify';
import type { Principal } from '#libs/access';
import { type ExecutionRef, isToken } from '#libs/contracts';
import { principalOf } from './access.js';
import { Problem } from './problem.js';

type Labels = Readonly<Record<string, string>>;

/** The label that says which workspace an execution is of. It is set at the request, and never changes. */
const LABEL = 'workspace';

const forbidden = (detail: string): Problem => new Problem(403, 'WORKSPACE_FORBIDDEN', detail);

const yours = ({ workspaces = [] }: Principal): string => `yours are ${workspaces.join(', ')}`;

/**
 * The workspace that a request names in X-Workspace-ID, or else the only one of its credentials. Throws Problem WORKSPACE_INVALID, and
 * WORKSPACE_FORBIDDEN for one that the credentials are not for.
 */
export const workspaceOf = (request: FastifyRequest): string | undefined => {
  const principal = principalOf(request);
  const given = request.raw.headersDistinct['x-workspace-id'];
  if (given === undefined) return principal.workspaces?.length === 1 ? principal.workspaces[0] : undefined;
  const [workspace] = given;
  if (given.length !== 1 || !isToken(workspace)) {
    throw new Problem(400, 'WORKSPACE_INVALID', 'X-Workspace-ID must be given once and match ^[A-Za-z0-9_-]{1,64}$');
  }
  if (principal.workspaces?.includes(workspace) ?? true) return workspace;
  throw forbidden(`your credentials are not for workspace ${workspace}; ${yours(principal)}`);
};

/** As workspaceOf, for what has to be in one: throws Problem WORKSPACE_MISSING where the credentials are for several and none is named. */
export const actsIn = (request: FastifyRequest): string | undefined => {
  const workspace = workspaceOf(request);
  const principal = principalOf(request);
  if (workspace !== undefined || principal.workspaces === undefined) return workspace;
  if (principal.workspaces.length === 0) throw forbidden('your credentials are for no workspace at all; ask an admin of your tenant for others');
  throw new Problem(400, 'WORKSPACE_MISSING', `your credentials are for several workspaces; name one in X-Workspace-ID: ${yours(principal)}`);
};

/** The labels with the workspace's among them, undefined for none. Throws Problem WORKSPACE_FORBIDDEN where they name another one. */
export const within = (workspace: string | undefined, labels: Labels): Labels => {
  if (workspace === undefined) return labels;
  if ((labels[LABEL] ?? workspace) === workspace) return { ...labels, [LABEL]: workspace };
  throw forbidden(`you act in workspace ${workspace}, and label ${LABEL} names another; leave the label out, or name its workspace in X-Workspace-ID`);
};

/** New labels for what carries on an execution with these: it stays in their workspace. Throws Problem WORKSPACE_FORBIDDEN where they name another one. */
export const inWorkspaceOf = (of: Labels = {}, labels: Labels): Labels => within(of[LABEL], labels);

/**
 * Refuses an execution of another workspace to credentials that are limited to some. `labelsOf`: undefined where there is no such
 * execution, which whoever looks for it is to find out. Throws Problem WORKSPACE_FORBIDDEN.
 */
export const mustSee = async (
  request: FastifyRequest,
  ref: ExecutionRef,
  labelsOf: (ref: ExecutionRef) => Promise<Labels | undefined>,
): Promise<void> => {
  const principal = principalOf(request);
  if (principal.workspaces === undefined) return;
  const named = workspaceOf(request);
  const labels = await labelsOf(ref);
  const workspace = labels?.[LABEL];
  const isVisible = named === undefined ? principal.workspaces.includes(workspace ?? '') : workspace === named;
  if (labels && !isVisible) throw forbidden(`this execution is not of your workspace; ${yours(principal)}`);
};
