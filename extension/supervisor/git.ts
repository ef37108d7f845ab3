import { basename, dirname } from "node:path";
import { readGit } from "../processes/git.ts";
import { findExecutable } from "../processes/programs.ts";
import { EngineError } from "../protocol/errors.ts";

/** A source file that isn't larger than any that people write. */
const LARGEST = 16 * 1024 * 1024;

/**
 * A file's text as it was committed last.
 * @throws EngineError "git" saying why there is none: no git, no repository, a file that was never committed
 */
export async function committedText(file: string, git = findExecutable(["git"])): Promise<string> {
  const name = basename(file);
  const fail = (reason: string): never => {
    throw new EngineError({
      code: "git",
      message: `${name} can't be compared with git's HEAD: ${reason}`,
    });
  };
  const program = git === undefined ? undefined : findExecutable([git]);
  if (program === undefined) return fail("there is no git on this machine");
  return readGit(program, dirname(file), ["cat-file", "blob", `HEAD:./${name}`], LARGEST).catch(
    (error: unknown) => fail((error as Error).message),
  );
}
