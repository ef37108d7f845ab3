import * as vscode from "vscode";
import type { CommandArguments, CommandId } from "./ids.ts";

/** Registers a command whose arguments are as {@link CommandArguments} says. */
export function registerCommand<K extends CommandId>(
  id: K,
  run: (...args: CommandArguments[K]) => Promise<void> | void,
): vscode.Disposable {
  return vscode.commands.registerCommand(id, run);
}

/** A command as lenses, tree items and status items hold it. */
export function commandLink<K extends CommandId>(
  id: K,
  title: string,
  ...args: CommandArguments[K]
): vscode.Command {
  return { command: id, title, arguments: args };
}
