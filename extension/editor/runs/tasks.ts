import { basename, isAbsolute, join } from "node:path";
import * as v from "valibot";
import * as vscode from "vscode";
import { inLanes } from "../../files/lanes.ts";
import { labelText } from "../../protocol/text/label.ts";
import { EngineError } from "../../protocol/errors.ts";
import { addedEnvironment, type EngineOptions } from "../../supervisor/engines/process.ts";
import { MODEL_FILES, MODEL_FILE_SUFFIX, PROBLEM_MATCHER, TASK_COMMANDS, TASK_TYPE } from "../ids.ts";
import { scanSource } from "../../source/sourceScan.ts";
import { ModelTexts } from "../modelFiles.ts";
import { folderOf } from "../targets.ts";

/** A task as tasks.json has it; the manifest describes the same. */
const Definition = v.object({
  type: v.literal(TASK_TYPE),
  command: v.picklist(TASK_COMMANDS),
  /** Absolute, or relative to the workspace folder. */
  file: v.string(),
  experiment: v.optional(v.string()),
  args: v.optional(v.array(v.string())),
});
export type TaskDefinition = v.InferOutput<typeof Definition>;

/** Files looked into for experiments. */
const MAX_FILES = 200;

/** The workspace's experiments as tasks of the command line: for builds, shortcuts and several runs after another. */
export class ModelTasks implements vscode.TaskProvider {
  readonly #engine: () => EngineOptions;

  constructor(engine: () => EngineOptions) {
    this.#engine = engine;
  }

  async provideTasks(): Promise<vscode.Task[]> {
    const files = await vscode.workspace.findFiles(MODEL_FILES, "**/node_modules/**", MAX_FILES);
    const texts = new ModelTexts();
    const tasks = await inLanes(files, (uri) => this.#tasksOf(uri, texts));
    return tasks.flat();
  }

  resolveTask(task: vscode.Task): vscode.Task | undefined {
    const definition = v.safeParse(Definition, task.definition);
    const { scope } = task;
    if (!definition.success) return undefined;
    const folder = typeof scope === "object" ? scope : vscode.workspace.workspaceFolders?.[0];
    // VS Code takes the execution for the task it asked about only when that keeps its very definition.
    return modelTask(definition.output, folder, this.#engine(), task.definition);
  }

  async #tasksOf(uri: vscode.Uri, texts: ModelTexts): Promise<vscode.Task[]> {
    if (hasVariable(uri.fsPath)) return [];
    const folder = vscode.workspace.getWorkspaceFolder(uri);
    // A file that can't be read doesn't hide the others.
    const text = await texts.read(uri).catch(() => undefined);
    if (text === undefined) return [];
    const file = vscode.workspace.asRelativePath(uri, false);
    const { experiments } = scanSource(text);
    const definitions: TaskDefinition[] =
      experiments.length === 0
        ? [{ type: TASK_TYPE, command: "run", file }]
        : experiments.flatMap(({ exportName, swept }) =>
            (["train", ...(swept === true ? ["sweep" as const] : []), "evaluate"] as const).map(
              (command) => ({
                type: TASK_TYPE,
                command,
                file,
                ...(exportName === "default" ? {} : { experiment: exportName }),
              }),
            ),
          );
    return definitions.map((definition) => modelTask(definition, folder, this.#engine()));
  }
}

/** VS Code runs the command of `${command:…}` wherever a task has it, and knows no way to escape it. */
export const hasVariable = (path: string): boolean => path.includes("${");

/**
 * A command of the command line on a file, in a terminal that stays to be read. No shell reads its words.
 * @throws EngineError when the folder's path has a variable of VS Code's
 */
export function modelTask(
  definition: TaskDefinition,
  folder: vscode.WorkspaceFolder | undefined,
  engine: EngineOptions,
  asked: vscode.TaskDefinition = definition,
): vscode.Task {
  const { command, experiment, args = [] } = definition;
  if (folder !== undefined && hasVariable(folder.uri.fsPath)) throw variableInPath(folder.uri.fsPath);
  const file =
    isAbsolute(definition.file) || folder === undefined
      ? definition.file
      : join(folder.uri.fsPath, definition.file);
  const target = experiment === undefined ? file : `${file}#${experiment}`;
  const execution = new vscode.ProcessExecution(
    engine.execPath ?? process.execPath,
    [`${engine.dist}/cli.js`, command, target, ...args],
    { cwd: folder?.uri.fsPath ?? folderOf(file), env: addedEnvironment(engine.env) },
  );
  const name = labelText([command, basename(file, MODEL_FILE_SUFFIX), experiment].filter(Boolean).join(" "));
  const scope = folder ?? vscode.TaskScope.Workspace;
  const task = new vscode.Task(asked, scope, name, TASK_TYPE, execution, `$${PROBLEM_MATCHER}`);
  task.presentationOptions = { clear: true, focus: false };
  return task;
}

/**
 * A sweep in a terminal: a task of its own kind, since "resume" is no file.
 * @param more variables of its environment in addition to the engine's; VS Code stores none of them
 * @throws EngineError when a path, or a value in the environment, has a variable of VS Code's
 */
export function sweepTask(
  args: readonly string[],
  name: string,
  folder: string,
  engine: EngineOptions,
  more: Readonly<Record<string, string>> = {},
): vscode.Task {
  const risky = [folder, ...args].find(hasVariable);
  if (risky !== undefined) throw variableInPath(risky);
  const variable = Object.keys(more).find((key) => hasVariable(more[key]!));
  if (variable !== undefined)
    throw new EngineError({
      code: "usage",
      // Without the value, which may be a secret.
      message: vscode.l10n.t("VS Code would take a part of {0} for a variable: it has {1}", variable, "${"),
    });
  const execution = new vscode.ProcessExecution(
    engine.execPath ?? process.execPath,
    [`${engine.dist}/cli.js`, "sweep", ...args],
    { cwd: folder, env: { ...addedEnvironment(engine.env), ...more } },
  );
  const scope =
    vscode.workspace.workspaceFolders?.find(({ uri }) => uri.fsPath === folder) ?? vscode.TaskScope.Workspace;
  const definition = { type: TASK_TYPE, command: "sweep", file: args[0] ?? "" };
  const title = labelText(`sweep ${name}`);
  const task = new vscode.Task(definition, scope, title, TASK_TYPE, execution, `$${PROBLEM_MATCHER}`);
  task.presentationOptions = { clear: true, focus: false };
  return task;
}

export const variableInPath = (path: string): EngineError =>
  new EngineError({
    code: "usage",
    message: vscode.l10n.t("VS Code would take a part of this path for a variable: {0}", path),
    hint: vscode.l10n.t("Rename the file or the folder whose name has ${"),
  });
