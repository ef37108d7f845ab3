import { realpath, stat } from "node:fs/promises";
import { basename, isAbsolute, relative, resolve, sep } from "node:path";
import * as v from "valibot";
import { inside } from "../files/inside.ts";
import { EngineError } from "../protocol/errors.ts";
import { FolderName } from "../protocol/names.ts";
import { RUNS_FOLDER } from "../protocol/run.ts";
import { SWEEPS_FOLDER } from "../protocol/sweeps/sweep.ts";
import { exists } from "../supervisor/runs/runDirectory.ts";

/** Characters of a path. */
const LONGEST = 1024;
const MODEL = /\.nn\.ts$/;

/** The one folder that a client's names stand for files of. It may be reached through links; below it none is followed. */
export class Workspace {
  /** Without links. */
  readonly root: string;
  readonly #given: string;

  private constructor(root: string, given: string) {
    this.root = root;
    this.#given = given;
  }

  /** @throws Error when it is no folder */
  static async open(folder: string): Promise<Workspace> {
    const root = await realpath(folder);
    if (!(await stat(root)).isDirectory()) throw new Error(`${folder} is not a folder.`);
    return new Workspace(root, resolve(folder));
  }

  /** A path below the folder, whether or not something is there. @throws EngineError "outside" */
  async path(name: string): Promise<string> {
    const refuse = (): never => {
      throw new EngineError({
        code: "outside",
        message: `${JSON.stringify(name.slice(0, LONGEST))} is not a path in the workspace.`,
        hint: "Paths are relative to the workspace folder, with / between names, without .. and links.",
      });
    };
    if (name.length > LONGEST || name.includes("\0")) return refuse();
    const within = isAbsolute(name) ? this.#below(name) : name;
    if (within === undefined) return refuse();
    const names = (sep === "/" ? within : within.replaceAll(sep, "/"))
      .split("/")
      .filter((part) => part !== ".");
    if (names.length === 0) return refuse();
    return inside(this.root, ...names).catch(refuse);
  }

  #below(path: string): string | undefined {
    for (const root of [this.root, this.#given]) if (path.startsWith(root + sep)) return relative(root, path);
    return undefined;
  }

  /** A file of models that is there, to be run. @throws EngineError */
  async model(name: string): Promise<string> {
    const path = await this.path(name);
    const found = await stat(path).catch(() => undefined);
    if (MODEL.test(path) && found?.isFile() === true) return path;
    throw new EngineError({
      code: "no-file",
      message: MODEL.test(path)
        ? `There is no file ${this.shown(path)}.`
        : `${this.shown(path)} is no .nn.ts file, the only kind that is run.`,
      hint: "list_models lists the files of models.",
    });
  }

  /** The directory of a run by its id. @throws EngineError when there is none */
  run(id: string): Promise<string> {
    return this.#directory(RUNS_FOLDER, id, "run");
  }

  /** The directory of a sweep by its id. @throws EngineError when there is none */
  sweep(id: string): Promise<string> {
    return this.#directory(SWEEPS_FOLDER, id, "sweep");
  }

  async #directory(folder: string, id: string, what: "run" | "sweep"): Promise<string> {
    const known = v.is(FolderName, id) && id.length <= 255;
    const directory = known ? await inside(this.root, folder, id).catch(() => undefined) : undefined;
    if (directory !== undefined && (await exists(directory))) return directory;
    throw new EngineError({
      code: `no-${what}`,
      message: `There is no ${what} ${JSON.stringify(id.slice(0, LONGEST))}.`,
      hint: `list_${what}s lists the ${what}s of the workspace.`,
    });
  }

  /** A path as answers have it: relative to the folder, or the name alone of what lies elsewhere. */
  shown(path: string): string {
    const way = relative(this.root, path);
    if (way === "" || way === ".." || way.startsWith(`..${sep}`) || isAbsolute(way))
      return `(outside of the workspace) ${basename(path)}`;
    return way.replaceAll(sep, "/");
  }
}
