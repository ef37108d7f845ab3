// The sign of life of a lock's owner: the time of the file's last change. Imports little, since a thread of each engine
// does this.
import { constants } from "node:fs";
import { lstat, open } from "node:fs/promises";

/** Milliseconds between two signs of life. */
export const BEAT = 2000;

/** "lost": another file stands there now, so another process took the run over. "missing": the run was deleted. */
export type Beat = "held" | "lost" | "missing";

const FLAGS = constants.O_RDWR | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/**
 * Gives a sign of life.
 * @param inode of the lock's file, as its owner created it
 * @throws the file system's error, which says nothing about the lock
 */
export async function beat(file: string, inode: string): Promise<Beat> {
  try {
    if (!(await lstat(file)).isFile()) return "lost";
    const handle = await open(file, FLAGS);
    try {
      const { ino } = await handle.stat({ bigint: true });
      if (String(ino) !== inode) return "lost";
      const now = new Date();
      await handle.utimes(now, now);
      return "held";
    } finally {
      await handle.close();
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return "missing";
    if (code === "ELOOP") return "lost";
    throw error;
  }
}
