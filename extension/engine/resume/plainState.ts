/** An object's own fields as plain data: for metrics that continue after an interruption. */
export function plainState(object: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object)
      .filter(([name]) => name !== "options")
      .map(([name, value]: [string, unknown]) => [name, plain(value)]),
  );
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return typeof value === "object" && value !== null ? plainState(value) : value;
}

/** Gives an object's fields the values of {@link plainState}; objects within it stay what they are. */
export function restorePlain(object: object, state: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(state)) {
    // Its class and all objects share what it inherits, such as __proto__.
    if (name in object && !Object.hasOwn(object, name)) continue;
    const own: unknown = Reflect.get(object, name);
    if (isRecord(own) && isRecord(value)) restorePlain(own, value);
    else Reflect.set(object, name, value);
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
