import { fileTypeFromBuffer } from 'file-type';
import type { ArtifactType } from '#libs/contracts';

/** So many bytes tell what it is, where anything does. */
export const HEAD_BYTES = 4_100;

const OTHER = 'application/octet-stream';

/** What text is, by the end of its name: none of these is run by anybody who opens it. */
const texts: Readonly<Record<string, string>> = {
  csv: 'text/csv; charset=utf-8',
  json: 'application/json',
  md: 'text/markdown; charset=utf-8',
  ndjson: 'application/x-ndjson',
};

const extensionOf = (name: string): string => /\.([a-z0-9]{1,10})$/i.exec(name)?.[1]?.toLowerCase() ?? '';

/** UTF-8 that people read: tabs, line ends and colours are the only controls in it. `isWhole`: nothing follows. */
const isText = (head: Uint8Array, isWhole: boolean): boolean => {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: !isWhole });
    // oxlint-disable-next-line no-control-regex
    return !/[\u0000-\u0008\u000b\u000e-\u001a\u001c-\u001f\u007f]/.test(text);
  } catch {
    return false;
  }
};

/**
 * The media type of bytes that begin like these: by their magic bytes; text by its name among types that are harmless. What claims to be a
 * page or a picture and is neither is plain text, or nothing known.
 */
export const mediaTypeOf = async (head: Uint8Array, isWhole: boolean, name: string): Promise<string> => {
  const found = await fileTypeFromBuffer(head).catch(() => undefined);
  if (found) return found.mime;
  if (head.length === 0 || !isText(head, isWhole)) return OTHER;
  return texts[extensionOf(name)] ?? 'text/plain; charset=utf-8';
};

const archives = /\b(zip|x-tar|gzip|x-7z-compressed|x-bzip2|x-xz|zstd|vnd\.rar|x-rar-compressed|x-compress|x-lzip|x-cpio|java-archive)$/;
const documents = /^(text\/(plain|markdown)|application\/(pdf|rtf|epub\+zip|msword|vnd\.(openxmlformats-officedocument|oasis\.opendocument|ms-)))/;
const data = /^(text\/csv|application\/(json|x-ndjson|xml|vnd\.apache\.(parquet|arrow)|x-sqlite3|avro))/;

/** What kind of artifact it is, where nobody says. */
export const typeOf = (mediaType: string, name: string): ArtifactType => {
  if (mediaType.startsWith('image/')) return 'image';
  if (mediaType.startsWith('text/') && extensionOf(name) === 'log') return 'log';
  if (data.test(mediaType)) return 'data';
  if (documents.test(mediaType)) return 'document';
  return archives.test(mediaType) ? 'archive' : 'other';
};
