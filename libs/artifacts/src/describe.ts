import type { ArtifactType } from '#libs/contracts';
import type { NewArtifact } from '#libs/execution';
import type { Kept } from './keep.js';
import { typeOf } from './media-type.js';

/** Bounds of what is said of an artifact: so many of them have to fit into one answer. */
export const MAX_NAME = 255;
export const MAX_DESCRIPTION = 500;
export const MAX_TAGS = 16;
export const tagForm = /^[A-Za-z0-9_.:-]{1,64}$/;

/** What is said of an artifact beside what its bytes are. */
type Describing = {
  readonly artifactId: string;
  readonly name: string;
  /** Default: what its bytes and its name look like. */
  readonly type?: ArtifactType | undefined;
  readonly tags?: readonly string[];
  readonly description?: string | undefined;
  readonly public?: boolean;
  /** RFC 3339. */
  readonly expiresAt?: string | undefined;
  /** The attempt that made it. */
  readonly by?: { readonly taskId: string; readonly attempt: number; readonly stepId?: string } | undefined;
};

/** A name as it may be shown: what would end a line, hide a part of it or is no character is replaced. Never a path that anything follows. */
export const nameOf = (given: string): string => {
  // oxlint-disable-next-line no-control-regex
  const shown = given.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu, '_').trim();
  // Not in the middle of a character.
  return shown.slice(0, MAX_NAME).replace(/[\ud800-\udbff]$/, '') || 'unnamed';
};

export const artifactOf = ({ object, size, sha256, mimeType }: Kept, { artifactId, name, type, tags = [], description, public: isPublic = false, expiresAt, by }: Describing): NewArtifact => ({
  artifactId,
  name: nameOf(name),
  type: type ?? typeOf(mimeType, name),
  tags: [...new Set(tags)],
  mimeType,
  size,
  sha256,
  public: isPublic,
  object,
  ...(description !== undefined && { description }),
  ...(expiresAt !== undefined && { expiresAt }),
  ...by,
});
