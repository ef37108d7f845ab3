import * as vscode from "vscode";
import type { CommandArguments, CommandId } from "./ids.ts";

/** A command's handler, with the arguments of {@link CommandArguments}. */
export type CommandCode<K extends CommandId> = (...args: CommandArguments[K]) => Promise<void> | void;

/** Registers commands; passes their errors to `onError`. */
export function registerCommands(
  commands: { [K in CommandId]: CommandCode<K> },
  onError: (error: unknown) => void,
): vscode.Disposable {
  const registered = Object.entries<(...args: never[]) => Promise<void> | void>(commands).map(([id, run]) =>
    vscode.commands.registerCommand(id, async (...args: never[]) => {
      try {
        await run(...args);
      } catch (error) {
        onError(error);
      }
    }),
  );
  return vscode.Disposable.from(...registered);
}

export async function runCommand<K extends CommandId>(id: K, ...args: CommandArguments[K]): Promise<void> {
  await vscode.commands.executeCommand(id, ...args);
}

/** Makes the command of a lens, a tree item or a status bar item. */
export function commandLink<K extends CommandId>(
  id: K,
  title: string,
  ...args: CommandArguments[K]
): vscode.Command {
  return { command: id, title, arguments: args };
}
