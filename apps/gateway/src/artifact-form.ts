import { MAX_DESCRIPTION, MAX_NAME, MAX_TAGS, nameOf, tagForm } from '#libs/artifacts';
import { type ArtifactType, artifactTypes } from '#libs/contracts';
import type { Fields } from './multipart.js';
import type { Fault } from './problem.js';
import { isText, refuseFaults } from './request-body.js';
import { utcOf } from './request-query.js';

const DAY_MS = 24 * 3_600_000;
const MAX_DAYS = 3_660;

/** What an upload says of its file. */
export type ArtifactForm = {
  readonly name: string;
  readonly type: ArtifactType | undefined;
  readonly tags: readonly string[];
  readonly description: string | undefined;
  readonly public: boolean;
  readonly expiresAt: string | undefined;
};

const known = ['name', 'type', 'tags', 'description', 'public', 'retentionDays', 'expiresAt'];
const once = known.filter((field) => field !== 'tags');

const isType = (value: string): value is ArtifactType => (artifactTypes as readonly string[]).includes(value);

/** `now`: milliseconds since the epoch. Throws Problem FORM_INVALID with the path to each fault. */
export const parseArtifactForm = (fields: Fields, filename: string, now: number): ArtifactForm => {
  const faults: Fault[] = [];
  const fault = (field: string, message: string): void => void faults.push({ path: `/${field.slice(0, 64)}`, message });
  for (const field of fields.keys()) if (!known.includes(field)) fault(field, `unknown field; known are file, ${known.join(', ')}`);
  for (const field of once) if ((fields.get(field)?.length ?? 0) > 1) fault(field, 'may be given once');
  const one = (field: string): string | undefined => fields.get(field)?.[0] || undefined;
  const [name, type, description, isPublic = 'false', days, until] = ['name', 'type', 'description', 'public', 'retentionDays', 'expiresAt'].map(one);
  // Several, or several in one, as forms have it.
  const tags = (fields.get('tags') ?? []).flatMap((tag) => tag.split(',')).map((tag) => tag.trim()).filter((tag) => tag !== '');
  if (name !== undefined && !isText(name, MAX_NAME)) fault('name', `must be text of 1 to ${MAX_NAME} printable characters`);
  if (type !== undefined && !isType(type)) fault('type', `must be one of ${artifactTypes.join(', ')}`);
  if (tags.length > MAX_TAGS) fault('tags', `${tags.length} tags; at most ${MAX_TAGS}`);
  for (const tag of tags) if (!tagForm.test(tag)) fault('tags', `a tag must match ${tagForm.source}`);
  if (description !== undefined && !isText(description, MAX_DESCRIPTION)) fault('description', `must be text of 1 to ${MAX_DESCRIPTION} printable characters`);
  if (isPublic !== 'true' && isPublic !== 'false') fault('public', 'must be true or false');
  const kept = days === undefined ? undefined : Number(days);
  if (kept !== undefined && !(Number.isInteger(kept) && kept >= 1 && kept <= MAX_DAYS)) fault('retentionDays', `must be an integer from 1 to ${MAX_DAYS}`);
  const time = utcOf(until);
  if (until !== undefined && time === undefined) fault('expiresAt', 'must be an RFC 3339 time with its zone, such as 2026-11-20T12:00:00Z');
  if (kept !== undefined && until !== undefined) fault('expiresAt', 'retentionDays says it, too; give one of them');
  refuseFaults(faults.slice(0, 20), 'FORM_INVALID');
  return {
    name: nameOf(name ?? filename),
    type: type !== undefined && isType(type) ? type : undefined,
    tags,
    description,
    public: isPublic === 'true',
    expiresAt: kept === undefined ? time : new Date(now + kept * DAY_MS).toISOString(),
  };
};
