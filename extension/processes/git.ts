// Runs git where it reads objects alone. A folder's configuration may be a stranger's, and name programs: no hook, no filter,
// no monitor of files and no remote is reached.
import { execFile } from "node:child_process";
import { EngineError } from "../protocol/errors.ts";

/** Milliseconds for an answer of git's, which may wait for a file system. */
const TIMEOUT = 10_000;

/** A partial clone brings missing objects from its remote, which may be a command. Old versions of git know only the last. */
const OFFLINE = { GIT_NO_LAZY_FETCH: "1", GIT_ALLOW_PROTOCOL: "none" } as const;

/**
 * Answers what git prints.
 * @param command git's absolute path
 * @param most bytes of the answer
 * @throws EngineError "git" with git's own first line
 */
export function readGit(
  command: string,
  folder: string,
  args: readonly string[],
  most: number,
): Promise<string> {
  const env = { ...process.env, ...OFFLINE, GIT_OPTIONAL_LOCKS: "0" };
  return new Promise((resolve, reject) => {
    execFile(
      command,
      ["--no-pager", "-c", "core.fsmonitor=false", "-C", folder, ...args],
      { env, maxBuffer: most, timeout: TIMEOUT, windowsHide: true },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const [said = ""] = stderr.trim().split("\n");
        const message = said === "" ? error.message : said.replace(/^fatal: /, "");
        return reject(new EngineError({ code: "git", message }));
      },
    );
  });
}
