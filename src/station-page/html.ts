import htm from "htm";
import { h, type VNode } from "preact";

/** Markup as a template. What is put into it is always text or further markup of ours, never HTML. */
export const html = htm.bind(h) as (strings: TemplateStringsArray, ...values: unknown[]) => VNode;
