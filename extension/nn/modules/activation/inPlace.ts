import { bind } from "../../arguments.ts";
import type { InPlace } from "../../functional/activation/activation.ts";
import { BuiltIn } from "../../module/module.ts";

export const inplaceText = (inplace: boolean): string => (inplace ? "inplace=True" : "");
export const andInplace = (text: string, inplace: boolean): string =>
  inplace ? `${text}, inplace=True` : text;

/** What the activations that only know `inplace` share. */
export abstract class InPlaceActivation extends BuiltIn {
  readonly inplace: boolean;

  constructor(options?: InPlace);
  constructor(inplace?: boolean);
  constructor(...args: unknown[]) {
    super();
    this.inplace = bind<InPlace>(this.constructor.name, args, { inplace: false }).inplace;
  }

  override extraRepr(): string {
    return inplaceText(this.inplace);
  }
}
