/** Classes of the library's own, whose names don't tell models apart; a run that hasn't made its model has none. */
const NAMELESS: readonly string[] = ["", "Sequential", "ModuleList", "ModuleDict"];

/** What a run's record says of its name. */
interface NamedRun {
  model: string;
  file: string;
  imported?: object | undefined;
}

/** The name of a run's model: that of its class, or where that says nothing, of its file. */
export function modelName({ model, file, imported }: NamedRun): string {
  if (imported !== undefined || !NAMELESS.includes(model)) return model;
  const name = file.split(/[\\/]/).at(-1) ?? "";
  return name.replace(/(?:\.nn)?\.[cm]?[jt]s$/, "") || model;
}
