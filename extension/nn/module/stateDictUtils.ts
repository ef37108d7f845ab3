// PyTorch's torch.nn.modules.utils.

/**
 * Removes a prefix from the names of a state dict that have it, in place: those of a model that was saved inside another.
 *
 * ```ts
 * nn.modules.utils.consumePrefixInStateDictIfPresent(state, "module.");
 * ```
 */
export function consumePrefixInStateDictIfPresent(
  stateDict: Map<string, unknown> | Record<string, unknown>,
  prefix: string,
): void {
  if (stateDict instanceof Map) {
    for (const name of [...stateDict.keys()].filter((one) => one.startsWith(prefix))) {
      const value = stateDict.get(name);
      stateDict.delete(name);
      stateDict.set(name.slice(prefix.length), value);
    }
    return;
  }
  for (const [name, value] of Object.entries(stateDict)) {
    if (!name.startsWith(prefix)) continue;
    delete stateDict[name];
    stateDict[name.slice(prefix.length)] = value;
  }
}
