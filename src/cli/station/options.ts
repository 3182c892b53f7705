import type { PolicyOptions } from "../policy/policy-options.js";
import type { CommonOptions } from "../verb-context.js";

/** Options of the verb, as the command line has them. */
export interface StationOptions extends CommonOptions, Pick<PolicyOptions, "policy"> {
  device?: string[];
  boards?: string;
  plugged: boolean;
  look: boolean;
  key?: string[];
  update?: string[];
  soak?: number;
  wait?: number;
  timeout?: number;
  port: number;
  listen: string;
  hostName?: string[];
  tokenFile?: string;
  viewerTokenFile?: string;
  readOnly?: boolean;
  cert?: string;
  tlsKey?: string;
  title?: string;
}
