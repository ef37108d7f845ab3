import { BuiltIn } from "../module/module.ts";

/** A layer over one, two or three spatial dimensions. Each subclass states its number. */
export abstract class SpatialLayer extends BuiltIn {
  declare protected static readonly dims: 1 | 2 | 3;

  /** The function for this number of dimensions, of those for one, two and three. */
  protected functionFor<F>(functions: readonly F[]): F {
    return functions[(this.constructor as typeof SpatialLayer).dims - 1]!;
  }
}
