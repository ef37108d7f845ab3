// Tables whose keys come from files: every object also has what it inherits, such as "constructor" and "toString".

/** Whether every object has a property of a name: no record's own value can be told from it. */
export const isInherited = (name: string): boolean => name in {} || name === "prototype";

/** A table's value for a name that a file chooses. */
export function ownValue<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
