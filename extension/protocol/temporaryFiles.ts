/** The name of what becomes a file when it is whole, beside it. @param unique 12 hexadecimal digits */
export const temporaryName = (name: string, unique: string): string => `.${name}.${unique}.tmp`;

/** True of the names that {@link temporaryName} gives for any file. */
export const isTemporary = (name: string): boolean => /^\..+\.[0-9a-f]{12}\.tmp$/.test(name);

/** True of the names that {@link temporaryName} gives for a file. */
export function isTemporaryOf(name: string, other: string): boolean {
  const prefix = `.${name}.`;
  return other.startsWith(prefix) && /^[0-9a-f]{12}\.tmp$/.test(other.slice(prefix.length));
}
