import { execFile } from "node:child_process";
import { basename, dirname } from "node:path";
import { findExecutable } from "../processes/programs.ts";
import { EngineError } from "../protocol/errors.ts";

const NO_GIT = "there is no git on this machine";

/** A source file that isn't larger than any that people write. */
const LARGEST = 16 * 1024 * 1024;

/**
 * A file's text as it was committed last.
 * @throws EngineError "git" saying why there is none: no git, no repository, a file that was never committed
 */
export function committedText(file: string, git = findExecutable(["git"])): Promise<string> {
  // Reads an object alone: no hook, no filter, and no file from a remote.
  const args = ["--no-pager", "-C", dirname(file), "cat-file", "blob", `HEAD:./${basename(file)}`];
  const env = { ...process.env, GIT_NO_LAZY_FETCH: "1" };
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      const message = `${basename(file)} can't be compared with git's HEAD: ${reason.replace(/^fatal: /, "")}`;
      reject(new EngineError({ code: "git", message }));
    };
    if (git === undefined) return fail(NO_GIT);
    execFile(git, args, { env, maxBuffer: LARGEST, windowsHide: true }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const [said = ""] = stderr.trim().split("\n");
      return fail((error as NodeJS.ErrnoException).code === "ENOENT" ? NO_GIT : said);
    });
  });
}
