/** Why a file is refused: it is no regular file, too large, reached through a link, outside of its root, too slow, or badly named. */
export type FileProblem = "not-regular" | "too-large" | "link" | "outside" | "timeout" | "name";

/** A file that is refused, before a byte of it is read or written. The message begins with its path. */
export class FileError extends Error {
  override readonly name = "FileError";
  readonly path: string;
  readonly code: FileProblem;

  constructor(path: string, code: FileProblem, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
    this.code = code;
  }
}

/** Whether an error says that there is no such file. */
export function isMissing(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return code === "ENOENT" || code === "ENOTDIR";
}

/** Whether an error says that a disk has no room left. */
export function isFull(error: unknown): boolean {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  return code === "ENOSPC" || code === "EDQUOT";
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file is larger than is allowed",
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOENT: "the folder is gone",
  ENOTDIR: "a part of the path is a file, not a folder",
  EMFILE: "too many open files",
};

/** A file system error for people: what is wrong, and the system's name for it. */
export function describeFileError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  const reason = code === undefined ? undefined : REASONS[code];
  return reason === undefined ? error.message : `${reason} (${code})`;
}
