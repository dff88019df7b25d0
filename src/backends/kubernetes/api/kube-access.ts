import type { RequestOptions } from 'node:https';
import type { ScalableRef } from './api-paths.ts';

/** Where the API server is, and how to be somebody there. */
export interface KubeAccess {
  /** `https://10.96.0.1:443`, also with a path behind it. */
  readonly server: string;
  /** Of the context or the service account; undefined where none says. */
  readonly namespace: string | undefined;
  /** What the proxy itself runs in, in that cluster; undefined where it runs elsewhere, or that isn't known. */
  readonly own?: ScalableRef | undefined;
  /**
   * Authorities, certificates and headers for one request, fresh each time; not to be changed by the caller. An agent
   * only where one is needed (a proxy). @throws {Error} where they can't be had.
   */
  authorize(): Promise<RequestOptions>;
  /** The credentials were not accepted: none that were kept are handed out again. */
  forget?(): void;
}
