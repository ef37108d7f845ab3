// @ts-check
/** A plugin of TypeDoc: missing-exports takes inherited accessors for something that isn't exported. */
import { Converter, ReflectionKind } from "typedoc";

/** @param {import("typedoc").Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const accessor of project.getReflectionsByKind(ReflectionKind.Accessor))
      if (accessor.parent?.kindOf(ReflectionKind.Module)) project.removeReflection(accessor);
  });
}
