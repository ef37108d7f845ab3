/**
 * Sets style properties of an element in a template: `<div ${styles({ width: "40%" })}>`. lit's own styleMap first writes a
 * style attribute, which the content security policy blocks.
 */
import { nothing } from "lit";
import { Directive, directive, type ElementPart, PartType, type PartInfo } from "lit/directive.js";

type Properties = Readonly<Record<string, string>>;

class Styles extends Directive {
  constructor(part: PartInfo) {
    super(part);
    if (part.type !== PartType.ELEMENT) throw new Error("Use styles() in a tag, not in an attribute");
  }

  override render(_properties: Properties): typeof nothing {
    return nothing;
  }

  override update({ element }: ElementPart, [properties]: [Properties]): typeof nothing {
    const { style } = element as HTMLElement;
    for (const [name, value] of Object.entries(properties))
      if (style.getPropertyValue(name) !== value) style.setProperty(name, value);
    return nothing;
  }
}

export const styles = directive(Styles);
