import { configured } from "../configured.ts";

export const inplaceText = (inplace: boolean): string => (inplace ? "inplace=True" : "");
export const andInplace = (text: string, inplace: boolean): string =>
  inplace ? `${text}, inplace=True` : text;

/** Base class of activations whose only option is `inplace`. */
export abstract class InPlaceActivation extends configured<[inplace?: boolean]>()("inplace", false) {
  override extraRepr(): string {
    return inplaceText(this.inplace);
  }
}
