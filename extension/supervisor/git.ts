import { execFile } from "node:child_process";
import { basename, dirname } from "node:path";
import { EngineError } from "./errors.ts";

/** A source file that isn't larger than any that people write. */
const LARGEST = 16 * 1024 * 1024;

/**
 * A file's text as it was committed last.
 * @throws EngineError "git" saying why there is none: no git, no repository, a file that was never committed
 */
export function committedText(file: string, git = "git"): Promise<string> {
  // Reads an object alone: no hook, no filter, and no file from a remote.
  const args = ["--no-pager", "-C", dirname(file), "cat-file", "blob", `HEAD:./${basename(file)}`];
  const env = { ...process.env, GIT_NO_LAZY_FETCH: "1" };
  return new Promise((resolve, reject) => {
    execFile(git, args, { env, maxBuffer: LARGEST, windowsHide: true }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const [said = ""] = stderr.trim().split("\n");
      const reason =
        (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no git on this machine" : said;
      const message = `${basename(file)} can't be compared with git's HEAD: ${reason.replace(/^fatal: /, "")}`;
      return reject(new EngineError({ code: "git", message }));
    });
  });
}
